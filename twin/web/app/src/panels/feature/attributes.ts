/** Attributes of a feature in words: titles, units, code lists, provenance. */

import type { FieldConfig, LayerConfig } from '../../config';
import { decimal, t, titleOf, type Word } from '../../i18n';

export interface Attribute {
  name: string;
  title: string;
  text: string;
  /** For `*_source` fields: how the value came about. */
  source: string | null;
}

export interface Group {
  title: Word;
  attributes: Attribute[];
}

const SOURCES: Record<string, Word> = {
  measured: 'source.measured',
  levels: 'source.levels',
  default: 'source.default',
};

export function sourceWord(value: unknown): string {
  const word = SOURCES[String(value)];
  return word ? t(word) : String(value);
}

export function valueText(field: FieldConfig | undefined, value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  const code = field?.codes?.[String(value)];
  if (code) return titleOf(code, String(value));
  if (field?.name.endsWith('_source')) return sourceWord(value);
  if (typeof value === 'object') return JSON.stringify(value);
  // a number without a unit may be an identifier: no grouping
  return field?.unit ? `${typeof value === 'number' ? decimal(value, 3) : String(value)} ${field.unit}` : String(value);
}

/** The folded rare columns of a source, back as single attributes. */
function unfolded(value: unknown): [string, unknown][] {
  if (typeof value !== 'string') return [];
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [];
  } catch {
    return [['other', value]];
  }
}

function hasTitle(field: FieldConfig): boolean {
  return Object.keys(field.title).length > 0;
}

/** Normalised fields first, then what the source said, as it said it; empty values are left out. */
export function attributeGroups(layer: LayerConfig, properties: Record<string, unknown>): Group[] {
  const fields = new Map(layer.fields.map((field) => [field.name, field]));
  const main: Attribute[] = [];
  const source: Attribute[] = [];
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === '') continue;
    const field = fields.get(name);
    if (name === 'other') source.push(...unfolded(value).map(([key, v]) => plainAttribute(key, undefined, v)));
    else if (!field || !hasTitle(field)) source.push(plainAttribute(name, field, value));
    else if (!name.endsWith('_source') || !companion(name, properties)) main.push(mainAttribute(field, value, properties));
  }
  const order = new Map(layer.fields.map((field, index) => [field.name, index]));
  main.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0));
  return [
    { title: 'group.attributes' as const, attributes: main },
    { title: 'group.source' as const, attributes: source },
  ].filter((group) => group.attributes.length > 0);
}

function plainAttribute(name: string, field: FieldConfig | undefined, value: unknown): Attribute {
  return { name, title: titleOf(field?.title, name) || name, text: valueText(field, value), source: null };
}

/** A field that the kind defines, with how its value came about. */
function mainAttribute(field: FieldConfig, value: unknown, properties: Record<string, unknown>): Attribute {
  const origin = properties[`${field.name.replace(/_(m|mm)$/, '')}_source`];
  const source = origin === undefined || origin === null ? null : sourceWord(origin);
  return { name: field.name, title: titleOf(field.title, field.name), text: valueText(field, value), source };
}

/** Whether `height_source` has its `height_m` beside it, which then carries the word. */
function companion(name: string, properties: Record<string, unknown>): boolean {
  return values(name).some((key) => properties[key] !== null && properties[key] !== undefined);
}

/** The fields that `height_source` may tell the origin of. */
function values(name: string): string[] {
  const stem = name.replace(/_source$/, '');
  return [`${stem}_m`, `${stem}_mm`];
}

export function featureTitle(layer: LayerConfig, fid: number, properties: Record<string, unknown>): string {
  const text = (name: string): string => (typeof properties[name] === 'string' ? (properties[name] as string) : '');
  const joined = (names: string[]): string => names.map(text).filter(Boolean).join(' ');
  const named = layer.label.find(([first]) => first !== undefined && text(first));
  return (named && joined(named)) || joined(['addr:street', 'addr:housenumber']) || `${titleOf(layer.title, layer.id)} ${fid}`;
}

/** Fields that the card lets someone edit: what the kind defines, not keys nor derived marks; the source's
 * own where the kind defines none, as for a table of another department. */
export function editable(layer: LayerConfig): FieldConfig[] {
  const kept = new Set(['source_id', 'other']);
  const named = new Set(layer.fields.map(({ name }) => name));
  // how a value is known follows from who gives it: the server says so with each edit
  const follows = (name: string): boolean => name.endsWith('_source') && values(name).some((one) => named.has(one));
  const open = layer.fields.filter(
    (field) => !kept.has(field.name) && !field.readOnly && field.type !== 'array' && !follows(field.name),
  );
  const defined = open.filter(hasTitle);
  return defined.length > 0 ? defined : open;
}
