/** What of a layer is written on the map: where a name may stand, along which line, at which distances. */

import type { Feature } from '../api';
import type { LayerConfig } from '../config';
import type { State } from '../state';
import { lowestWritten, rankOf } from './ranks';

type Place = readonly [lon: number, lat: number];

/** A name and where it may stand: at a point, or along a straight piece of a line from one end to the other. */
export interface Name {
  text: string;
  /** What is the same of two names that say the same: of house numbers the street, too. */
  key: string;
  rank: number;
  from: Place;
  to: Place | null;
  /** Metres of the piece, or the square root of the area. */
  size: number;
}

const METRES_PER_DEGREE = 111_320;
/** Up to this bend a line counts as straight, in degrees. */
const STRAIGHT = 12;
const SHORTEST = 15;

export function isLabelled(layer: LayerConfig): boolean {
  return (layer.style.label?.length ?? 0) > 0;
}

/** Whether the names of a layer are written in that state of the page. */
export function isWritten(layer: LayerConfig, { layers, mode, underground, view }: Readonly<State>): boolean {
  const { labelFrom = 0, labelFlat = false } = layer.style;
  if (!isLabelled(layer) || layers[layer.id]?.visible !== true) return false;
  if ((labelFlat && mode !== '2d') || (underground && mode === '3d' && layer.geometryType.includes('Polygon'))) return false;
  return view.height >= labelFrom && lowestWritten(layer, view.height) >= 0;
}

/** The properties of which the first filled one is written. */
export function written(layer: LayerConfig): string[] {
  return (layer.style.label ?? []).filter((name) => layer.fields.some((field) => field.name === name));
}

/** The property that is written, and those before it in the way in which the layer calls a feature by it. */
function called({ label }: LayerConfig, name: string): string[] {
  const way = label.find((names) => names.includes(name)) ?? [name];
  return way.slice(0, way.indexOf(name) + 1);
}

/** What has to be known of a feature to write its name. */
export function needed(layer: LayerConfig): string[] {
  const { rank } = layer.style;
  const names = [...written(layer).flatMap((name) => called(layer, name)), ...(rank ? [rank.property] : [])];
  return [...new Set(names)].filter((name) => layer.fields.some((field) => field.name === name));
}

function said(layer: LayerConfig, properties: Feature['properties']): Pick<Name, 'text' | 'key' | 'rank'> | null {
  const filled = written(layer).find((name) => properties[name] !== null && properties[name] !== undefined);
  const text = filled && properties[filled];
  if (typeof text !== 'string' || text === '') return null;
  return { text, key: called(layer, filled!).map((name) => properties[name]).join(' '), rank: rankOf(layer, properties) };
}

/** A number from 0 to 1 that says nothing of where a place is. */
function scattered([lon, lat]: Place): number {
  const wave = Math.sin(lon * 1_298_980 + lat * 7_823_300) * 43_758.5453;
  return wave - Math.floor(wave);
}

/** Those of a higher rank come first, then the larger; of points any, so that the first of them lie everywhere. */
export function byImportance<N extends Name>(names: readonly N[]): N[] {
  const order = new Map(names.map((name) => [name, scattered(name.from)]));
  return [...names].sort((a, b) => a.rank - b.rank || b.size - a.size || order.get(a)! - order.get(b)!);
}

function metres([lon, lat]: Place, [lon2, lat2]: Place): [number, number] {
  const scale = Math.cos((lat * Math.PI) / 180);
  return [(lon2 - lon) * METRES_PER_DEGREE * scale, (lat2 - lat) * METRES_PER_DEGREE];
}

/** The straight pieces of a line, ends only. */
function pieces(line: Place[]): [Place, Place][] {
  const found: [Place, Place][] = [];
  let start = 0;
  for (let at = 1; at < line.length; at += 1) {
    const [x, y] = metres(line[start]!, line[at]!);
    const next = line[at + 1];
    const [x2, y2] = next ? metres(line[at]!, next) : [0, 0];
    const bend = Math.abs(Math.atan2(x * y2 - y * x2, x * x2 + y * y2));
    if (next && bend < (STRAIGHT * Math.PI) / 180) continue;
    found.push([line[start]!, line[at]!]);
    start = at;
  }
  return found;
}

function ringArea(ring: Place[]): number {
  let sum = 0;
  for (let i = 0; i + 1 < ring.length; i += 1) {
    const [x, y] = metres(ring[0]!, ring[i]!);
    const [x2, y2] = metres(ring[0]!, ring[i + 1]!);
    sum += x * y2 - x2 * y;
  }
  return Math.abs(sum) / 2;
}

function middle(ring: Place[]): Place {
  const lons = ring.map(([lon]) => lon);
  const lats = ring.map(([, lat]) => lat);
  return [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
}

/** Where the name of a feature may stand; nowhere where it has none. */
export function namesOf(layer: LayerConfig, { geometry, properties }: Feature): Name[] {
  const name = said(layer, properties);
  if (!name || !geometry) return [];
  const { type, coordinates } = geometry;
  const many = type.startsWith('Multi') ? (coordinates as unknown[]) : [coordinates];
  if (type.endsWith('Point')) {
    return (many as Place[]).map((at) => ({ ...name, from: at, to: null, size: 0 }));
  }
  if (type.endsWith('LineString')) {
    return (many as Place[][]).flatMap(pieces).flatMap(([from, to]) => {
      const size = Math.hypot(...metres(from, to));
      return size >= SHORTEST ? [{ ...name, from, to, size }] : [];
    });
  }
  const largest = (many as Place[][][]).map(([ring]) => ring ?? []).sort((a, b) => ringArea(b) - ringArea(a))[0];
  return largest?.length ? [{ ...name, from: middle(largest), to: null, size: Math.sqrt(ringArea(largest)) }] : [];
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Takes places on the picture one after the other; what would lie over another gets none. */
export class Room {
  private readonly taken: Box[] = [];
  private readonly written = new Map<string, [number, number][]>();

  isFree(box: Box): boolean {
    return !this.taken.some((one) => one.left < box.right && box.left < one.right && one.top < box.bottom && box.top < one.bottom);
  }

  take(box: Box): void {
    this.taken.push(box);
  }

  /** Whether the same name stands within so many pixels. */
  isNear(name: string, x: number, y: number, apart: number): boolean {
    return this.written.get(name)?.some(([px, py]) => Math.hypot(px - x, py - y) < apart) ?? false;
  }

  wrote(name: string, x: number, y: number): void {
    this.written.set(name, [...(this.written.get(name) ?? []), [x, y]]);
  }
}
