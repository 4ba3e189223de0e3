/** What the panels share: the city, the state, the map and the live data. */

import type { CesiumWidget, Scene } from '@cesium/engine';
import type { CityConfig, LayerConfig } from './config';
import type { LayerSet } from './layers/layers';
import type { Incidents } from './live/incidents';
import type { Sensors } from './live/sensors';
import type { Incident, LiveStream } from './live/stream';
import type { CityCamera } from './map/camera';
import type { Picker } from './map/pick';
import type { Selection, Store } from './state';

export interface MapParts {
  widget: CesiumWidget;
  scene: Scene;
  camera: CityCamera;
  layers: LayerSet;
  picker: Picker;
}

export interface App {
  config: CityConfig;
  store: Store;
  /** Absent where the browser has no WebGL 2: lists and search still work. */
  map: MapParts | null;
  sensors: Sensors;
  incidents: Incidents;
  stream: LiveStream | null;
  /** `change`: live data changed. `swap`: a tile of the layer in `detail` was redrawn. */
  events: EventTarget;
}

export function layerConfig(app: App, id: string): LayerConfig | undefined {
  return app.config.layers.find((layer) => layer.id === id);
}

export function select(app: App, selection: Selection | null): void {
  const { right } = app.store.get();
  app.store.set({ selection, right: selection ? 'card' : right === 'card' ? null : right });
}

/** Chooses an incident and goes there. */
export function showIncident(app: App, incident: Incident): void {
  select(app, { type: 'incident', id: incident.id });
  if (incident.lon !== null && incident.lat !== null) app.map?.camera.flyTo(incident.lon, incident.lat, 500);
}

export function levelName(level: number): `level.${1 | 2 | 3 | 4}` {
  return `level.${Math.min(Math.max(level, 1), 4) as 1 | 2 | 3 | 4}`;
}
