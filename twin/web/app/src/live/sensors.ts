/** Sensors: what is known of each. Their signs on the map: `sensor-signs.ts`. */

import { batch, computed, signal } from '@preact/signals-core';
import { bump, Cells } from './cells';
import type { LiveLayer } from './layer';
import { STATES, type SensorState } from './states';
import { Clusters } from './clusters';
import type { InSight, SensorColumns, StreamEvents, Totals } from './stream';

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

/** What the map must follow. */
export interface SensorView {
  /** New, or moved. */
  put(sensor: Sensor): void;
  remove(id: number): void;
  /** Its state is another. */
  repaint(sensor: Sensor): void;
  /** After all calls of one change, where there was one. */
  settle(): void;
}

export class Sensors implements LiveLayer {
  readonly id = 'sensors';
  readonly title = 'live.sensors';
  readonly all = new Map<number, Sensor>();
  /** Counts of those that are not known one by one. */
  readonly clusters = new Clusters();
  /** Of all of the city, where the server counts them. */
  readonly totals = signal<Totals | null>(null);
  private readonly cells = new Cells();
  private readonly members = signal(0);
  private readonly states = signal(0);
  private view: SensorView | null = null;

  /** How many there are in each state. */
  readonly counts = computed(() => {
    void this.states.value;
    if (this.totals.value) return this.totals.value.states;
    const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<SensorState, number>;
    for (const sensor of this.all.values()) counts[sensor.state] += 1;
    return counts;
  });

  readonly simulated = computed(() => {
    void this.members.value;
    if (this.totals.value) return this.totals.value.simulated;
    return [...this.all.values()].some((sensor) => sensor.simulated);
  });

  get count(): number {
    void this.members.value;
    return this.clusters.count.value || this.all.size;
  }

  /** One of them; whoever reads it while it is drawn follows this one alone. */
  get(id: number): Sensor | undefined {
    this.cells.track(id);
    return this.all.get(id);
  }

  /** All that stand where this one does, itself included, in the order of their ids. */
  station(sensor: Sensor): Sensor[] {
    void this.members.value;
    const place = placeOf(sensor);
    const found = [...this.all.values()].filter((one) => one.id === sensor.id || (place !== null && placeOf(one) === place));
    for (const { id } of found) this.cells.track(id);
    return found.sort((a, b) => a.id - b.id);
  }

  show(view: SensorView): void {
    this.view = view;
    for (const sensor of this.all.values()) view.put(sensor);
    view.settle();
  }

  /** All that is in view. */
  sight({ sensors, view, states }: InSight): void {
    batch(() => {
      this.totals.value = states ?? null;
      this.clusters.replace(view?.clusters ?? null);
      this.replace(sensors);
    });
  }

  replace(columns: SensorColumns): void {
    const kept = new Set(columns.id);
    batch(() => {
      for (const id of [...this.all.keys()].filter((one) => !kept.has(one))) {
        this.all.delete(id);
        this.view?.remove(id);
        this.cells.touch(id);
      }
      this.merge(columns);
    });
  }

  merge(columns: SensorColumns): void {
    batch(() => {
      columns.id.forEach((id, i) => {
        const sensor = row(columns, id, i);
        this.all.set(id, sensor);
        this.view?.put(sensor);
        this.cells.touch(id);
      });
      bump(this.members);
      bump(this.states);
    });
    this.view?.settle();
  }

  observe(data: StreamEvents['obs']): void {
    let repainted = false;
    batch(() => {
      data.id.forEach((id, i) => {
        const sensor = this.all.get(id);
        if (!sensor) return;
        const before = sensor.state;
        sensor.value = data.value[i] ?? null;
        sensor.time = data.time[i] ?? sensor.time;
        sensor.state = data.state[i] ?? before;
        this.cells.touch(id);
        if (sensor.state === before) return;
        repainted = true;
        this.view?.repaint(sensor);
      });
      if (repainted) bump(this.states);
    });
    // a value alone changes no sign: the scene rests
    if (repainted) this.view?.settle();
  }
}

/** Names the place of a sensor, which it may share with others of its station; null where it has none. */
export function placeOf({ lon, lat }: Sensor): string | null {
  return lon === null || lat === null ? null : `${lon},${lat}`;
}

/** The one whose state is the worst; of several the first. */
export function worst(sensors: readonly Sensor[]): Sensor | undefined {
  const [first, ...rest] = sensors;
  return rest.reduce(
    (found, one) => (found && STATES.indexOf(one.state) > STATES.indexOf(found.state) ? one : found),
    first,
  );
}

function row(columns: SensorColumns, id: number, i: number): Sensor {
  return {
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
}
