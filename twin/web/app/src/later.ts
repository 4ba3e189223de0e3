/** Runs something once, after what asks for it has been quiet for a while. */

/** Who asks without a pause is not made to wait longer. */
const LONGEST_MS = 3000;

export class Later {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private first: number | null = null;

  constructor(
    private readonly quiet: number,
    private readonly run: () => void,
  ) {}

  soon(): void {
    const now = performance.now();
    this.first ??= now;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), Math.max(0, Math.min(this.quiet, this.first + LONGEST_MS - now)));
  }

  private now(): void {
    this.stop();
    this.run();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.first = null;
  }
}
