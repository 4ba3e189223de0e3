/** The signs of the sensors on the map: one collection, never an Entity each. */

import { effect } from '@preact/signals-core';
import { BillboardCollection, Cartesian3, HeightReference, type Billboard, type Scene } from '@cesium/engine';
import type { Ground } from '../map/ground';
import type { LiveSigns } from './layer';
import type { Sensor, Sensors, SensorView } from './sensors';
import { STATES, type SensorState } from './states';
import { sensorImage } from './symbols';

/** Metres above the ground. */
const ABOVE = 2;

export class SensorSigns implements SensorView, LiveSigns {
  private readonly signs = new Map<number, Billboard>();
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
  }

  get show(): boolean {
    return this.collection.show;
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene.requestRender();
  }

  put(sensor: Sensor): void {
    if (sensor.lon === null || sensor.lat === null) {
      this.remove(sensor.id);
      return;
    }
    const { lon, lat, id } = sensor;
    const position = Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + ABOVE);
    const sign = this.signs.get(id) ?? this.add(id, position);
    sign.position = position;
    this.paint(sign, sensor.state);
  }

  remove(id: number): void {
    const sign = this.signs.get(id);
    if (sign) this.collection.remove(sign);
    this.signs.delete(id);
  }

  repaint(sensor: Sensor): void {
    const sign = this.signs.get(sensor.id);
    if (sign) this.paint(sign, sensor.state);
  }

  settle(): void {
    this.scene.requestRender();
  }

  private add(id: number, position: Cartesian3): Billboard {
    const sign = this.collection.add({
      position,
      id: { kind: 'sensor', id },
      heightReference: HeightReference.NONE,
      // a raised sensor behind a building must still be seen
      disableDepthTestDistance: Number.POSITIVE_INFINITY,
    });
    this.signs.set(id, sign);
    return sign;
  }

  private paint(sign: Billboard, state: SensorState): void {
    sign.setImage(`${state} ${this.edition}`, this.images.get(state)!);
    const raised = state !== 'ok' && state !== 'stale';
    sign.width = sign.height = raised ? 26 : 22;
  }

  /** The pictures read the colours of the theme: drawn again with it. */
  private repaintAll(): void {
    this.images = new Map(STATES.map((state) => [state, sensorImage(state)]));
    this.edition += 1;
    for (const id of this.signs.keys()) this.repaint(this.sensors.all.get(id)!);
    this.settle();
  }
}
