/** A layer's style as the server states it, in the engine's styling language. */

import { Cesium3DTileStyle } from '@cesium/engine';
import type { LayerConfig } from '../config';

const SELECTED = '#ffd21f';
/** The row of the placeholder in an empty 3D cell; it is never drawn nor picked. */
export const NO_FEATURE = -1;

function literal(value: string): string {
  return `'${value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
}

function paint(color: string, opacity: number): string {
  return opacity < 1 ? `color(${literal(color)}, ${opacity})` : `color(${literal(color)})`;
}

/** `#rrggbb` moved towards a grey level by that share. */
function towards(color: string, grey: number, share: number): string {
  const channels = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `#${channels.map((c) => Math.round(c + (grey - c) * share).toString(16).padStart(2, '0')).join('')}`;
}

/** What is assumed is drawn half-way to white, as its legend entry is hatched. */
export function paler(color: string): string {
  return towards(color, 255, 0.5);
}

/** What is on the street while one looks under it: nearly the colour of the dark ground. */
function muted(layer: LayerConfig): LayerConfig {
  const { color } = layer.style;
  const dim = (shade: string): string => towards(shade, 0x52, 0.78);
  const values = Object.fromEntries(Object.entries(color.values).map(([value, shade]) => [value, dim(shade)]));
  return { ...layer, style: { ...layer.style, color: { ...color, values, default: dim(color.default) } } };
}

function isAssumed(layer: LayerConfig): string | null {
  const { assumed, color } = layer.style;
  if (!assumed || assumed.property === color.property) return null;
  return assumed.values.map((value) => `\${${assumed.property}} === ${literal(value)}`).join(' || ');
}

/** A layer of one colour has a legend entry of its own for what is assumed. */
function assumedColor(layer: LayerConfig): string {
  const entry = layer.style.legend.find((one) => one.assumed && one.value === undefined);
  return layer.style.color.property === null && entry ? entry.color : paler(layer.style.color.default);
}

function colorConditions(
  layer: LayerConfig,
  opacity: number,
  selected: number | null,
  plain = layer.style.color.default,
): [string, string][] {
  const { color } = layer.style;
  const conditions: [string, string][] = [];
  if (selected !== null) conditions.push([`\${fid} === ${selected}`, paint(SELECTED, Math.max(opacity, 0.8))]);
  const assumed = isAssumed(layer);
  if (color.property) {
    for (const [value, shade] of Object.entries(color.values)) {
      const test = `\${${color.property}} === ${literal(value)}`;
      if (assumed) conditions.push([`${test} && (${assumed})`, paint(paler(shade), opacity)]);
      conditions.push([test, paint(shade, opacity)]);
    }
  }
  if (assumed) conditions.push([assumed, paint(assumedColor(layer), opacity)]);
  conditions.push(['true', paint(plain, opacity)]);
  return conditions;
}

export function sceneStyle(layer: LayerConfig, opacity: number, selected: number | null): Cesium3DTileStyle {
  // the meshes of a city model bring the colours of roof and wall with them
  const plain = layer.kind === 'cim' ? '#ffffff' : layer.style.color.default;
  return new Cesium3DTileStyle({
    show: `\${fid} !== ${NO_FEATURE}`,
    color: { conditions: colorConditions(layer, opacity, selected, plain) },
  });
}

export function vectorStyle(
  shown: LayerConfig,
  opacity: number,
  selected: number | null,
  underground: boolean,
): Cesium3DTileStyle {
  // not by opacity: the ground is glass now, and what is drawn before it would hide it
  const layer = underground && shown.kind !== 'pipeline' ? muted(shown) : shown;
  const size = layer.style.size ?? 6;
  const width = (layer.style.width ?? 2) + (underground && layer.kind === 'pipeline' ? 2 : 0);
  const grown = (value: number): string =>
    selected === null ? `${value}` : `\${fid} === ${selected} ? ${value + 4} : ${value}`;
  return new Cesium3DTileStyle({
    color: { conditions: colorConditions(layer, opacity, selected) },
    lineWidth: grown(width),
    pointSize: grown(size),
    pointOutlineColor: paint('#ffffff', opacity),
    pointOutlineWidth: '1',
  });
}
