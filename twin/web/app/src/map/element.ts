/** An element of 3D content that somebody else made: what its tile carries of it, be that a batch table (OGC 22-025r4, 7.6)
 * or EXT_mesh_features and EXT_structural_metadata. */

import { Color, type Cesium3DTileFeature } from '@cesium/engine';
import { color } from '../tokens';
import type { EngineFeature } from './internals';

export interface ElementProperty {
  name: string;
  /** What its schema calls it, else its name. */
  title: string;
  text: string;
}

export interface SceneElement {
  layer: string;
  /** The tileset of the layer, from 0; null where its address does not tell. */
  set: number | null;
  /** The file of the tile within its tileset. */
  file: string;
  /** The class of the element; null where nothing says it. */
  className: string | null;
  properties: readonly ElementProperty[];
  /** Draws it as chosen, or as it was. */
  paint(chosen: boolean): void;
}

const FILE = /\/sets\/(\d+)\/([^?#]*)/;
/** The engine's own name of what a batch table is turned into. */
const IS_OURS = /^_/;

export function isElement(picked: unknown): picked is Cesium3DTileFeature {
  return typeof (picked as { getPropertyIds?: unknown } | null)?.getPropertyIds === 'function';
}

/** Of a value of metadata, which may be a vector, a matrix, a list or a large integer. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  if (typeof value !== 'object') return String(value);
  const numbers = Object.values(value).filter((one) => typeof one === 'number');
  return numbers.length > 0 && 'x' in value ? numbers.join(', ') : JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one));
}

export function elementOf(layer: string, picked: Cesium3DTileFeature): SceneElement {
  const engine = picked as unknown as EngineFeature;
  const { content } = engine;
  const [, set, file = ''] = FILE.exec(content?.url ?? '') ?? [];
  const schema = content?.batchTable?._propertyTable?.class;
  const named = schema ? (schema.name ?? schema.id) : engine.getExactClassName?.();
  return {
    layer,
    set: set === undefined ? null : Number(set),
    file: decodeURIComponent(file),
    className: named && !IS_OURS.test(named) ? named : null,
    properties: picked.getPropertyIds().map((name) => ({ name, title: schema?.properties?.[name]?.name ?? name, text: textOf(picked.getProperty(name)) })),
    paint(chosen) {
      // its tile may be gone by now
      if (!content || content.isDestroyed()) return;
      picked.color = chosen ? Color.fromCssColorString(color('selected')) : Color.WHITE;
    },
  };
}
