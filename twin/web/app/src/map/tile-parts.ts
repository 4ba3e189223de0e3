/** A vector tile, read and cut into parts of so little work that each is made ready within a frame. Runs in a worker. */

import { buildVectorGltfFromMVT, decodeMVT } from '@cesium/engine';
import { groupsIn, type Groups, type TilePlace } from './groups';
import { arranged, type TileFeature, type TileLayer } from './outlines';

/** So many features, or points of their lines, are one part. */
export const MOST_FEATURES = 1500;
export const MOST_POINTS = 20_000;

export interface TilePart {
  glb: Uint8Array<ArrayBuffer>;
  features: number;
}

export interface ReadTile {
  parts: TilePart[];
  groups: Groups;
}

function pointsOf({ geometry }: TileFeature): number {
  return Array.isArray(geometry[0]) ? (geometry as unknown[][]).reduce((sum, part) => sum + part.length, 0) : geometry.length;
}

/** Consecutive features of a layer, in their order, no more than a part holds. */
export function cutApart({ features, ...layer }: TileLayer): TileLayer[] {
  const parts: TileLayer[] = [];
  let held: TileFeature[] = [];
  let points = 0;
  for (const feature of features) {
    const more = pointsOf(feature);
    if (held.length > 0 && (held.length >= MOST_FEATURES || points + more > MOST_POINTS)) {
      parts.push({ ...layer, features: held });
      [held, points] = [[], 0];
    }
    held.push(feature);
    points += more;
  }
  return held.length > 0 ? [...parts, { ...layer, features: held }] : parts;
}

export function readTile(bytes: ArrayBuffer, place: TilePlace, outlined: boolean): ReadTile {
  const { layers } = decodeMVT(bytes);
  const parts = layers.flatMap((layer) => cutApart(arranged(layer, outlined, place.tileZ))).flatMap((layer): TilePart[] => {
    const glb = buildVectorGltfFromMVT({ layers: [layer] }, place, {}) as Uint8Array<ArrayBuffer> | undefined;
    return glb ? [{ glb, features: layer.features.length }] : [];
  });
  return { parts, groups: groupsIn(layers, place) };
}
