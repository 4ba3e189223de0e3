/** Incidents: the list of those that are known, and pins for the open ones. */

import { type Billboard, BillboardCollection, Cartesian3, VerticalOrigin, type Scene } from '@cesium/engine';
import type { Incident } from './stream';
import { incidentImage } from './symbols';

export class Incidents {
  readonly all = new Map<number, Incident>();
  private readonly pins = new Map<number, Billboard>();
  private readonly collection: BillboardCollection;
  private readonly images = new Map([1, 2, 3, 4].map((level) => [level, incidentImage(level)]));

  constructor(
    private readonly scene: Scene | null,
    private readonly ground: number,
    private readonly isFinal: (status: string) => boolean,
  ) {
    this.collection = new BillboardCollection(scene ? { scene } : {});
    if (scene) scene.primitives.add(this.collection);
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene?.requestRender();
  }

  get pinned(): number[] {
    return [...this.pins.keys()];
  }

  isOpen(incident: Incident): boolean {
    return !this.isFinal(incident.status);
  }

  /** Open ones first, then by level (1 is the worst), then the newest. */
  sorted(): Incident[] {
    return [...this.all.values()].sort(
      (a, b) =>
        Number(this.isOpen(b)) - Number(this.isOpen(a)) ||
        a.level - b.level ||
        b.reported.localeCompare(a.reported) ||
        b.id - a.id,
    );
  }

  replace(list: Incident[]): void {
    this.all.clear();
    for (const id of [...this.pins.keys()]) this.unpin(id);
    for (const incident of list) this.put(incident);
  }

  /** Newer knowledge of one incident; an answer that was overtaken by an event is ignored. */
  put(incident: Incident): void {
    const known = this.all.get(incident.id);
    if (known && known.revision > incident.revision) return;
    this.all.set(incident.id, incident);
    this.pin(incident);
    this.scene?.requestRender();
  }

  private unpin(id: number): void {
    const pin = this.pins.get(id);
    if (pin) this.collection.remove(pin);
    this.pins.delete(id);
  }

  private pin(incident: Incident): void {
    const { id, lon, lat, level } = incident;
    if (!this.scene) return;
    if (lon === null || lat === null || !this.isOpen(incident)) {
      this.unpin(id);
      return;
    }
    const position = Cartesian3.fromDegrees(lon, lat, this.ground + 1);
    const pin =
      this.pins.get(id) ??
      this.collection.add({
        position,
        id: { kind: 'incident', id },
        width: 34,
        height: 34,
        verticalOrigin: VerticalOrigin.BOTTOM,
        disableDepthTestDistance: Number.POSITIVE_INFINITY,
      });
    pin.position = position;
    pin.setImage(`level${level}`, this.images.get(level) ?? this.images.get(4)!);
    this.pins.set(id, pin);
  }
}
