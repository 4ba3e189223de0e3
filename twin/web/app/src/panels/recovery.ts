/** Tries again what could not be read: when the stream is back, and meanwhile every few seconds. */

import { ApiError } from '../api';

const FIRST_MS = 2000;
const LONGEST_MS = 30_000;

/** Whether it may go better by itself: nobody answered, or the server could not at that moment. */
export function passes(error: unknown): boolean {
  return error instanceof ApiError ? error.status >= 500 || error.status === 429 : error instanceof TypeError;
}

export class Recovery {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = FIRST_MS;
  private broken = false;

  constructor(
    private readonly events: EventTarget,
    private readonly again: () => void,
  ) {
    events.addEventListener('back', this.back);
  }

  private readonly back = (): void => {
    if (this.broken) this.again();
  };

  failed(error: unknown): void {
    this.broken = true;
    clearTimeout(this.timer);
    if (!passes(error)) return;
    this.timer = setTimeout(this.again, this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_MS);
  }

  done(): void {
    this.broken = false;
    this.wait = FIRST_MS;
    clearTimeout(this.timer);
  }

  end(): void {
    this.done();
    this.events.removeEventListener('back', this.back);
  }
}
