/** The event stream: one connection, resumed by the browser with Last-Event-ID. */

import { signal } from '@preact/signals-core';
import type { SensorState } from './states';

export interface SensorColumns {
  id: number[];
  name: string[];
  property: string[];
  unit: string[];
  lon: number[];
  lat: number[];
  value: (number | null)[];
  time: (number | null)[];
  state: SensorState[];
  simulated: boolean[];
}

export interface Incident {
  id: number;
  code: string;
  title: string;
  description: string | null;
  class: string | null;
  level: number;
  status: string;
  lon: number | null;
  lat: number | null;
  address: string | null;
  source: string | null;
  simulated: boolean;
  reported: string;
  changed: string;
  revision: number;
  sensor: number | null;
  actions: { action: string; title: Record<string, string>; to: string }[];
  log?: { at: string; actor: string; action: string; from: string | null; to: string; note: string | null }[];
}

/** How many incidents are open, by level; the server counts also those that the page does not know. */
export type OpenCounts = Record<string, number>;

/** Counts of sensors by cell of the web map's quadtree; `states` in the order of STATES. */
export interface ClusterColumns {
  zoom: number;
  x: number[];
  y: number[];
  lon: number[];
  lat: number[];
  count: number[];
  states: number[][];
  /** These and no other; else those that changed. */
  whole?: boolean;
}

/** Of all sensors of the city. */
export interface Totals {
  states: Record<SensorState, number>;
  simulated: boolean;
}

export type Box = readonly [west: number, south: number, east: number, north: number];

/** What is in view: sensors one by one, or counts where there are too many. */
export interface InSight {
  sensors: SensorColumns;
  view?: { box: Box; clusters: ClusterColumns | null };
  states?: Totals;
}

export interface StreamEvents {
  snapshot: InSight & { time: string; incidents: Incident[]; open_incidents: OpenCounts };
  view: InSight;
  clusters: ClusterColumns;
  states: Totals;
  open_incidents: OpenCounts;
  obs: { id: number[]; value: (number | null)[]; time: (number | null)[]; state: SensorState[] };
  sensors: SensorColumns;
  incident: Incident;
  tiles: { url: string; version: string }[];
  layers: { id: string; generation: number };
}

export type Handlers = { [Name in keyof StreamEvents]: (data: StreamEvents[Name]) => void };

/** A heartbeat comes every 15 s, but EventSource hides comments: this long without events is no fault. */
const REOPEN_MS = 5000;

export class LiveStream {
  private source: EventSource | null = null;
  /** Whether the connection is up. */
  readonly connected = signal(false);
  /** When the last observation came (ms; 0 for none yet). */
  heard = 0;
  snapshots = 0;
  /** How often another view was asked for. */
  moves = 0;
  /** The id of the last event. */
  private last = '';

  constructor(
    private readonly url: string,
    /** What of it is wanted, as a query. */
    private readonly wanted: () => string,
    private readonly handlers: Handlers,
  ) {
    this.open();
    window.addEventListener('pagehide', () => this.source?.close());
    window.addEventListener('pageshow', (event) => {
      if (event.persisted) this.open();
    });
  }

  /** Something else is wanted: it goes on with that where it is. */
  move(): void {
    this.moves += 1;
    this.source?.close();
    this.open();
  }

  private open(): void {
    const query = [this.wanted(), this.last && `last_event_id=${this.last}`].filter(Boolean).join('&');
    const source = new EventSource(query ? `${this.url}?${query}` : this.url);
    this.source = source;
    source.addEventListener('open', () => this.status(true));
    source.addEventListener('error', () => {
      this.status(false);
      // the browser gives up after an HTTP error: a server that starts again answers later
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => {
        if (this.source === source) this.open();
      }, REOPEN_MS);
    });
    for (const name of Object.keys(this.handlers) as (keyof StreamEvents)[]) {
      source.addEventListener(name, (event) => {
        if (name === 'obs') this.heard = Date.now();
        if (name === 'snapshot') this.snapshots += 1;
        this.last = (event as MessageEvent<string>).lastEventId;
        const data = JSON.parse((event as MessageEvent<string>).data) as never;
        (this.handlers[name] as (value: never) => void)(data);
      });
    }
  }

  private status(connected: boolean): void {
    this.connected.value = connected;
  }
}
