/** The pins of the open incidents on the map. */

import { effect } from '@preact/signals-core';
import { BillboardCollection, Cartesian3, VerticalOrigin, type Billboard, type Scene } from '@cesium/engine';
import type { Ground } from '../map/ground';
import type { Incidents, IncidentView } from './incidents';
import type { Obstacle } from '../layers/labels';
import type { LiveSigns } from './layer';
import type { Incident } from './stream';
import { incidentImage } from './symbols';

const LEVELS = [1, 2, 3, 4];
/** Metres above the ground. */
export const PIN_ABOVE = 1;
const SIZE = 34;
/** More of them cover the map anyway. */
export const MOST_KEPT_CLEAR = 300;

export class IncidentPins implements IncidentView, LiveSigns {
  private readonly pins = new Map<number, Billboard>();
  private readonly collection: BillboardCollection;
  private images = new Map<number, HTMLCanvasElement>();
  /** Names the pictures to the engine, which keeps them by name. */
  private edition = 0;

  constructor(
    private readonly scene: Scene,
    private readonly ground: Ground,
    private readonly incidents: Incidents,
  ) {
    this.collection = scene.primitives.add(new BillboardCollection({ scene })) as BillboardCollection;
    effect(() => this.repaintAll());
    incidents.show(this);
    ground.follow(() => this.stand());
  }

  get show(): boolean {
    return this.collection.show;
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene.requestRender();
  }

  put({ id, lon, lat, level }: Incident): void {
    const position = Cartesian3.fromDegrees(lon!, lat!, this.ground.at(lon!, lat!) + PIN_ABOVE);
    const pin = this.pins.get(id) ?? this.add(id, position);
    pin.position = position;
    this.paint(pin, level);
  }

  /** The ground is known better. */
  private stand(): void {
    for (const id of this.pins.keys()) {
      const incident = this.incidents.all.get(id);
      if (incident) this.put(incident);
    }
  }

  remove(id: number): void {
    const pin = this.pins.get(id);
    if (pin) this.collection.remove(pin);
    this.pins.delete(id);
  }

  settle(): void {
    this.scene.requestRender();
  }

  /** What no name may cover, as long as they are few. */
  places(): Obstacle[] {
    if (!this.show || this.pins.size > MOST_KEPT_CLEAR) return [];
    return [...this.pins.values()].map(({ position }) => ({ position, size: SIZE }));
  }

  private add(id: number, position: Cartesian3): Billboard {
    const pin = this.collection.add({
      position,
      id: { kind: 'incident', id },
      width: SIZE,
      height: SIZE,
      verticalOrigin: VerticalOrigin.BOTTOM,
      disableDepthTestDistance: Number.POSITIVE_INFINITY,
    });
    this.pins.set(id, pin);
    return pin;
  }

  private paint(pin: Billboard, level: number): void {
    pin.setImage(`level${level} ${this.edition}`, this.images.get(level) ?? this.images.get(4)!);
  }

  /** The pictures read the colours of the theme: drawn again with it. */
  private repaintAll(): void {
    this.images = new Map(LEVELS.map((level) => [level, incidentImage(level)]));
    this.edition += 1;
    for (const [id, pin] of this.pins) this.paint(pin, this.incidents.all.get(id)?.level ?? 4);
    this.settle();
  }
}
