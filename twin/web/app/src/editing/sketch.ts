/** The points that are put somewhere and not saved, as dots on the map; and the mode in which they are put there. */

import { effect, signal } from '@preact/signals-core';
import { Cartesian3, Color, PointPrimitiveCollection, type Scene } from '@cesium/engine';
import { select, type App } from '../app';
import { pointerModes } from '../map/pointer';
import { readPlace, writePlace } from '../place';
import { PICK, PUT_POINT } from '../state';
import { color } from '../tokens';
import { placeText, type Change } from './change';

const SIZE = 11;

/** What is put at the next click: a new feature of a layer, or the point of a change or of a feature. */
export type Putting = { layer: string } | { put(text: string): void };

export const putting = signal<Putting | null>(null);

/** Waits for a click on the map. */
export function putPoint({ store }: App, what: Putting): void {
  putting.value = what;
  store.set({ pointer: PUT_POINT });
}

/** A new point of a layer, at a place as it is written; its card is opened. */
export function addPoint(app: App, layer: string, text: string): void {
  const id = app.edits.create(layer, text);
  app.store.setLayer(layer, { visible: true });
  select(app, { type: 'new', id });
}

pointerModes.register({
  id: PUT_POINT,
  cursor: 'crosshair',
  click(app, position) {
    const at = app.map?.picker.ground(position);
    const what = putting.peek();
    if (!at || !what || app.store.get().at !== null) return;
    const text = writePlace([at.lon, at.lat]);
    app.store.set({ pointer: PICK });
    if ('layer' in what) addPoint(app, what.layer, text);
    else what.put(text);
  },
  leave: () => {
    putting.value = null;
  },
});

export class Sketch {
  private readonly points: PointPrimitiveCollection;

  constructor(
    private readonly app: App,
    private readonly scene: Scene,
  ) {
    this.points = scene.primitives.add(new PointPrimitiveCollection()) as PointPrimitiveCollection;
    effect(() => this.draw());
    app.ground.follow(() => this.draw());
  }

  private draw(): void {
    const { at, selection } = this.app.store.get();
    this.points.removeAll();
    if (at === null) {
      for (const change of this.app.edits.changes.values()) {
        if (change.place !== undefined) this.dot(change, selection?.type === 'new' && 'id' in selection && selection.id === change.fid);
      }
    }
    this.scene.requestRender();
  }

  private dot(change: Change, isChosen: boolean): void {
    const place = readPlace(placeText(change));
    if (!place) return;
    const [lon, lat] = place;
    this.points.add({
      position: Cartesian3.fromDegrees(lon, lat, this.app.ground.at(lon, lat)),
      pixelSize: isChosen ? SIZE + 4 : SIZE,
      color: Color.fromCssColorString(color(isChosen ? 'selected' : 'unsaved')),
      outlineColor: Color.fromCssColorString(color(isChosen ? 'unsaved' : 'halo')),
      outlineWidth: 2,
      id: change.action === 'create' ? { kind: 'new', id: change.fid } : undefined,
      disableDepthTestDistance: Number.POSITIVE_INFINITY,
    });
  }
}
