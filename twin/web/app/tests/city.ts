/** A small city for tests: its configuration as the server would send it, and a page without a map. */

import { signal } from '@preact/signals-core';
import type { App } from '../src/app';
import { followLayers, type CityConfig, type LayerConfig } from '../src/config';
import { Edits } from '../src/editing/edits';
import { readLink } from '../src/link';
import { Incidents } from '../src/live/incidents';
import { Sensors } from '../src/live/sensors';
import type { Incident, SensorColumns } from '../src/live/stream';
import { flatGround } from '../src/map/ground';
import { editor } from '../src/session';
import { Store } from '../src/state';

export function layer(id: string, more: Partial<LayerConfig> = {}): LayerConfig {
  return {
    id,
    kind: 'feature',
    group: 'Test',
    title: { en: id },
    geometryType: 'Polygon',
    count: 3,
    extent: [24.9, 60.1, 25, 60.2],
    visible: true,
    edits: ['create', 'update', 'delete'],
    buried: false,
    label: [['name']],
    fields: [],
    style: { color: { property: null, values: {}, default: '#336699' }, legend: [{ title: { en: id }, color: '#336699' }] },
    vector: { url: `tiles/${id}/{z}/{x}/{y}.mvt`, minzoom: 0, maxzoom: 22 },
    related: null,
    scene: null,
    ...more,
  };
}

export function city(...layers: LayerConfig[]): CityConfig {
  return followLayers({
    title: { en: 'Test city', 'zh-CN': '测试市' },
    languages: ['zh-CN', 'en'],
    timeZone: 'Asia/Shanghai',
    view: { lon: 24.95, lat: 60.15, height: 900, heading: 0, pitch: -45 },
    surroundings: [24.8, 60, 25.1, 60.3],
    ground: 3,
    credits: [],
    mapApprovalNo: null,
    layers,
    levels: [],
    workflow: { states: { reported: { title: { en: 'Reported' } }, closed: { title: { en: 'Closed' }, final: true } }, actions: {} },
    thresholds: {},
    kept: null,
    stream: 'stream',
  });
}

/** The page as a browser without WebGL has it: everything but the map. */
export function page(config: CityConfig, hash = '#lang=en'): App {
  const sensors = new Sensors();
  const incidents = new Incidents((id) => config.workflow.states[id]?.final === true);
  return {
    config,
    store: new Store(readLink(hash, config)),
    map: null,
    ground: flatGround(config.ground),
    edits: new Edits(config, editor()),
    sensors,
    incidents,
    live: [sensors, incidents],
    cursor: null,
    surface: signal(null),
    highlights: signal(new Map()),
    names: null,
    stream: null,
    known: Promise.resolve(),
    over: null,
    events: new EventTarget(),
  };
}

export function sensors(...ids: number[]): SensorColumns {
  return {
    id: ids,
    name: ids.map((id) => `Sensor ${id}`),
    property: ids.map(() => 'pressure'),
    unit: ids.map(() => 'MPa'),
    lon: ids.map(() => 24.95),
    lat: ids.map(() => 60.15),
    value: ids.map(() => 1),
    time: ids.map(() => 1000),
    state: ids.map(() => 'ok'),
    simulated: ids.map(() => false),
  };
}

export function incident(id: number, more: Partial<Incident> = {}): Incident {
  return {
    id,
    code: `C${id}`,
    title: `Incident ${id}`,
    description: null,
    class: null,
    level: 3,
    status: 'reported',
    lon: 24.95,
    lat: 60.15,
    address: null,
    source: null,
    simulated: false,
    reported: '2026-11-28T08:00:00Z',
    changed: '2026-11-28T08:00:00Z',
    revision: 1,
    sensor: null,
    actions: [],
    ...more,
  };
}
