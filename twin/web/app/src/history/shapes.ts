/** Geometries of changed features as they are drawn over the picture: lines, rings and points in the window. */

import type { SheetFeature } from '../map/vector-sheet';
import type { TilePoint } from '../map/outlines';
import type { Shape } from './changes';

type Place = [lon: number, lat: number, height?: number];
type Part = readonly Place[];

/** What a geometry is made of, its rings, lines and points apart. */
export interface Parts {
  areas: Part[];
  lines: Part[];
  points: Place[];
}

export function partsOf(shape: Shape | null): Parts {
  const found: Parts = { areas: [], lines: [], points: [] };
  const walk = ({ type, coordinates, geometries }: Shape): void => {
    if (type === 'Point') found.points.push(coordinates as Place);
    else if (type === 'MultiPoint') found.points.push(...(coordinates as Place[]));
    else if (type === 'LineString') found.lines.push(coordinates as Place[]);
    else if (type === 'MultiLineString') found.lines.push(...(coordinates as Place[][]));
    else if (type === 'Polygon') found.areas.push(...(coordinates as Place[][]));
    else if (type === 'MultiPolygon') found.areas.push(...(coordinates as Place[][][]).flat());
    else if (type === 'GeometryCollection') (geometries ?? []).forEach(walk);
  };
  if (shape) walk(shape);
  return found;
}

/** A point before it is divided by its depth. */
export interface Clip {
  x: number;
  y: number;
  w: number;
}

/** Depths from here on are before the camera. */
const NEAREST = 0.1;

/** Where it is on a canvas of that size. */
function pixel({ x, y, w }: Clip, wide: number, high: number): TilePoint {
  return { x: ((x / w + 1) / 2) * wide, y: ((1 - y / w) / 2) * high };
}

/** Those before the camera, in pixels. */
export function pointsBefore(clips: readonly Clip[], wide: number, high: number): TilePoint[] {
  return clips.filter(({ w }) => w >= NEAREST).map((clip) => pixel(clip, wide, high));
}

/** What of a ring or line is before the camera, in pixels; a line may fall into several. */
export function beforeCamera(clips: readonly Clip[], closed: boolean, wide: number, high: number): TilePoint[][] {
  const found: TilePoint[][] = [];
  let part: TilePoint[] = [];
  const ends = closed ? clips.length : clips.length - 1;
  const crossing = (a: Clip, b: Clip): Clip => {
    const share = (NEAREST - a.w) / (b.w - a.w);
    return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share, w: NEAREST };
  };
  for (let i = 0; i < ends; i += 1) {
    const [a, b] = [clips[i]!, clips[(i + 1) % clips.length]!];
    if (a.w >= NEAREST && part.length === 0) part.push(pixel(a, wide, high));
    if (a.w >= NEAREST !== b.w >= NEAREST) part.push(pixel(crossing(a, b), wide, high));
    if (b.w >= NEAREST) part.push(pixel(b, wide, high));
    else if (!closed && part.length > 0) {
      found.push(part);
      part = [];
    }
  }
  if (part.length > 0) found.push(part);
  return found;
}

/** As a click is held against it. */
export function asFeature(type: SheetFeature['type'], parts: TilePoint[][], properties: Record<string, unknown>): SheetFeature {
  const all = parts.flat();
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => y)];
  return { type, geometry: parts, parts, properties, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
}
