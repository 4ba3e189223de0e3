/** What is merged in a vector tile. */

import { isGroup, type Cluster } from './group';
import type { TileLayer } from './outlines';

/** Whether anything is, and the points that stand for several. */
export interface Groups {
  some: boolean;
  clusters: Cluster[];
}

export interface TilePlace {
  tileZ: number;
  tileX: number;
  tileY: number;
}

export function groupsIn(layers: readonly TileLayer[], { tileZ, tileX, tileY }: TilePlace): Groups {
  const n = 2 ** tileZ;
  const merged = layers.flatMap(({ extent, features }) => features.filter((one) => isGroup(one.properties)).map((one) => ({ extent, ...one })));
  const clusters = merged.flatMap(({ type, extent, geometry, properties }): Cluster[] => {
    const at = type === 'Point' ? (geometry as { x: number; y: number }[])[0] : undefined;
    if (!at) return [];
    const lat = Math.atan(Math.sinh(Math.PI * (1 - (2 * (tileY + at.y / extent)) / n)));
    return [{ lon: ((tileX + at.x / extent) / n) * 360 - 180, lat: (lat * 180) / Math.PI, count: Number(properties['group_count']), properties }];
  });
  return { some: merged.length > 0, clusters };
}
