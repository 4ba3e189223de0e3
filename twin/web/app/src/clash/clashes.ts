/** Where what is new in a model version is in the way of something: a job of the server, and its result. */

import { getJson, postAction, remove } from '../api';
import type { LayerConfig } from '../config';
import { isSolid } from '../layers/form';

/** One of two elements that clash. */
export interface ClashElement {
  layer: string;
  id: number;
  /** Its id in the source; null where it has none. */
  element: string | null;
  title: string;
  category?: string;
  storey?: string;
  building_id?: string;
  /** Metres above the ground on which it stands. */
  min_height_m?: number;
  height_m?: number;
}

/** Of two closed bodies the solid that both fill is known, of others how many edges go through the other's surfaces. */
export interface Clash {
  new: ClashElement;
  other: ClashElement;
  at: [lon: number, lat: number, height: number];
  volume_m3?: number;
  depth_m?: number;
  crossings?: number;
  /** Of two that are apart: metres between them. */
  gap_m?: number;
}

export interface ClashResult {
  /** The largest first, at most 1000; then those that are apart, but not as far as was asked for. */
  pairs: readonly Clash[];
  count: number;
  near_count: number;
  looked: number;
  others: number;
  /** Bodies that are not closed. */
  open: number;
  /** Layers that could not be held against it, and why, in the server's words. */
  left_out: Readonly<Record<string, string>>;
}

export interface ClashInput {
  version: string;
  tolerance_m: number;
  /** How far from pipes the new elements have to be; 0: not looked at. */
  clearance_m?: number;
  /** Null: all layers that are drawn in 3D. */
  beside: readonly string[] | null;
}

export interface ClashJob {
  jobID: string;
  processID: string;
  status: 'accepted' | 'running' | 'successful' | 'failed' | 'dismissed';
  /** Why it failed. */
  message?: string;
  progress?: number;
  input: Omit<ClashInput, 'beside'> & { layer: string; beside?: readonly string[] | null };
  result?: ClashResult;
}

export const isRunning = ({ status }: ClashJob): boolean => status === 'accepted' || status === 'running';

/** Starts it; the number of the job. Throws ApiError. */
export async function startClash(layer: string, { beside, ...input }: ClashInput): Promise<string> {
  const body = { ...input, ...(beside === null ? {} : { beside }) };
  return (await postAction<ClashJob>(`ogc/collections/${layer}/model-versions/clashes`, body)).jobID;
}

export async function getClash(job: string, signal: AbortSignal): Promise<ClashJob> {
  const found = await getJson<ClashJob & { result?: { near: readonly Clash[] } }>(`ogc/jobs/${encodeURIComponent(job)}`, { cache: 'no-store', signal });
  const { result } = found;
  return result && found.processID === 'clash' ? { ...found, result: { ...result, pairs: [...result.pairs, ...result.near] } } : found;
}

export async function endClash(job: string): Promise<void> {
  await remove(`ogc/jobs/${encodeURIComponent(job)}`);
}

/** The layers that a version may be held against: those that are drawn in 3D. */
export function obstacles(layers: readonly LayerConfig[], of: string): LayerConfig[] {
  return layers.filter((layer) => layer.id !== of && layer.version === undefined && isSolid(layer));
}

/** Whether a clearance means something: there are pipes among them. */
export const hasPipes = (layers: readonly LayerConfig[]): boolean => layers.some(({ scene }) => scene?.body === 'tube');

/** Metres above the ground of the place where they meet: the middle of the heights that both have. */
export function heightOf({ new: fresh, other }: Clash): number {
  const low = Math.max(fresh.min_height_m ?? 0, other.min_height_m ?? 0);
  const high = Math.min(fresh.height_m ?? low, other.height_m ?? low);
  return (low + high) / 2;
}

/** What a spreadsheet would run gets an apostrophe, as in tables of the server. */
const FORMULA = /^'*[ \v\f\u00a0\u3000]*(?:[=@\t\r\n＝＠]|[+\-＋－](?![\d\s().,/-]*$))/;

function cell(value: unknown): string {
  const text = value === undefined || value === null ? '' : String(value);
  const safe = typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const OF_ELEMENT = ['layer', 'id', 'element', 'title', 'category', 'storey', 'building_id'] as const;

/** The list as a table (RFC 4180) that begins with the mark by which spreadsheets know UTF-8. */
export function tableOf(pairs: readonly Clash[]): string {
  const head = [...OF_ELEMENT.map((name) => `new_${name}`), ...OF_ELEMENT.map((name) => `other_${name}`), 'volume_m3', 'depth_m', 'crossings', 'gap_m', 'lon', 'lat', 'height'];
  const rows = pairs.map((one) => [
    ...OF_ELEMENT.map((name) => one.new[name]),
    ...OF_ELEMENT.map((name) => one.other[name]),
    one.volume_m3, one.depth_m, one.crossings, one.gap_m, ...one.at,
  ]);
  return `\ufeff${[head, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('')}`;
}
