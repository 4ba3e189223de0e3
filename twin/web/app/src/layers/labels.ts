/**
 * House numbers in the view from above, where a layer that has labels is shown: vector tiles carry none.
 * Not in 3D: the engine tests labels against the ground only, so those inside a building would cover its roof.
 */

import {
  Cartesian2,
  Cartesian3,
  Color,
  LabelCollection,
  LabelStyle,
  Math as CesiumMath,
  VerticalOrigin,
  type Scene,
} from '@cesium/engine';
import { getJson, type Feature } from '../api';
import { effect } from '@preact/signals-core';
import type { CityConfig, LayerConfig } from '../config';
import type { Ground } from '../map/ground';
import type { Store } from '../state';
import { color } from '../tokens';

const FARTHEST = 700;
const MOST = 300;
const DELAY_MS = 400;

export class AddressLabels {
  private readonly labels: LabelCollection;
  private readonly layer: LayerConfig | undefined;
  private features: Feature[] = [];
  private timer = 0;
  private drawn = '';
  private request: AbortController | null = null;

  constructor(
    private readonly scene: Scene,
    config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
  ) {
    this.layer = config.layers.find((layer) => layer.style.label?.length);
    this.labels = scene.primitives.add(new LabelCollection({ scene })) as LabelCollection;
    if (!this.layer) return;
    effect(() => this.draw());
    store.subscribe((_state, changed) => {
      if (!changed.has('view') && !changed.has('layers') && !changed.has('mode')) return;
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.update(), DELAY_MS);
    });
    this.timer = window.setTimeout(() => void this.update(), DELAY_MS);
  }

  private async update(): Promise<void> {
    const { layers, mode, view } = this.store.get();
    const shown = mode === '2d' && this.layer !== undefined && layers[this.layer.id]?.visible === true && view.height <= FARTHEST;
    const box = shown ? this.box() : null;
    if ((box ?? '') === this.drawn) return;
    this.drawn = box ?? '';
    this.request?.abort();
    this.request = new AbortController();
    const features = box ? await this.fetch(box, this.request.signal) : [];
    if (!features) return;
    this.features = features;
    this.draw();
  }

  /** The ground in view, at most a kilometre around what the camera looks at. */
  private box(): string {
    const { lon, lat } = this.store.get().view;
    const reach = FARTHEST / 111_320;
    const wide = reach / Math.max(Math.cos(CesiumMath.toRadians(lat)), 0.1);
    const seen = this.scene.camera.computeViewRectangle();
    const [west, south, east, north] = seen
      ? [seen.west, seen.south, seen.east, seen.north].map(CesiumMath.toDegrees)
      : [-180, -90, 180, 90];
    return [
      Math.max(west!, lon - wide),
      Math.max(south!, lat - reach),
      Math.min(east!, lon + wide),
      Math.min(north!, lat + reach),
    ]
      .map((value) => value.toFixed(5))
      .join(',');
  }

  private async fetch(bbox: string, signal: AbortSignal): Promise<Feature[] | null> {
    try {
      const url = `ogc/collections/${this.layer?.id}/items?bbox=${bbox}&limit=${MOST}`;
      return (await getJson<{ features: Feature[] }>(url, { signal })).features;
    } catch {
      // labels are an extra: the map is whole without them, and the next move asks again
      this.drawn = '';
      return null;
    }
  }

  private draw(): void {
    const fillColor = Color.fromCssColorString(color('label'));
    const outlineColor = Color.fromCssColorString(color('halo'));
    const names = this.layer?.style.label ?? [];
    this.labels.removeAll();
    for (const { geometry, properties } of this.features) {
      const text = names.map((name) => properties[name]).find((value) => value !== null && value !== undefined);
      if (geometry?.type !== 'Point' || typeof text !== 'string') continue;
      const [lon, lat] = geometry.coordinates as [number, number];
      this.labels.add({
        position: Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + 1),
        text,
        font: '12px system-ui, "Noto Sans CJK SC", sans-serif',
        style: LabelStyle.FILL_AND_OUTLINE,
        fillColor,
        outlineColor,
        outlineWidth: 3,
        verticalOrigin: VerticalOrigin.BOTTOM,
        pixelOffset: new Cartesian2(0, -5),
        disableDepthTestDistance: Number.POSITIVE_INFINITY,
      });
    }
    this.scene.requestRender();
  }
}
