/** The mark around the sign of what is chosen. */

import { effect } from '@preact/signals-core';
import { BillboardCollection, Cartesian3, VerticalOrigin, type Scene } from '@cesium/engine';
import type { App } from '../app';
import { isFeature, type Selection } from '../state';
import { PIN_ABOVE } from './incident-pins';
import { SENSOR_ABOVE } from './sensor-signs';
import { pinMark, ringMark } from './symbols';

interface Marked {
  lon: number;
  lat: number;
  above: number;
  pin: boolean;
}

/** Where the mark stands, and in which shape; null where nothing of the live layers is chosen, or it has no place. */
export function marked(app: Pick<App, 'sensors' | 'incidents'>, selection: Selection | null): Marked | null {
  if (!selection || isFeature(selection)) return null;
  const pin = selection.type === 'incident';
  const found = pin ? app.incidents.get(selection.id) : selection.type === 'sensor' ? app.sensors.get(selection.id) : undefined;
  if (!found || found.lon === null || found.lat === null) return null;
  return { lon: found.lon, lat: found.lat, above: pin ? PIN_ABOVE : SENSOR_ABOVE, pin };
}

export class ChosenSign {
  private readonly collection: BillboardCollection;

  constructor(
    private readonly app: App,
    private readonly scene: Scene,
  ) {
    this.collection = scene.primitives.add(new BillboardCollection({ scene })) as BillboardCollection;
    effect(() => this.draw());
    app.ground.follow(() => this.draw());
  }

  private draw(): void {
    const { live, selection } = this.app.store.get();
    const mark = marked(this.app, selection);
    this.collection.removeAll();
    if (mark && live[mark.pin ? 'incidents' : 'sensors'] !== false) {
      const { lon, lat, above, pin } = mark;
      this.collection.add({
        position: Cartesian3.fromDegrees(lon, lat, this.app.ground.at(lon, lat) + above),
        image: pin ? pinMark() : ringMark(),
        width: 52,
        height: 52,
        verticalOrigin: pin ? VerticalOrigin.BOTTOM : VerticalOrigin.CENTER,
        id: { kind: selection!.type, id: (selection as { id: number }).id },
        disableDepthTestDistance: Number.POSITIVE_INFINITY,
      });
    }
    this.scene.requestRender();
  }
}
