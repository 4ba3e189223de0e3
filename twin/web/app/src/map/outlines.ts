/** Areas of a vector tile as they are painted: the larger under the smaller, with lines along their edges. */

import { isGroup } from './group';

export interface TilePoint {
  x: number;
  y: number;
}

/** A feature as the engine decodes it, in the units of its tile; a closed ring ends where it begins. */
export interface TileFeature {
  type: 'Point' | 'LineString' | 'Polygon' | 'Unknown';
  geometry: TilePoint[] | TilePoint[][];
  properties: Record<string, unknown>;
}

export interface TileLayer {
  name: string;
  extent: number;
  features: TileFeature[];
}

/** True for the line around an area, which carries the properties of the area. */
export const OUTLINE = '_outline';

/** True for a line of a tile that is looked at from afar: there lines lie close together. */
export const AFAR = '_afar';
/** The first zoom of tiles that are not. */
const NEAR_ZOOM = 15;

/** Square units of the tile; holes, which run the other way round, count against it. */
function area(rings: TilePoint[][]): number {
  let sum = 0;
  for (const ring of rings) {
    for (let i = 1; i < ring.length; i += 1) {
      sum += ring[i - 1]!.x * ring[i]!.y - ring[i]!.x * ring[i - 1]!.y;
    }
  }
  return Math.abs(sum) / 2;
}

/** Where the tile was cut there is no edge of the area. */
function isCut(a: TilePoint, b: TilePoint, extent: number): boolean {
  return [0, extent].some((border) => (a.x === border && b.x === border) || (a.y === border && b.y === border));
}

/** The edges of an area as lines. */
export function edges(rings: TilePoint[][], extent: number): TilePoint[][] {
  const found: TilePoint[][] = [];
  for (const ring of rings) {
    let line: TilePoint[] = ring.slice(0, 1);
    for (let i = 1; i < ring.length; i += 1) {
      if (isCut(ring[i - 1]!, ring[i]!, extent)) {
        found.push(line);
        line = [];
      }
      line.push(ring[i]!);
    }
    found.push(line);
  }
  return found.filter((line) => line.length > 1);
}

/** The storey of an element of a building model, which lies over what is lower. */
function storey({ properties }: TileFeature): number {
  const { storey_no: no } = properties;
  return typeof no === 'number' ? no : 0;
}

/** The lines of a tile of some zoom, marked where they are seen from afar. */
function marked(features: TileFeature[], zoom: number): TileFeature[] {
  if (zoom >= NEAR_ZOOM) return features;
  return features.map((one) => (one.type === 'LineString' ? { ...one, properties: { ...one.properties, [AFAR]: true } } : one));
}

/** In the order of painting: areas by their storey and size, then everything else; with `outlined`, edges as lines too. */
export function arranged({ name, extent, features }: TileLayer, outlined: boolean, zoom: number): TileLayer {
  const sizes = new Map(
    features.flatMap((one) => (one.type === 'Polygon' ? [[one, area(one.geometry as TilePoint[][])] as const] : [])),
  );
  const areas = [...sizes.keys()].sort((a, b) => storey(a) - storey(b) || sizes.get(b)! - sizes.get(a)!);
  // where one group ends and the next begins there is no edge
  const lines = areas.filter(({ properties }) => !isGroup(properties)).map(
    ({ geometry, properties }): TileFeature => ({
      type: 'LineString',
      geometry: edges(geometry as TilePoint[][], extent),
      properties: { ...properties, [OUTLINE]: true },
    }),
  );
  return { name, extent, features: [...areas, ...(outlined ? lines : []), ...marked(features.filter((one) => !sizes.has(one)), zoom)] };
}
