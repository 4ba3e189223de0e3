/** Requests to the server: one error shape, ETags kept for editing. The session of the page goes with each. */

import type { ModelChoices } from './config';
import { answered, keyOf } from './editing/sent';
import { asOf } from './past';

export class ApiError extends Error {
  /** `code` names the kind of error: the page has words for it. The message is the server's own. */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** Of a transaction: every reason why it is refused. */
    readonly exceptions: readonly Exception[] = [],
  ) {
    super(message);
  }
}

/** One of the reasons why a transaction is refused. */
export interface Exception {
  status: number;
  code: string;
  detail: string;
  /** The id that the action was given. */
  actionId?: string;
  /** The members of a body that are wrong, as JSON pointers in a fragment. */
  errors?: { pointer: string; detail: string }[];
}

interface Problem {
  code?: string;
  exceptions?: Exception[];
  detail?: string;
  description?: string;
  title?: string;
}

async function request(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as Problem;
  throw new ApiError(
    response.status,
    problem.code ?? '',
    problem.detail ?? problem.description ?? problem.title ?? response.statusText,
    problem.exceptions,
  );
}

export async function getJson<T>(url: string, init?: RequestInit): Promise<T> {
  return (await (await request(url, init)).json()) as T;
}

export interface Feature {
  type: 'Feature';
  id: number;
  geometry: { type: string; coordinates: unknown } | null;
  properties: Record<string, unknown>;
}

export interface Versioned<T> {
  value: T;
  etag: string | null;
}

/** A document with the state that it is of, which If-Match names. */
export async function getVersioned<T>(url: string, init?: RequestInit): Promise<Versioned<T>> {
  const response = await request(url, init);
  return { value: (await response.json()) as T, etag: response.headers.get('ETag') };
}

/** A feature as it is, or as it was at a moment. */
export function getFeature(layer: string, fid: number, at: string | null): Promise<Versioned<Feature>> {
  return getVersioned(asOf(`ogc/collections/${layer}/items/${fid}`, at), {
    headers: { Accept: 'application/geo+json' },
    cache: 'no-cache',
  });
}

export interface Related {
  relation: 'hasPart' | 'isPartOf';
  layer: string;
  fid: number;
}

/** A member of a group: `belongs` there as a `part`, `named` by what it says, `within` a distance, or as the `nearest`. */
export interface DossierMember {
  layer: string;
  id: number;
  title: string;
  belongs: 'part' | 'named' | 'within' | 'nearest';
  distance_m?: number;
  properties?: Record<string, unknown>;
}

export interface DossierGroup {
  title: string;
  /** How many there are; of many, the first are told. */
  numberMatched: number;
  members: DossierMember[];
}

/** What belongs to a building. */
export interface Dossier {
  code: string | null;
  storeys: { number: number | null; name: string; elevation_m: number | null; parts: number }[];
  groups: Record<string, DossierGroup>;
}

/** The whole and the parts of a feature, and its dossier where it is a building, as they are or were. */
export async function getRelated(url: string, fid: number, at: string | null): Promise<{ related: Related[]; dossier: Dossier | null }> {
  const address = url.replace('{fid}', String(fid)).replace(/^\//, '');
  const { links, dossier } = await getJson<{ links: { rel: string; href: string }[]; dossier?: Dossier }>(asOf(address, at), {
    cache: 'no-cache',
  });
  const related = links.flatMap(({ rel, href }) => {
    const relation = /^http:\/\/purl\.org\/dc\/terms\/(hasPart|isPartOf)$/.exec(rel)?.[1];
    const item = /\/collections\/([^/]+)\/items\/(-?\d+)(?:\?.*)?$/.exec(href);
    return relation && item
      ? [{ relation: relation as Related['relation'], layer: item[1]!, fid: Number(item[2]) }]
      : [];
  });
  return { related, dossier: dossier ?? null };
}

/**
 * Many edits at once (`docs/editing.md`): all are written, as one change set with this message, or none. The ids of
 * the features that were made, in the order of the actions. Throws ApiError with every reason.
 */
export async function transact(actions: readonly Record<string, unknown>[], message: string): Promise<number[]> {
  const body = JSON.stringify({ ...(message ? { description: message } : {}), semantic: 'atomic', transaction: actions });
  const headers = { 'Content-Type': 'application/ogc-tx+json', 'Idempotency-Key': `"${keyOf(body)}"` };
  const response = await request('ogc/transactions', { method: 'POST', headers, body });
  answered();
  const { insertResults } = (await response.json()) as { insertResults: string[] };
  return insertResults.map((address) => Number(address.slice(address.lastIndexOf('/') + 1)));
}

export async function postAction<T>(url: string, body: unknown, ifMatch?: string): Promise<T> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (ifMatch) headers['If-Match'] = ifMatch;
  const response = await request(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

export async function putJson<T>(url: string, body: unknown, ifMatch?: string | null): Promise<T> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (ifMatch) headers['If-Match'] = ifMatch;
  const response = await request(url, { method: 'PUT', headers, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

/** Ends or removes what is at an address. */
export async function remove(url: string): Promise<void> {
  await request(url, { method: 'DELETE' });
}

/** The storeys and categories that layers had at a moment, by layer. */
export async function getModels(at: string): Promise<ReadonlyMap<string, ModelChoices>> {
  const { layers } = await getJson<{ layers: (ModelChoices & { id: string })[] }>(asOf('models.json', at));
  return new Map(layers.map((layer) => [layer.id, layer]));
}

/** The instant (ms) of the newest change that a moment shows; throws ApiError 410 for one before what is kept. */
export async function getMoment(at: string): Promise<number | null> {
  const response = await request(asOf('ogc/collections?f=json', at), { cache: 'no-cache' });
  const instant = Date.parse(response.headers.get('Memento-Datetime') ?? '');
  return Number.isFinite(instant) ? instant : null;
}
