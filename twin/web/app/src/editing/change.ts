/** Edits that are gathered in the page and not saved: plain values that are never changed in place. */

import type { Edit, FieldConfig, LayerConfig } from '../config';
import { readPlace, writePlace, type Place } from '../place';

/** A feature as it was read. */
export interface Base {
  etag: string | null;
  properties: Readonly<Record<string, unknown>>;
  /** The coordinates of a point; null of other geometries. */
  point: readonly number[] | null;
}

/** What is to be done to one feature. */
export interface Change {
  readonly action: Edit;
  readonly layer: string;
  /** Of a new feature its number in the page. */
  readonly fid: number;
  /** What the edit is of: its ETag goes with it. Of a new feature it is empty. */
  readonly base: Base;
  /** What is typed, by field: a number that is none stays as it was typed. */
  readonly texts: Readonly<Record<string, string>>;
  /** Where a point is put, as it is typed; absent where it stays. */
  readonly place?: string;
}

export type Changes = ReadonlyMap<string, Change>;

/** The name of the place among the fields. */
export const PLACE = '';

export const NOTHING: Base = { etag: null, properties: {}, point: null };

/** What a change is found by; of new features and of those that there are. */
export function keyOf(layer: string, fid: number, isNew = false): string {
  return isNew ? `+${fid}` : `${layer}/${fid}`;
}

export const keyOfChange = ({ layer, fid, action }: Change): string => keyOf(layer, fid, action === 'create');

export function textOf(value: unknown): string {
  return value === null || value === undefined ? '' : String(value);
}

/** What a text says, as the field's type; undefined where it is no value of it. */
export function valueIn(field: FieldConfig, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (field.type === 'boolean') return trimmed === 'true';
  if (field.type !== 'number' && field.type !== 'integer') return trimmed;
  const value = Number(trimmed.replace(/[,，]/, '.'));
  return Number.isFinite(value) && (field.type === 'number' || Number.isInteger(value)) ? value : undefined;
}

/** Whether two values say the same; what is missing is null. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

function fieldOf(layer: LayerConfig | undefined, name: string): FieldConfig {
  return layer?.fields.find((field) => field.name === name) ?? { name, type: 'string', title: {}, unit: null };
}

export interface FieldChange {
  field: FieldConfig;
  was: unknown;
  /** Undefined where the text is no value of the field. */
  is: unknown;
  text: string;
}

/** The fields that a change gives other values, in the order of the layer. */
export function fieldChanges({ texts, base }: Change, layer: LayerConfig | undefined): FieldChange[] {
  const order = (name: string): number => layer?.fields.findIndex((field) => field.name === name) ?? 0;
  return Object.keys(texts)
    .sort((a, b) => order(a) - order(b))
    .map((name) => {
      const field = fieldOf(layer, name);
      return { field, was: base.properties[name] ?? null, is: valueIn(field, texts[name]!), text: texts[name]! };
    });
}

/** The place of a point, by its text. */
export function placeText({ place, base: { point } }: Pick<Change, 'place' | 'base'>): string {
  return place ?? (point ? writePlace(point as unknown as Place) : '');
}

/** New ones of a layer are put somewhere by the page. Of those that there are only a single point is: of several the others
 * would be lost. */
export const isPoint = ({ geometryType }: LayerConfig): boolean => geometryType === 'Point' || geometryType === 'MultiPoint';

/** The properties as they will be. */
export function properties(change: Change, layer: LayerConfig | undefined): Record<string, unknown> {
  const typed = fieldChanges(change, layer).map(({ field, is, text }) => [field.name, is === undefined ? text : is] as const);
  return { ...change.base.properties, ...Object.fromEntries(typed) };
}

/** The fields whose text is no value, the place among them. */
export function unreadable(change: Change, layer: LayerConfig | undefined): string[] {
  if (change.action === 'delete') return [];
  const wrong = fieldChanges(change, layer).flatMap(({ field, is }) => (is === undefined ? [field.name] : []));
  const needsPlace = change.place !== undefined || change.action === 'create';
  return needsPlace && readPlace(placeText(change)) === null ? [PLACE, ...wrong] : wrong;
}

/** A change with that text in a field; without the field where it says what there was. */
export function typed(change: Change, layer: LayerConfig | undefined, name: string, text: string): Change {
  const { [name]: _, ...others } = change.texts;
  const says = valueIn(fieldOf(layer, name), text);
  return { ...change, texts: says !== undefined && same(says, change.base.properties[name]) ? others : { ...others, [name]: text } };
}

/** A change with the point at a place; as it was where that is the same. */
export function placed(change: Change, text: string): Change {
  const { place: _, ...stays } = change;
  const [to, from] = [readPlace(text), change.base.point];
  const same = to && from && writePlace(to) === writePlace(from as unknown as Place);
  return same ? stays : { ...stays, place: text };
}

/** Whether it changes nothing. */
export function isIdle({ action, texts, place }: Change): boolean {
  return action === 'update' && Object.keys(texts).length === 0 && place === undefined;
}

/** Fields that differ between what an edit began with and what there is now. */
export interface Difference extends FieldChange {
  theirs: unknown;
  /** Whether both sides gave it another value. */
  both: boolean;
}

export function differences(change: Change, theirs: Base, layer: LayerConfig | undefined): Difference[] {
  const mine = new Map(fieldChanges(change, layer).map((one) => [one.field.name, one]));
  const names = new Set([...(layer?.fields ?? []).map(({ name }) => name), ...mine.keys()]);
  return [...names].flatMap((name) => {
    const [was, now] = [change.base.properties[name] ?? null, theirs.properties[name] ?? null];
    const own = mine.get(name);
    if (!own && same(was, now)) return [];
    const field = own?.field ?? fieldOf(layer, name);
    return [{ field, was, is: own ? own.is : was, text: own?.text ?? textOf(was), theirs: now, both: own !== undefined && !same(was, now) }];
  });
}

/** Whether both sides have put a point somewhere else. */
export function bothMoved({ place, base }: Change, theirs: Base): boolean {
  return place !== undefined && !same(base.point, theirs.point);
}

/** The change, made to what there is now; `dropped` are the fields in which theirs stays. */
export function rebased(change: Change, theirs: Base, layer: LayerConfig | undefined, dropped: ReadonlySet<string>): Change {
  const { place, ...rest } = change;
  const onto: Change = { ...rest, base: theirs, texts: {} };
  const kept = Object.entries(change.texts).filter(([name]) => !dropped.has(name));
  // what is a single point no longer stays as it is
  const moved = place === undefined || dropped.has(PLACE) || theirs.point === null ? onto : placed(onto, place);
  return kept.reduce((one, [name, text]) => typed(one, layer, name, text), moved);
}

/** The geometry of a point that was put somewhere; its height stays. */
function geometryOf(change: Change): { type: 'Point'; coordinates: number[] } | null {
  const at = readPlace(placeText(change));
  return at && { type: 'Point', coordinates: [...at, ...(change.base.point?.slice(2) ?? [])] };
}

/** One action of a transaction (`docs/editing.md`); its id is the key of the change. */
export function action(change: Change, layer: LayerConfig | undefined): Record<string, unknown> {
  const { layer: collection, fid, base } = change;
  const id = keyOfChange(change);
  const values = fieldChanges(change, layer).map(({ field, is, text }) => ({ name: field.name, value: is === undefined ? text : is }));
  if (change.action === 'create') {
    const given = Object.fromEntries(values.map(({ name, value }) => [name, value]));
    return { id, action: 'insert', collection, items: [{ type: 'Feature', geometry: geometryOf(change), properties: given }] };
  }
  const chosen = { id, collection, filter: `id = ${fid}`, ...(base.etag === null ? {} : { 'if-match': base.etag }) };
  if (change.action === 'delete') return { ...chosen, action: 'delete' };
  const moved = change.place === undefined ? [] : [{ name: 'geometry', value: geometryOf(change) }];
  const gone = values.filter(({ value }) => value === null).map(({ name }) => name);
  return { ...chosen, action: 'update', properties: { modify: [...values.filter(({ value }) => value !== null), ...moved], delete: gone } };
}
