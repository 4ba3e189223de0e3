/** Why nothing of a layer, or nothing at all, is to be seen, and what to do about it. */

import type { CityConfig, LayerConfig } from '../config';
import type { Word } from '../i18n';
import { onTerrain, type State, type View } from '../state';
import { isLine, isSolid, isUnder } from './form';
import { isOfFiles } from './order';

/** What a press on the button beside the reason does. */
export type Step = 'layers' | 'usual' | 'data' | 'go' | 'closer' | 'surface' | 'under' | 'again' | 'home' | 'reload' | 'terrain' | 'stand';

export interface Reason {
  word: Word;
  step: Step | null;
}

/** How far a layer is on the map: `opening`, `open`, or the HTTP status with which it failed (0: no answer). */
export type Progress = 'opening' | 'open' | number;

type Box = readonly [west: number, south: number, east: number, north: number];

const METRES_PER_DEGREE = 111_320;
/** The ground in the picture, in distances to what is looked at: a tilted camera sees further than it is high. */
const REACH = 1.5;
/** Pixels from a vector tile's edge to the other as the engine chooses them, and of a picture of usual height. */
const TILE = 512;
const PICTURE = 900;

export function seen({ lon, lat, height }: View): Box {
  const high = (REACH * height) / METRES_PER_DEGREE;
  const wide = high / Math.max(Math.cos((lat * Math.PI) / 180), 0.05);
  return [lon - wide, lat - high, lon + wide, lat + high];
}

export function meet(a: Box, b: Box): boolean {
  return a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];
}

/** The zoom of tiles that a picture of the ground would take from so far. */
export function zoomOf({ lat, height }: View): number {
  const metres = (40_075_017 * Math.cos((lat * Math.PI) / 180)) / height;
  return Math.log2((metres * PICTURE) / (TILE * 1.2));
}

function failed(status: number, past = false): Reason {
  if (past && (status === 404 || status === 410)) return { word: 'why.then', step: null };
  if (status === 401 || status === 403) return { word: 'why.right', step: null };
  if (status === 404) return { word: 'why.gone', step: 'again' };
  if (status === 0) return { word: 'why.away', step: 'again' };
  return { word: status >= 500 ? 'why.building' : 'why.failed', step: 'again' };
}

/** How many there were then is not known. */
function isEmptyNow({ count }: LayerConfig, { at }: Readonly<State>): boolean {
  return count === 0 && at === null;
}

/** Why a layer that is switched on shows nothing; null where it should be in the picture. */
export function whyNot(layer: LayerConfig, state: Readonly<State>, progress: Progress): Reason | null {
  if (isOfFiles(layer)) return whyNoFiles(layer, state, progress);
  if (!layer.vector && !layer.scene) return { word: 'why.form', step: 'data' };
  if (isEmptyNow(layer, state)) return { word: 'why.empty', step: 'data' };
  if (typeof progress === 'number') return failed(progress, state.at !== null);
  if (isUnder(state) && !layer.buried && !(layer.vector && !layer.scene && isLine(layer))) return { word: 'why.underground', step: 'surface' };
  if (layer.buried && state.mode === '3d' && !state.underground) return { word: 'why.buried', step: 'under' };
  if (layer.extent && !meet(layer.extent, seen(state.view))) return { word: 'why.outside', step: 'go' };
  if (!isSolid(layer) && layer.vector && zoomOf(state.view) < layer.vector.minzoom) return { word: 'why.far', step: 'closer' };
  return progress === 'opening' ? { word: 'why.opening', step: null } : null;
}

/** The same of a raster, drawn on the ground wherever one looks from, and of a registered scene, which stands on the street. */
function whyNoFiles({ id, extent, raster }: LayerConfig, state: Readonly<State>, progress: Progress): Reason | null {
  const time = state.layers[id]?.raster?.time;
  if (raster && time && !raster.times.includes(time)) return { word: 'why.time', step: null };
  if (!raster && isUnder(state)) return { word: 'why.underground', step: 'surface' };
  if (extent && !meet(extent, seen(state.view))) return { word: 'why.outside', step: 'go' };
  if (typeof progress === 'number') return failed(progress);
  return progress === 'opening' ? { word: 'why.opening', step: null } : null;
}

/** Why the ground is flat in a city that is to stand on terrain; `failure` as its tiles could not be read, or not yet. */
export function whyFlat(config: CityConfig, failure: number | 'slow' | null): Reason | null {
  if (config.terrainMissing) return { word: 'terrain.missing', step: null };
  if (!config.terrain || failure === null) return null;
  return failure === 'slow' ? { word: 'terrain.slow', step: null } : { word: 'terrain.failed', step: 'terrain' };
}

/** Why a layer whose bodies stand on a terrain is drawn as outlines while that is off. */
export function whyOutlined(layer: LayerConfig, state: Readonly<State>): Reason | null {
  const isOutline = isSolid(layer) && layer.vector !== null && state.mode === '3d' && onTerrain(state) === false;
  return isOutline && (!isUnder(state) || layer.buried) ? { word: 'why.outlined', step: state.terrain ? null : 'stand' } : null;
}

/** Why the whole map is empty; null where there is something to see. */
export function whyEmpty(config: CityConfig, state: Readonly<State>, progress: (id: string) => Progress): Reason | null {
  if (config.unavailable) return { word: 'why.lost', step: 'reload' };
  if (config.layers.length === 0) return { word: 'why.nothing', step: null };
  const on = config.layers.filter((layer) => state.layers[layer.id]?.visible);
  if (on.length === 0) return { word: 'why.off', step: 'usual' };
  const reasons = on.map((layer) => whyNot(layer, state, progress(layer.id)));
  if (reasons.some((reason) => reason === null || reason.word === 'why.opening')) return null;
  const [first] = reasons;
  if (reasons.every((reason) => reason?.word === 'why.outside')) return { word: 'why.elsewhere', step: 'home' };
  return reasons.every((reason) => reason?.word === first?.word) ? (first ?? null) : { word: 'why.each', step: 'layers' };
}
