/** What the panels share: the city, the state, the map and the live data. */

import type { Signal } from '@preact/signals-core';
import type { Cartesian2, CesiumWidget, Scene } from '@cesium/engine';
import { getFeature, getJson } from './api';
import type { CityConfig, LayerConfig } from './config';
import { placeText } from './editing/change';
import type { Edits } from './editing/edits';
import type { MapNames } from './layers/labels';
import type { Highlight } from './layers/form';
import type { LayerSet } from './layers/layers';
import type { Incidents } from './live/incidents';
import type { LiveLayer } from './live/layer';
import type { Cluster } from './live/clusters';
import type { Sensors } from './live/sensors';
import type { Incident, LiveStream } from './live/stream';
import type { CityCamera } from './map/camera';
import type { CursorPlace } from './map/cursor';
import type { Ground } from './map/ground';
import type { ImageryStack } from './map/imagery';
import type { TerrainGround } from './map/terrain';
import type { Surface } from './map/glb';
import type { Picker } from './map/pick';
import { chosenMoment } from './past';
import { readPlace, type Place } from './place';
import { isFeature, sameSelection, type FeatureSelection, type LiveSelection, type Selection, type Store } from './state';

/** The least distance from which a place is looked at, in metres. */
const NEAR = 350;
/** From how far a sensor or an incident is looked at. */
const LIVE_RANGE = 500;
/** A drawer on the right with its margin, and from which width on two of them stand beside the map (style.css). */
const DRAWER = 350;
const SIDE_BY_SIDE = 1000;
const METRES_PER_DEGREE = 111_320;

export interface MapParts {
  widget: CesiumWidget;
  scene: Scene;
  ground: Ground;
  /** Null where the city has none. */
  terrain: TerrainGround | null;
  camera: CityCamera;
  layers: LayerSet;
  imagery: ImageryStack;
  picker: Picker;
}

export interface App {
  config: CityConfig;
  store: Store;
  /** The surface of the chosen feature that was clicked on. */
  surface: Signal<Surface | null>;
  /** What is different in models, by layer, for who draws these. */
  highlights: Signal<ReadonlyMap<string, Highlight>>;
  /** Absent where the browser has no WebGL 2: lists and search still work. */
  map: MapParts | null;
  ground: Ground;
  /** What is changed and not saved. */
  edits: Edits;
  sensors: Sensors;
  incidents: Incidents;
  /** All that come over the stream, as the layer tree lists them. */
  live: readonly LiveLayer[];
  /** The place that is read; null without a map. */
  cursor: CursorPlace | null;
  /** What is written on the map. */
  names: MapNames | null;
  stream: LiveStream | null;
  /** Settles when the first snapshot of the live data is there. */
  known: Promise<void>;
  /** Asked before what is under a click: whether it was meant for what is drawn over the map. */
  over: ((position: Cartesian2) => boolean) | null;
  /** `swap`: a tile of the layer in `detail` was redrawn; `saved`: edits of it were; `edited`: something of the city has
   * changed; `back`: the server answers again. */
  events: EventTarget;
}

export function layerConfig(app: App, id: string): LayerConfig | undefined {
  return app.config.layers.find((layer) => layer.id === id);
}

export function select(app: App, selection: Selection | null): void {
  app.surface.value = null;
  app.store.set({ selection });
}

/** Chooses what is under a click; of which of its surfaces that is comes a moment later. */
export async function selectAt(app: App, position: Cartesian2, touch: boolean): Promise<void> {
  const picker = app.map?.picker;
  const selection = picker?.at(position, touch) ?? null;
  select(app, selection);
  if (!picker || !isFeature(selection)) return;
  const surface = await picker.surface(position, selection).catch(() => null);
  if (sameSelection(selection, app.store.get().selection)) app.surface.value = surface;
}

/** Where to look at coordinates from, as GeoJSON nests them: the middle of their box, and how far away. */
function overview(coordinates: unknown): [lon: number, lat: number, range: number] | null {
  const box = [Infinity, Infinity, -Infinity, -Infinity] as [number, number, number, number];
  const walk = (value: unknown): void => {
    if (!Array.isArray(value)) return;
    if (typeof value[0] !== 'number') {
      value.forEach(walk);
      return;
    }
    const [x, y] = value as [number, number];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  };
  walk(coordinates);
  if (!Number.isFinite(box[0])) return null;
  const [west, south, east, north] = box;
  const lat = (south + north) / 2;
  const wide = (east - west) * Math.cos((lat * Math.PI) / 180);
  return [(west + east) / 2, lat, Math.max(NEAR, 1.5 * METRES_PER_DEGREE * Math.hypot(wide, north - south))];
}

/** Metres around the earth, as the web map has it. */
const EQUATOR = 40_075_017;

/** Goes to a place and, where it is that of a feature, chooses this and shows its layer. */
export function goTo(app: App, coordinates: unknown, feature: FeatureSelection | null): void {
  if (feature) {
    select(app, feature);
    if (!sameSelection(app.store.get().selection, feature)) return;
    app.store.setLayer(feature.layer, { visible: true });
  }
  const at = overview(coordinates);
  if (at) app.map?.camera.flyTo(...at, covered(app) / 2);
}

/** Goes to a cell of counted sensors, so near that the picture is about that cell. */
export function openCluster(app: App, { lon, lat, zoom }: Cluster): void {
  const wide = (EQUATOR * Math.cos((lat * Math.PI) / 180)) / 2 ** zoom;
  app.map?.camera.flyTo(lon, lat, wide, covered(app) / 2);
}

/** The place of something of a live layer, or of a feature that is not saved, when it is known; null where it has none. */
async function livePlace(app: App, { type, id }: LiveSelection): Promise<Place | null> {
  if (type === 'new') {
    const change = app.edits.made(id);
    return change ? readPlace(placeText(change)) : null;
  }
  if (type === 'incident') {
    const { lon, lat } = app.incidents.all.get(id) ?? (await getJson<Incident>(`incidents/${id}`));
    return lon === null || lat === null ? null : [lon, lat];
  }
  await app.known;
  const sensor = app.sensors.all.get(id);
  return sensor?.lon == null || sensor.lat == null ? null : [sensor.lon, sensor.lat];
}

/** Goes to what a link names without saying from where to look (`#s=layer:fid`, `#s=incident:id`). */
export async function visit(app: App, hash: string): Promise<void> {
  const { selection } = app.store.get();
  if (!selection || new URLSearchParams(hash.replace(/^#/, '')).has('v')) return;
  try {
    if (!isFeature(selection)) {
      const at = await livePlace(app, selection);
      if (at && sameSelection(selection, app.store.get().selection)) app.map?.camera.flyTo(...at, LIVE_RANGE, covered(app) / 2);
      return;
    }
    const { value } = await getFeature(selection.layer, selection.fid, chosenMoment(app.store.get(), selection));
    goTo(app, value.geometry?.coordinates, selection);
  } catch {
    // the card tells what is wrong
  }
}

/** Opens a panel on the right, and closes the card where this would lie over it. */
export function openRight({ store }: Pick<App, 'store'>, right: string, width = window.innerWidth): void {
  store.set({ right, ...(width > SIDE_BY_SIDE ? {} : { selection: null }) });
}

/** The pixels on the right that list and card cover, where the map is seen beside them. */
export function covered({ store }: Pick<App, 'store'>, width = window.innerWidth): number {
  const { right, selection } = store.get();
  return beside(width) ? DRAWER * (Number(right !== null) + Number(selection !== null)) : 0;
}

/** Whether list and card stand beside one another. */
export const beside = (width = window.innerWidth): boolean => width > SIDE_BY_SIDE;

/** Opens the list of what is not saved; a card that would lie over it is closed. */
export function review({ store }: App): void {
  store.set({ right: 'edits', ...(beside() ? {} : { selection: null }) });
}

/** Chooses an incident and goes there. */
export function showIncident(app: App, { id, lon, lat }: Incident): void {
  select(app, { type: 'incident', id });
  const { selection } = app.store.get();
  if (lon !== null && lat !== null && sameSelection(selection, { type: 'incident', id })) app.map?.camera.flyTo(lon, lat, LIVE_RANGE, covered(app) / 2);
}

export function levelName(level: number): `level.${1 | 2 | 3 | 4}` {
  return `level.${Math.min(Math.max(level, 1), 4) as 1 | 2 | 3 | 4}`;
}
