/**
 * `window.twin`: what tests and scripts may ask of an open page.
 *
 * ready(ms?)               resolves when the globe and every shown layer have loaded the view
 * pick(lon, lat, h?)       what stands at a place (degrees, metres) as the user would pick it:
 *                          {type:'feature',layer,fid} | {type:'sensor',id} | {type:'incident',id} | null;
 *                          undefined when the place is not in the picture
 * pickWindow(x, y)         the same at a canvas position (CSS pixels)
 * attributes(lon, lat, h?) what the drawn feature there carries in its tile
 * window(lon, lat, h?)     where that place is on the canvas (CSS pixels), or null
 * state()                  the state of the page      set(patch)  changes it as the interface would
 * counts()                 {sensors, incidents, pins, states, clusters, counted, moves}
 * clusters()               the cells of counted sensors
 * names()                  what is written on the map
 * sensor(id), incident(id) what the page knows of one
 * tiles()                  per layer and form: loaded tile URLs, exchanges done, refreshes under way, bytes held, tiles drawn
 * work()                   slices of work beside drawing, and the most features of one
 * refresher(layer, form)   the TileRefresher, for changed(url, version)
 * trim(layer, form)        drops the tiles that are not in view
 * bound(layer, form, n)    keeps so many bytes of tiles that are not in view
 * clip(layer, [lon,lat,…]) cuts a layer's solids by a polygon (none: undefined)
 * heights([[lon,lat],…])   the terrain at places, from its finest tiles (m); null where there is none
 * scene                    the engine's scene
 * cacheEntries()           size of the engine's resource cache
 * renders()                how often the panels of each tag were drawn since the page was opened
 */

import {
  Cartesian2,
  Cartesian3,
  Cartographic,
  ClippingPolygon,
  ClippingPolygonCollection,
  ResourceCache,
  sampleTerrainMostDetailed,
} from '@cesium/engine';
import type { App } from './app';
import { Tiled } from './layers/tiled';
import type { ChosenTileset } from './map/internals';
import { sceneReady } from './map/ready';
import type { TileRefresher } from './map/refresher';
import { worked } from './map/work';
import { renders } from './panels/panel';
import type { Selection, State } from './state';

export interface TwinHook {
  ready(timeout?: number): Promise<void>;
  pick(lon: number, lat: number, height?: number): Selection | null | undefined;
  pickWindow(x: number, y: number): Selection | null;
  attributes(lon: number, lat: number, height?: number): Record<string, unknown> | null;
  window(lon: number, lat: number, height?: number): { x: number; y: number } | null;
  state(): Readonly<State>;
  set(patch: Partial<State>): void;
  counts(): { sensors: number; incidents: number; pins: number; states: Record<string, number>; clusters: number; counted: number; moves: number };
  clusters(): unknown[];
  names(): readonly string[];
  sensor(id: number): unknown;
  incident(id: number): unknown;
  tiles(): { layer: string; form: string; urls: string[]; swaps: number; busy: boolean; bytes: number; drawn: number }[];
  work(): { most: number; slices: number };
  refresher(layer: string, form: 'scene' | 'vector'): TileRefresher | undefined;
  trim(layer: string, form: 'scene' | 'vector'): void;
  bound(layer: string, form: 'scene' | 'vector', bytes: number): void;
  clip(layer: string, lonLat?: number[]): void;
  heights(places: readonly (readonly [number, number])[]): Promise<(number | null)[]>;
  cacheEntries(): number;
  renders(): Record<string, number>;
  readonly scene: unknown;
}

declare global {
  interface Window {
    twin?: TwinHook;
  }
}

export function installHook(app: App): void {
  const { map, store, sensors, incidents } = app;
  const tiled = () =>
    (map?.layers.drawn() ?? []).flatMap(({ drawn, ...where }) => (drawn instanceof Tiled ? [{ ...where, drawn }] : []));
  const drawn = (layer: string, form: string) =>
    tiled().find((one) => one.layer === layer && one.form === form)?.drawn;
  window.twin = {
    async ready(timeout = 60_000) {
      if (!map) return;
      const end = performance.now() + timeout;
      while (!map.layers.complete) {
        if (performance.now() > end) throw new Error('a layer could not be opened in time');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await sceneReady(map.scene, () => map.layers.settled, end - performance.now());
    },
    pick(lon, lat, height = app.ground.at(lon, lat)) {
      const position = map?.picker.window(lon, lat, height);
      return position ? map!.picker.at(position) : undefined;
    },
    pickWindow: (x, y) => map?.picker.at(new Cartesian2(x, y)) ?? null,
    attributes(lon, lat, height = app.ground.at(lon, lat)) {
      const position = map?.picker.window(lon, lat, height);
      return position ? map!.picker.attributes(position) : null;
    },
    window(lon, lat, height = app.ground.at(lon, lat)) {
      const position = map?.picker.window(lon, lat, height);
      return position ? { x: position.x, y: position.y } : null;
    },
    state: () => ({ ...store.get() }),
    set: (patch) => store.set(patch),
    counts: () => ({
      sensors: sensors.all.size,
      incidents: incidents.all.size,
      pins: incidents.pinned.value.length,
      states: sensors.counts.value,
      clusters: sensors.clusters.all.size,
      counted: sensors.clusters.count.value,
      moves: app.stream?.moves ?? 0,
    }),
    clusters: () => [...sensors.clusters.all.values()],
    names: () => app.names?.written ?? [],
    sensor: (id) => sensors.all.get(id),
    incident: (id) => incidents.all.get(id),
    tiles: () =>
      tiled().map(({ layer, form, drawn: { refresher, tileset } }) => ({
        layer,
        form,
        urls: refresher.loadedUrls,
        swaps: refresher.swaps,
        busy: refresher.busy,
        bytes: tileset.totalMemoryUsageInBytes,
        drawn: (tileset as unknown as ChosenTileset)._selectedTiles.length,
      })),
    work: () => ({ ...worked }),
    refresher: (layer, form) => drawn(layer, form)?.refresher,
    trim(layer, form) {
      drawn(layer, form)?.tileset.trimLoadedTiles();
      map?.scene.requestRender();
    },
    bound(layer, form, bytes) {
      const tileset = drawn(layer, form)?.tileset;
      if (tileset) tileset.cacheBytes = bytes;
      map?.scene.requestRender();
    },
    clip(layer, lonLat) {
      const tileset = drawn(layer, 'scene')?.tileset;
      if (!tileset) return;
      map?.scene.requestRender();
      if (!lonLat) {
        tileset.clippingPolygons = new ClippingPolygonCollection();
        return;
      }
      const polygon = new ClippingPolygon({ positions: Cartesian3.fromDegreesArray(lonLat) });
      tileset.clippingPolygons = new ClippingPolygonCollection({ polygons: [polygon] });
    },
    async heights(places) {
      const provider = map?.scene.terrainProvider;
      if (!provider?.availability) return places.map(() => null);
      const asked = places.map(([lon, lat]) => Cartographic.fromDegrees(lon, lat));
      return (await sampleTerrainMostDetailed(provider, asked)).map(({ height }) => height ?? null);
    },
    cacheEntries: () => Object.keys(ResourceCache.cacheEntries).length,
    renders: () => Object.fromEntries(renders),
    scene: map?.scene,
  };
}
