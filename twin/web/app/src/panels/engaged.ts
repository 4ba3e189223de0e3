/** Whether somebody is about to press something in a part of the page: what is there then must not move. */

import { signal } from '@preact/signals-core';

/** A finger is not seen before it touches: for so long after it did, it may come again. */
const FINGER_MS = 4000;

export class Engaged {
  private readonly reasons = signal<ReadonlySet<string>>(new Set());
  private timer: ReturnType<typeof setTimeout> | undefined;

  get value(): boolean {
    return this.reasons.value.size > 0;
  }

  readonly enter = (event: PointerEvent): void => {
    if (event.pointerType === 'touch') this.touched();
    else this.set('pointer', true);
  };

  readonly leave = (event: PointerEvent): void => {
    if (event.pointerType !== 'touch') this.set('pointer', false);
  };

  readonly focusIn = (event: FocusEvent): void => {
    // a click gives focus too, and leaves it there for hours
    if ((event.target as Element).matches(':focus-visible')) this.set('focus', true);
  };

  readonly focusOut = (): void => this.set('focus', false);

  end(): void {
    clearTimeout(this.timer);
  }

  private touched(): void {
    this.set('finger', true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.set('finger', false), FINGER_MS);
  }

  private set(reason: string, on: boolean): void {
    const reasons = new Set(this.reasons.peek());
    if (on === reasons.has(reason)) return;
    if (on) reasons.add(reason);
    else reasons.delete(reason);
    this.reasons.value = reasons;
  }
}
