/**
 * Ranks of features, 0 the highest: which names are written from afar, which win. Of what is drawn in far views the server says the
 * same (`tiles/levels/ranks.py`).
 */

import type { LayerConfig } from '../config';

type Rule = NonNullable<LayerConfig['style']['rank']>;

/** The rule of a layer; null where it has none, or lacks the property. */
function ruleOf({ fields, style }: LayerConfig): Rule | null {
  const { rank } = style;
  return rank && fields.some(({ name }) => name === rank.property) ? rank : null;
}

function count({ style: { rank } }: LayerConfig): number {
  return rank ? rank.values.length + rank.least.length : 0;
}

/** What has no rank of the rule is below all; where a layer cannot tell ranks, all of it is in the middle of them. */
export function rankOf(layer: LayerConfig, properties: Readonly<Record<string, unknown>>): number {
  const rule = ruleOf(layer);
  if (!rule) return Math.floor(count(layer) / 2);
  const value = properties[rule.property];
  const found = rule.least.length > 0
    ? rule.least.findIndex((least) => typeof value === 'number' && value >= least)
    : rule.values.findIndex((some) => some.includes(String(value)));
  return found < 0 ? count(layer) : found;
}

/** Metres from which the names of a rank are written: half as far as those of the rank above it. */
export function writtenWithin(layer: LayerConfig, rank: number): number {
  return (layer.style.labelWithin ?? Infinity) / 2 ** rank;
}

/** The lowest rank whose names are written from so far; −1 where there is none. */
export function lowestWritten(layer: LayerConfig, metres: number): number {
  const lowest = ruleOf(layer) ? count(layer) : rankOf(layer, {});
  for (let rank = lowest; rank >= 0; rank -= 1) if (metres <= writtenWithin(layer, rank)) return rank;
  return -1;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Selects what is of that rank or a higher one: CQL2 text; null where all of a layer is. */
export function ranked(layer: LayerConfig, lowest: number): string | null {
  const rule = ruleOf(layer);
  if (!rule || lowest >= count(layer)) return null;
  if (rule.least.length > 0) return `"${rule.property}" >= ${rule.least[lowest]}`;
  return `"${rule.property}" IN (${rule.values.slice(0, lowest + 1).flat().map(quoted).join(',')})`;
}
