/** Text that was typed and not yet sent: no change of what is chosen may drop it unasked. */

import { signal } from '@preact/signals-core';

/** Whether something is typed that is not sent; told by the form that is open. */
type Dirty = () => boolean;

export class Draft<Patch> {
  private dirty: Dirty | null = null;
  /** The change that waits for an answer: keep the text, or drop it. */
  readonly waiting = signal<Patch | null>(null);

  /** A form is open. What is returned closes it. */
  hold(dirty: Dirty): () => void {
    this.dirty = dirty;
    return () => {
      if (this.dirty !== dirty) return;
      this.dirty = null;
      this.waiting.value = null;
    };
  }

  get unsent(): boolean {
    return this.dirty?.() === true;
  }

  /** Whether the change has to wait. */
  stops(patch: Patch): boolean {
    if (!this.unsent) return false;
    this.waiting.value = patch;
    return true;
  }

  keep(): void {
    this.waiting.value = null;
  }

  /** The text is dropped; what waited for that. */
  drop(): Patch | null {
    const patch = this.waiting.peek();
    this.dirty = null;
    this.waiting.value = null;
    return patch;
  }
}

/** The browser asks before it leaves or reloads a page on which something is not sent. */
export function askBeforeLeaving(unsent: () => boolean): void {
  window.addEventListener('beforeunload', (event) => {
    if (unsent()) event.preventDefault();
  });
}
