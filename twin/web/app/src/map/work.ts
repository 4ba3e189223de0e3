/** What is done beside drawing, in slices so short that none holds up the page: the rest waits for the next. */

/** Milliseconds and features; the last step that is begun within them may go beyond by a part of a tile. */
const MOST_MS = 10;
export const MOST_WORK = 6000;

/** The most features of a slice so far, and how many slices there were: asked for by tests. */
export const worked = { most: 0, slices: 0 };

export class Slice {
  private began = performance.now();
  private done = 0;

  constructor() {
    worked.slices += 1;
  }

  /** Whether a step may be begun. */
  get free(): boolean {
    return this.done === 0 || (this.done < MOST_WORK && performance.now() - this.began < MOST_MS);
  }

  /** A step is done, with so many features. */
  add(features: number): void {
    this.done += features;
    worked.most = Math.max(worked.most, this.done);
  }
}

/** Resolves when the browser has had the time to draw and to hear its user. */
export function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
