/** The signs of the sensors on the map: one for each place, which shows the worst state that is measured there. */

import { effect } from '@preact/signals-core';
import { BillboardCollection, Cartesian3, HeightReference, type Billboard, type Scene } from '@cesium/engine';
import type { Obstacle } from '../layers/labels';
import type { Ground } from '../map/ground';
import { MOST_KEPT_CLEAR } from './incident-pins';
import type { LiveSigns } from './layer';
import { placeOf, worst, type Sensor, type Sensors, type SensorView } from './sensors';
import { STATES, type SensorState } from './states';
import { sensorImage } from './symbols';

/** Metres above the ground. */
export const SENSOR_ABOVE = 2;

interface Station {
  members: Set<number>;
  sign: Billboard;
}

export class SensorSigns implements SensorView, LiveSigns {
  private readonly stations = new Map<string, Station>();
  /** The place of each sensor that has a sign. */
  private readonly placed = new Map<number, string>();
  private readonly collection: BillboardCollection;
  private images = new Map<SensorState, HTMLCanvasElement>();
  /** Names the pictures to the engine, which keeps them by name. */
  private edition = 0;

  constructor(
    private readonly scene: Scene,
    private readonly ground: Ground,
    private readonly sensors: Sensors,
  ) {
    this.collection = scene.primitives.add(new BillboardCollection({ scene })) as BillboardCollection;
    effect(() => this.repaintAll());
    sensors.show(this);
    ground.follow(() => this.stand());
  }

  get show(): boolean {
    return this.collection.show;
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene.requestRender();
  }

  /** What no name may cover, as long as they are few. */
  places(): Obstacle[] {
    if (!this.show || this.stations.size > MOST_KEPT_CLEAR) return [];
    return [...this.stations.values()].map(({ sign }) => ({ position: sign.position, size: sign.height ?? 0 }));
  }

  put(sensor: Sensor): void {
    const place = placeOf(sensor);
    const before = this.placed.get(sensor.id);
    if (before !== undefined && before !== place) this.remove(sensor.id);
    if (place === null) return;
    const station = this.stations.get(place) ?? this.open(place, sensor);
    station.members.add(sensor.id);
    this.placed.set(sensor.id, place);
    this.paint(station);
  }

  remove(id: number): void {
    const place = this.placed.get(id);
    const station = place === undefined ? undefined : this.stations.get(place);
    if (place === undefined || !station) return;
    this.placed.delete(id);
    station.members.delete(id);
    if (station.members.size > 0) {
      this.paint(station);
      return;
    }
    this.collection.remove(station.sign);
    this.stations.delete(place);
  }

  repaint(sensor: Sensor): void {
    const station = this.stations.get(this.placed.get(sensor.id) ?? '');
    if (station) this.paint(station);
  }

  settle(): void {
    this.scene.requestRender();
  }

  private place(lon: number, lat: number): Cartesian3 {
    return Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + SENSOR_ABOVE);
  }

  /** The ground is known better. */
  private stand(): void {
    for (const { members, sign } of this.stations.values()) {
      const [first] = members;
      const sensor = first === undefined ? undefined : this.sensors.all.get(first);
      if (sensor && sensor.lon !== null && sensor.lat !== null) sign.position = this.place(sensor.lon, sensor.lat);
    }
  }

  private open(place: string, { id, lon, lat }: Sensor): Station {
    const sign = this.collection.add({
      position: this.place(lon!, lat!),
      id: { kind: 'sensor', id },
      heightReference: HeightReference.NONE,
      // a raised sensor behind a building must still be seen
      disableDepthTestDistance: Number.POSITIVE_INFINITY,
    });
    const station = { members: new Set<number>(), sign };
    this.stations.set(place, station);
    return station;
  }

  private paint({ members, sign }: Station): void {
    const shown = worst([...members].flatMap((id) => this.sensors.all.get(id) ?? []));
    if (!shown) return;
    const { id, state } = shown;
    if ((sign.id as { id: number }).id !== id) sign.id = { kind: 'sensor', id };
    sign.setImage(`${state} ${this.edition}`, this.images.get(state)!);
    const raised = state !== 'ok' && state !== 'stale';
    sign.width = sign.height = raised ? 26 : 22;
  }

  /** The pictures read the colours of the theme: drawn again with it. */
  private repaintAll(): void {
    this.images = new Map(STATES.map((state) => [state, sensorImage(state)]));
    this.edition += 1;
    for (const station of this.stations.values()) this.paint(station);
    this.settle();
  }
}
