/** The place that is read: under the pointer, or in the middle of the map while there is none. */

import { Cartesian2 } from '@cesium/engine';
import { computed, effect, signal } from '@preact/signals-core';
import type { App } from '../app';
import { asked, isSameQuestion, questionOf, steady, valuesAt, type BandValues, type Question } from '../layers/values';
import type { Place } from '../place';
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
  readonly place = steady<Place | null>(
    () => {
      const { view } = this.app.store.get();
      return this.questions.value.length === 0 ? null : (this.pointer.value ?? [view.lon, view.lat]);
    },
    (one, other) => String(one) === String(other),
  );

  /** Asked of the highest raster and of the terrain. */
  private readonly questions = steady<readonly Question[]>(
    () => {
      const { config, store } = this.app;
      const state = store.get();
      const layers = asked(config, state);
      const ground = layers.find((layer) => layer.id === config.terrain?.layer);
      const wanted = [...new Set([layers[0], ground])].filter((layer) => layer !== undefined);
      return wanted.map((layer) => questionOf(layer, state));
    },
    (some, others) => some.length === others.length && some.every((one, i) => isSameQuestion(one, others[i]!)),
  );

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
      const { map } = this.app;
      if (!map || this.questions.value.length === 0) return;
      const { left, top } = map.scene.canvas.getBoundingClientRect();
      const at = map.picker.ground(new Cartesian2(clientX - left, clientY - top));
      this.pointer.value = at && [at.lon, at.lat];
    });
  }

  private soon(): void {
    const at = this.place.value;
    const questions = this.questions.value;
    clearTimeout(this.timer);
    this.request?.abort();
    this.read.value = [];
    if (at) this.timer = window.setTimeout(() => void this.ask(at, questions), REST_MS);
  }

  private async ask(at: Place, questions: readonly Question[]): Promise<void> {
    const request = new AbortController();
    this.request = request;
    const found = await Promise.all(
      questions.map(async (question) => {
        try {
          return [{ layer: question.layer, bands: await valuesAt(question, at, request.signal) }];
        } catch {
          // the coordinates are read all the same
          return [];
        }
      }),
    );
    if (!request.signal.aborted) this.read.value = found.flat();
  }
}
