import { signal, type Signal } from '@preact/signals-core';

/** Tells those who follow it; unlike `+= 1` it does not make its caller one of them. */
export function bump(counter: Signal<number>): void {
  counter.value = counter.peek() + 1;
}

/** A signal for each thing that somebody looks at: twenty thousand sensors, one or two open cards. */
export class Cells {
  private readonly cells = new Map<number, Signal<number>>();

  /** Follows the thing of that id. */
  track(id: number): void {
    const cell = this.cells.get(id) ?? signal(0);
    this.cells.set(id, cell);
    void cell.value;
  }

  /** Tells those who follow it. */
  touch(id: number): void {
    const cell = this.cells.get(id);
    if (cell) bump(cell);
  }
}
