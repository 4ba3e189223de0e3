/** Sensors: what is known of each, and their signs on the map. */

import {
  type Billboard,
  BillboardCollection,
  Cartesian3,
  HeightReference,
  type Scene,
} from '@cesium/engine';
import type { SensorColumns, StreamEvents } from './stream';
import { sensorImage, type SensorState } from './symbols';

export interface Sensor {
  id: number;
  name: string;
  property: string;
  unit: string;
  lon: number | null;
  lat: number | null;
  value: number | null;
  time: number | null;
  state: SensorState;
  simulated: boolean;
}

const STATES: SensorState[] = ['ok', 'stale', 'blue', 'yellow', 'orange', 'red'];
const ORDER = new Map(STATES.map((state, index) => [state, index]));

/** Worst first; what is silent stands between what is raised and what is well. */
export function bySeverity(a: Sensor, b: Sensor): number {
  return (ORDER.get(b.state) ?? 0) - (ORDER.get(a.state) ?? 0) || a.name.localeCompare(b.name);
}

export class Sensors {
  readonly all = new Map<number, Sensor>();
  private readonly signs = new Map<number, Billboard>();
  private readonly collection: BillboardCollection;
  private readonly images = new Map<SensorState, HTMLCanvasElement>();

  constructor(
    private readonly scene: Scene | null,
    private readonly ground: number,
  ) {
    this.collection = new BillboardCollection(scene ? { scene } : {});
    if (scene) scene.primitives.add(this.collection);
    for (const state of STATES) this.images.set(state, sensorImage(state));
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene?.requestRender();
  }

  replace(columns: SensorColumns): void {
    const kept = new Set(columns.id);
    for (const [id, sign] of this.signs) {
      if (kept.has(id)) continue;
      this.collection.remove(sign);
      this.signs.delete(id);
    }
    for (const id of [...this.all.keys()]) {
      if (!kept.has(id)) this.all.delete(id);
    }
    this.merge(columns);
  }

  merge(columns: SensorColumns): void {
    columns.id.forEach((id, i) => {
      const sensor: Sensor = {
        id,
        name: columns.name[i] ?? String(id),
        property: columns.property[i] ?? '',
        unit: columns.unit[i] ?? '',
        lon: columns.lon[i] ?? null,
        lat: columns.lat[i] ?? null,
        value: columns.value[i] ?? null,
        time: columns.time[i] ?? null,
        state: columns.state[i] ?? 'ok',
        simulated: columns.simulated[i] ?? false,
      };
      this.all.set(id, sensor);
      this.draw(sensor);
    });
    this.scene?.requestRender();
  }

  observe(data: StreamEvents['obs']): void {
    data.id.forEach((id, i) => {
      const sensor = this.all.get(id);
      if (!sensor) return;
      const before = sensor.state;
      sensor.value = data.value[i] ?? null;
      sensor.time = data.time[i] ?? sensor.time;
      sensor.state = data.state[i] ?? before;
      if (sensor.state !== before) this.paint(sensor);
    });
    this.scene?.requestRender();
  }

  counts(): Record<SensorState, number> {
    const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<SensorState, number>;
    for (const sensor of this.all.values()) counts[sensor.state] += 1;
    return counts;
  }

  private draw(sensor: Sensor): void {
    if (!this.scene || sensor.lon === null || sensor.lat === null) return;
    const position = Cartesian3.fromDegrees(sensor.lon, sensor.lat, this.ground + 2);
    const sign = this.signs.get(sensor.id);
    if (sign) {
      sign.position = position;
    } else {
      this.signs.set(
        sensor.id,
        this.collection.add({
          position,
          id: { kind: 'sensor', id: sensor.id },
          width: 24,
          height: 24,
          heightReference: HeightReference.NONE,
          // a raised sensor behind a building must still be seen
          disableDepthTestDistance: Number.POSITIVE_INFINITY,
        }),
      );
    }
    this.paint(sensor);
  }

  private paint(sensor: Sensor): void {
    const sign = this.signs.get(sensor.id);
    if (!sign) return;
    sign.setImage(sensor.state, this.images.get(sensor.state)!);
    const raised = sensor.state !== 'ok' && sensor.state !== 'stale';
    sign.width = sign.height = raised ? 26 : 22;
  }
}
