/** The place that is read: under the pointer, or in the middle of the map while there is none. */

import { Cartesian2 } from '@cesium/engine';
import { computed, effect, signal } from '@preact/signals-core';
import type { App } from '../app';
import { asked, valuesAt, type BandValues, type Place } from '../layers/values';
import type { LayerConfig } from '../config';

/** A pointer that has not moved for so long rests. */
const REST_MS = 180;

export interface Reading {
  layer: LayerConfig;
  bands: BandValues[];
}

export class CursorPlace {
  private readonly pointer = signal<Place | null>(null);
  private readonly read = signal<readonly Reading[]>([]);
  private timer: number | undefined;
  private request: AbortController | null = null;
  private frame = 0;

  /** Null in a city where nothing can be read of the ground. */
  readonly place = computed<Place | null>(() => {
    const state = this.app.store.get();
    if (asked(this.app.config, state).length === 0) return null;
    return this.pointer.value ?? [state.view.lon, state.view.lat];
  });

  /** What the highest raster and the terrain hold there; empty until it has come. */
  readonly readings = computed(() => this.read.value);

  constructor(
    private readonly app: App,
    canvas: HTMLCanvasElement,
  ) {
    canvas.addEventListener('pointermove', (event) => this.moved(event));
    canvas.addEventListener('pointerdown', (event) => this.moved(event));
    canvas.addEventListener('pointerleave', (event) => {
      // a finger that is lifted leaves too: what it touched stays read
      if (event.pointerType === 'touch') return;
      cancelAnimationFrame(this.frame);
      this.pointer.value = null;
    });
    effect(() => this.soon());
  }

  private moved({ clientX, clientY }: PointerEvent): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      const { map, config, store } = this.app;
      if (!map || asked(config, store.get()).length === 0) return;
      const { left, top } = map.scene.canvas.getBoundingClientRect();
      const at = map.picker.ground(new Cartesian2(clientX - left, clientY - top));
      this.pointer.value = at && [at.lon, at.lat];
    });
  }

  private soon(): void {
    const at = this.place.value;
    const { config, store } = this.app;
    const layers = asked(config, store.get());
    clearTimeout(this.timer);
    this.request?.abort();
    this.read.value = [];
    if (at) this.timer = window.setTimeout(() => void this.ask(at, layers), REST_MS);
  }

  private async ask(at: Place, layers: readonly LayerConfig[]): Promise<void> {
    const request = new AbortController();
    this.request = request;
    const state = this.app.store.get();
    const ground = layers.find((layer) => layer.id === this.app.config.terrain?.layer);
    const wanted = [...new Set([layers[0], ground])].filter((layer) => layer !== undefined);
    const found = await Promise.all(
      wanted.map(async (layer) => {
        try {
          return [{ layer, bands: await valuesAt(layer, state, at, request.signal) }];
        } catch {
          // the coordinates are read all the same
          return [];
        }
      }),
    );
    if (!request.signal.aborted) this.read.value = found.flat();
  }
}
