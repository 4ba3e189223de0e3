/** Asks the stream for what is in the picture, and again when the camera leaves what it was asked for. */

import type { App } from '../app';
import { viewBox } from '../map/view-box';
import { isFeature } from '../state';
import type { Box, InSight } from './stream';

/** How much more than the picture is asked for on each side, of its width and height. */
const MARGIN = 0.2;
/** How long the camera has to rest (ms). */
const REST_MS = 250;
/** Where there are counts, they are asked for anew once the picture is so many times smaller. */
const CLOSER = 2;

export class InView {
  private asked: Box | null = null;
  private also: number | null = null;
  private covered: Box | null = null;
  private counted = false;
  private timer = 0;

  constructor(private readonly app: App) {
    app.store.subscribe((_state, changed) => {
      if (changed.has('view') || changed.has('mode') || changed.has('selection')) this.later();
    });
    window.addEventListener('resize', () => this.later());
  }

  /** What is wanted now, as a query of the stream; of a page without a map all is. */
  query(): string {
    if (!this.app.map) return '';
    this.asked = viewBox(this.app);
    this.also = this.chosen();
    const box = grown(this.asked).map((degrees) => degrees.toFixed(6));
    return `bbox=${box.join(',')}${this.also === null ? '' : `&sensor=${this.also}`}`;
  }

  /** What came. */
  told({ view }: InSight): void {
    this.covered = view?.box ?? null;
    this.counted = view?.clusters !== null;
    this.later();
  }

  private later(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      if (this.lacks()) this.app.stream?.move();
    }, REST_MS);
  }

  private chosen(): number | null {
    const { selection } = this.app.store.get();
    return selection && !isFeature(selection) && selection.type === 'sensor' ? selection.id : null;
  }

  /** Whether the picture shows what is not known. */
  private lacks(): boolean {
    if (!this.covered || !this.asked) return false;
    if (this.covered[0] <= -180 && this.covered[2] >= 180) return false;
    const also = this.chosen();
    if (also !== null && also !== this.also && !this.app.sensors.all.has(also)) return true;
    const now = viewBox(this.app);
    if (!within(now, this.covered)) return true;
    return this.counted && size(now) * CLOSER < size(this.asked);
  }
}

function size([west, south, east, north]: Box): number {
  return Math.max(east - west, north - south);
}

function within(inner: Box, outer: Box): boolean {
  return inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3];
}

function grown([west, south, east, north]: Box): Box {
  const [across, up] = [(east - west) * MARGIN, (north - south) * MARGIN];
  return [Math.max(west - across, -180), Math.max(south - up, -90), Math.min(east + across, 180), Math.min(north + up, 90)];
}
