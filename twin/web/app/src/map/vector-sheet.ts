/** A vector tile as it is painted and picked: its features in the order of painting, each with its box. */

import { decodeMVT } from '@cesium/engine';
import { arranged, type TileFeature, type TilePoint } from './outlines';

export interface SheetFeature extends TileFeature {
  /** Of every line or ring; a point is a list of one. */
  parts: TilePoint[][];
  box: readonly [left: number, top: number, right: number, bottom: number];
}

export interface VectorSheet {
  /** Units from one side to the other. */
  extent: number;
  features: SheetFeature[];
}

/** Areas, then lines, then points, as a painter lays them on. */
const ORDER: TileFeature['type'][] = ['Polygon', 'LineString', 'Point', 'Unknown'];

export function readSheet(bytes: ArrayBuffer, outlined: boolean, zoom: number): VectorSheet {
  const layers = bytes.byteLength > 0 ? decodeMVT(bytes).layers.map((layer) => arranged(layer, outlined, zoom)) : [];
  const features = layers.flatMap((layer) => layer.features.map(withBox));
  features.sort((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type));
  return { extent: layers[0]?.extent ?? 4096, features };
}

function withBox(feature: TileFeature): SheetFeature {
  const { geometry } = feature;
  const parts = Array.isArray(geometry[0]) ? (geometry as TilePoint[][]) : (geometry as TilePoint[]).map((point) => [point]);
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of parts.flat()) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return { ...feature, parts, box };
}

function toSegment({ x, y }: TilePoint, a: TilePoint, b: TilePoint): number {
  const [wide, high] = [b.x - a.x, b.y - a.y];
  const length = wide * wide + high * high;
  const share = length === 0 ? 0 : Math.min(Math.max(((x - a.x) * wide + (y - a.y) * high) / length, 0), 1);
  return Math.hypot(x - a.x - share * wide, y - a.y - share * high);
}

function isInside({ x, y }: TilePoint, rings: TilePoint[][]): boolean {
  let inside = false;
  for (const ring of rings) {
    ring.forEach((a, i) => {
      const b = ring[(i + 1) % ring.length]!;
      if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
    });
  }
  return inside;
}

/** Whether a feature is not further from a place than so many units. */
function meets({ type, parts, box: [left, top, right, bottom] }: SheetFeature, at: TilePoint, reach: number): boolean {
  if (at.x < left - reach || at.x > right + reach || at.y < top - reach || at.y > bottom + reach) return false;
  if (type === 'Polygon' && isInside(at, parts)) return true;
  return parts.some((part) => part.some((point, i) => toSegment(at, part[Math.max(i - 1, 0)]!, point) <= reach));
}

/** What was painted last at a place, in units of the tile, of what is shown. */
export function topmost(
  { features }: VectorSheet,
  at: TilePoint,
  reach: number,
  isShown: (feature: SheetFeature) => boolean = () => true,
): SheetFeature | undefined {
  return features.findLast((one) => meets(one, at, reach) && isShown(one));
}
