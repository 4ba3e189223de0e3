/** What changed between two moments, or what one change set changed: what is asked of the server, and its answers. */

import { getJson, getVersioned } from '../api';
import { NOW } from '../past';
import type { ModelChoice, State } from '../state';

export type Kind = 'added' | 'removed' | 'moved' | 'changed';
export const KINDS: readonly Kind[] = ['added', 'removed', 'moved', 'changed'];

export interface ChangeSet {
  id: number;
  /** Numbers of the change log. */
  first: number;
  last: number;
  at: string;
  via: string;
  /** Null where it changed several, or nobody says. */
  layer: string | null;
  generation: number | null;
  /** Absent where the caller may not know. */
  actor?: string | null;
  message?: string;
  /** The change set that it takes back. */
  undone?: number;
}

export type Box = readonly [west: number, south: number, east: number, north: number];
export interface Shape {
  type: string;
  coordinates: unknown;
  geometries?: Shape[];
}

/** One feature that is not what it was. */
export interface Change {
  layer: string;
  id: number;
  change: Kind;
  /** By name, those that differ. */
  fields: Readonly<Record<string, { old: unknown; new: unknown }>>;
  geometryChanged: boolean;
  bodyChanged: boolean;
  bbox: { old: Box | null; new: Box | null };
  /** What an element of models is called. */
  title?: string;
  /** Of an element of models: its number in either. */
  ids?: { old: number | null; new: number | null };
  /** Metres, of what was moved. */
  distance_m?: number;
  set: ChangeSet | null;
  /** As it is, or as it was where it is gone; null where it has no place. */
  shape: Shape | null;
  /** As it was, where it was another. */
  oldShape: Shape | null;
}

export interface Counts {
  added: number;
  removed: number;
  /** Only elements of models are known to have been moved. */
  moved?: number;
  changed: number;
}

interface Moment {
  seq: number;
  at: string;
}

export interface Answer {
  /** Null of model versions, which are of no moment. */
  between: { from: Moment; to: Moment } | null;
  /** The layers of the models that are compared; null of moments. */
  models: { old: string; new: string } | null;
  /** Of models: the state that was compared, as an ETag. */
  etag?: string | null;
  /** By layer, of all of it, whatever the page holds. */
  counts: Readonly<Record<string, Counts>>;
  /** False where there are more than were counted. */
  complete: boolean;
  /** Layers of which nothing is known for `from`. */
  gone: readonly string[];
  changes: readonly Change[];
  /** Whether all of it is here. */
  whole: boolean;
}

export type Question = { set: number } | { model: ModelChoice } | { from: string; to: string | null };

/** What the page is to tell of in this state; null for nothing. */
export function questionOf({ set, version, clash, right, at, against }: Pick<State, 'set' | 'version' | 'clash' | 'right' | 'at' | 'against'>): Question | null {
  if (clash !== null && right === 'history') return null;
  if (set !== null && right === 'history') return { set };
  if (version !== null && right === 'history') return { model: version };
  return at === null || against === null ? null : { from: at, to: against === NOW ? null : against };
}

export const keyOf = ({ layer, id }: Pick<Change, 'layer' | 'id'>): string => `${layer}/${id}`;

/** At most so many features at once, which is what the server gives. */
const MOST = 1000;

interface Feature {
  geometry: Shape | null;
  oldGeometry?: Shape | null;
  properties: Omit<Change, 'shape' | 'oldShape'>;
}

interface Document {
  from: Moment;
  to: Moment;
  layers?: { old: string; new: string };
  summary?: Record<string, Counts>;
  complete?: boolean;
  gone?: { layer: string }[];
  features: Feature[];
  links: Link[];
}

interface Link {
  rel: string;
  href: string;
}

export function queryOf(question: Exclude<Question, { model: ModelChoice }>, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams('set' in question ? { set: String(question.set) } : { from: question.from });
  if (!('set' in question) && question.to !== null) query.set('to', question.to);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return query.toString();
}

/** The first thousand of it, in a box where one is given. */
export async function ask(question: Question, box: Box | null, signal?: AbortSignal): Promise<Answer> {
  const more = { f: 'geojson', limit: String(MOST), ...(box ? { bbox: box.join(',') } : {}) };
  const init: RequestInit = { cache: 'no-cache', ...(signal ? { signal } : {}) };
  if ('model' in question) return askModel(question.model, more, init);
  const found = await getJson<Document>(`ogc/changes?${queryOf(question, more)}`, init);
  return { ...answerOf(found), between: { from: found.from, to: found.to }, models: null };
}

async function askModel({ layer, to, from }: ModelChoice, more: Readonly<Record<string, string>>, init: RequestInit): Promise<Answer> {
  const query = new URLSearchParams({ to, ...(from === null ? {} : { from }), ...more });
  const address = `ogc/collections/${layer}/model-versions/changes?${query.toString()}`;
  const { value, etag } = await getVersioned<Omit<Document, 'summary'> & { summary?: Counts }>(address, init);
  const { layers, summary, ...found } = value;
  // the page counts by layer, and what is gone is of another one than what is new
  return { ...answerOf({ ...found, ...(summary ? { summary: { [layer]: summary } } : {}) }), between: null, models: layers ?? null, etag };
}

function answerOf(found: Document): Omit<Answer, 'between' | 'models'> {
  return {
    counts: found.summary ?? {},
    complete: found.complete ?? true,
    gone: (found.gone ?? []).map(({ layer }) => layer),
    changes: found.features.map(({ geometry, oldGeometry, properties }) => ({
      ...properties,
      set: properties.set ?? null,
      shape: geometry,
      oldShape: oldGeometry ?? null,
    })),
    whole: nextOf(found.links, 'after') === null,
  };
}

/** How many features a change set added, removed and changed, by layer; null where that is no longer kept. */
export async function countsOf(set: number, signal?: AbortSignal): Promise<Pick<Answer, 'counts' | 'complete'>> {
  const query = queryOf({ set }, { f: 'json', limit: '1' });
  const { summary, complete } = await getJson<Partial<Document>>(`ogc/changes?${query}`, { cache: 'no-cache', ...(signal ? { signal } : {}) });
  return { counts: summary ?? {}, complete: complete ?? true };
}

export function sum(counts: Readonly<Record<string, Counts>>): Counts {
  const all = Object.values(counts);
  const of = (kind: Kind): number => all.reduce((total, one) => total + (one[kind] ?? 0), 0);
  return { added: of('added'), removed: of('removed'), moved: of('moved'), changed: of('changed') };
}

export interface Filter {
  layer: string | null;
  actor: string | null;
  /** Only what changed something there. */
  box: Box | null;
}

export interface SetPage {
  sets: readonly ChangeSet[];
  /** Where the next page begins; null on the last. */
  before: number | null;
}

const SETS = 25;

export async function getSets({ layer, actor, box }: Filter, before: number | null, signal?: AbortSignal): Promise<SetPage> {
  const query = new URLSearchParams({ f: 'json', limit: String(SETS) });
  if (layer !== null) query.set('layer', layer);
  if (actor !== null) query.set('actor', actor);
  if (box !== null) query.set('bbox', box.join(','));
  if (before !== null) query.set('before', String(before));
  const { changeSets, links } = await getJson<{ changeSets: ChangeSet[]; links: Link[] }>(`ogc/change-sets?${query}`, {
    cache: 'no-cache',
    ...(signal ? { signal } : {}),
  });
  const next = nextOf(links, 'before');
  return { sets: changeSets, before: next === null ? null : Number(next) };
}

/** One change set; null where there is none that the caller sees. */
export async function getSet(id: number): Promise<ChangeSet | null> {
  const { changeSets } = await getJson<{ changeSets: ChangeSet[] }>(`ogc/change-sets?f=json&limit=1&before=${id + 1}`, { cache: 'no-cache' });
  return changeSets.find((one) => one.id === id) ?? null;
}

/** Where the next page begins, of a link that the server made. */
function nextOf(links: readonly Link[], parameter: string): string | null {
  const href = links.find(({ rel }) => rel === 'next')?.href;
  return href ? new URL(href, document.baseURI).searchParams.get(parameter) : null;
}

/** The moment just before a change set, and just after it. */
export const beforeSet = ({ first }: ChangeSet): string => `@${first - 1}`;
export const afterSet = ({ last }: ChangeSet): string => `@${last}`;
