/** A layer's style as the server states it, in the engine's styling language. */

import { Cesium3DTileStyle } from '@cesium/engine';
import type { LayerConfig, ModelLook } from '../config';
import type { Unsaved } from '../editing/edits';
import { color as themed, dataColor, linear, mixed, shade, TOKENS } from '../tokens';
import { signSize } from '../map/group';
import { AFAR, OUTLINE } from '../map/outlines';
import { remembering } from '../map/remembered';
import { isLine, rank, type Highlight, type Look } from './form';
import { seen, storeyColors } from './model-look';

/** The row of the placeholder in an empty 3D cell; it is never drawn nor picked. */
export const NO_FEATURE = -1;

/** The line around an area is the same for all: it alone tells pale ones from the ground (WCAG 2.2, 1.4.11). */
const IS_OUTLINE = `\${${OUTLINE}} === true`;
const OUTLINE_WIDTH = '1.2';
/** How much is seen of an area of which the line around it is meant: enough to point at. */
const BOUNDED = 0.06;

/** The engine's language takes a backslash as it is and knows no escape: a quote is put together. */
function literal(value: string): string {
  const parts = value.split("'").map((part) => `'${part}'`);
  return parts.length === 1 ? parts[0]! : `(${parts.join(` + "'" + `)})`;
}

function paint(color: string, opacity: number): string {
  return opacity < 1 ? `color(${literal(color)}, ${opacity})` : `color(${literal(color)})`;
}

/** How far what covers the ground recedes into it by night: what stands on it must be told from it. */
const RECEDING = 0.5;

/** A colour that the server states for a layer, as the theme shows it on the map and in the legend. */
export function layerColor(layer: LayerConfig, stated: string): string {
  // what is buried is seen on dark glass by day, too
  if (layer.buried) return stated;
  const shown = dataColor(stated);
  return shade.value === 'dark' && shown !== stated && rank(layer) === 0 ? mixed(shown, themed('ground'), RECEDING) : shown;
}

/** The colour of what has these properties, as the theme shows it. */
export function colorOf(layer: LayerConfig, properties: Readonly<Record<string, unknown>>): string {
  const { property, values, default: usual } = layer.style.color;
  return layerColor(layer, (property && values[String(properties[property])]) || usual);
}

/** What is assumed is drawn half-way to white (by night to the ground, unless on glass), as its legend entry is hatched. */
export function paler(color: string, { buried }: Pick<LayerConfig, 'buried'> = { buried: false }): string {
  return mixed(color, buried ? TOKENS.light.pale : themed('pale'), 0.5);
}

/** What is on the street while one looks under it: nearly the colour of the ground as glass. */
function muted(layer: LayerConfig): LayerConfig {
  const { color } = layer.style;
  const dim = (shade: string): string => mixed(shade, themed('glass'), 0.78);
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
  return layer.style.color.property === null && entry ? entry.color : paler(layer.style.color.default, layer);
}

const allOf = (tests: readonly string[]): string => tests.map((test) => (tests.length > 1 ? `(${test})` : test)).join(' && ');

/** What a feature of a building model must be to be seen. */
function shownTests(layer: LayerConfig, model: ModelLook | undefined): string[] {
  const { storeys, hidden } = seen(layer, model);
  return [
    ...(storeys ? [storeys.map((no) => `\${storey_no} === ${no}`).join(' || ')] : []),
    ...hidden.map((code) => `\${category} !== ${literal(code)}`),
  ];
}

const anyOf = (fids: readonly number[]): string => fids.map((fid) => `\${fid} === ${fid}`).join(' || ');

/** How much is seen of what is to be deleted. */
const LEAVING = 0.35;

/** What is edited and not saved. */
function unsavedConditions({ changed, removed }: Unsaved, opacity: number): [string, string][] {
  const paints: [readonly number[], number][] = [[changed, Math.max(opacity, 0.8)], [removed, LEAVING * opacity]];
  return paints.flatMap(([fids, shown]): [string, string][] => (fids.length > 0 ? [[anyOf(fids), paint(themed('unsaved'), shown)]] : []));
}

/** How much is seen of what is seen through. */
const THROUGH = 0.16;

/** How much is seen of where something was. */
const WAS = 0.45;

/** What is different from another model, or clashes, each in the colour of its kind. */
function highlighted({ kinds, only }: Highlight): [string, string][] {
  return (Object.entries(kinds) as [keyof Highlight['kinds'], readonly number[]][]).flatMap(([kind, fids]): [string, string][] =>
    fids.length > 0 ? [[anyOf(fids), paint(themed(kind), only ? WAS : 1)]] : [],
  );
}

type Seen = Pick<Look, 'highlight' | 'xray'>;

function colorConditions(
  layer: LayerConfig,
  opacity: number,
  selected: number | null,
  unsaved: Unsaved | undefined,
  plain = layer.style.color.default,
  { highlight, xray }: Seen = {},
  model?: ModelLook,
): [string, string][] {
  const { color } = layer.style;
  const rest = xray || highlight ? opacity * THROUGH : opacity;
  const data = (stated: string): string => paint(layerColor(layer, stated), rest);
  const conditions: [string, string][] = [];
  if (selected !== null) conditions.push([`\${fid} === ${selected}`, paint(themed('selected'), Math.max(opacity, 0.8))]);
  if (unsaved) conditions.push(...unsavedConditions(unsaved, opacity));
  if (highlight) conditions.push(...highlighted(highlight));
  conditions.push(...storeyColors(layer, model).map(({ storey, color: own }): [string, string] => [`\${storey_no} === ${storey.no}`, data(own)]));
  const assumed = isAssumed(layer);
  if (color.property) {
    for (const [value, shade] of Object.entries(color.values)) {
      const test = `\${${color.property}} === ${literal(value)}`;
      if (assumed) conditions.push([`${test} && (${assumed})`, data(paler(shade, layer))]);
      conditions.push([test, data(shade)]);
    }
  }
  if (assumed) conditions.push([assumed, data(assumedColor(layer))]);
  conditions.push(['true', data(plain)]);
  return conditions;
}

/** Where it replaces that of a body (`forms/scene.ts`), the engine lights a colour as it is written, as if it were linear. */
function asReplaced(replaced: boolean, conditions: [string, string][]): [string, string][] {
  return replaced ? conditions.map(([test, paint]) => [test, paint.replaceAll(/#[0-9a-f]{6}/gi, linear)]) : conditions;
}

export function sceneStyle(
  layer: LayerConfig,
  opacity: number,
  selected: number | null,
  unsaved?: Unsaved,
  model?: ModelLook,
  look: Seen = {},
): Cesium3DTileStyle {
  const { highlight, xray } = look;
  const only = highlight?.only ? [anyOf([NO_FEATURE, ...Object.values(highlight.kinds).flat()])] : [];
  // the meshes of a city model bring the colours of roof and wall with them
  const plain = layer.scene?.painted ? '#ffffff' : layer.style.color.default;
  const shown = allOf([`\${fid} !== ${NO_FEATURE}`, ...shownTests(layer, model), ...only]);
  // what is looked for in a building may be on another storey, or a room, which is usually not drawn
  const meant = [...(xray && selected !== null ? [selected] : []), ...(highlight?.always ? Object.values(highlight.kinds).flat() : [])];
  return new Cesium3DTileStyle({
    show: meant.length > 0 ? `${anyOf(meant)} || (${shown})` : shown,
    color: { conditions: asReplaced(storeyColors(layer, model).length > 0, colorConditions(layer, opacity, selected, unsaved, plain, look, model)) },
  });
}

/** From far away lines lie close together. */
const IS_AFAR = `\${${AFAR}} === true`;

/** What stands for several; of a single feature the count is no number. */
const MERGED = 'Number(${group_count}) >= 1';

/** The signs of points that stand for several. */
const CLUSTER_SIZES = [1e5, 1e4, 1e3, 100, 10, 1].map((count): [string, string] => [`Number(\${group_count}) >= ${count}`, String(signSize(count))]);

export function vectorStyle(
  shown: LayerConfig,
  opacity: number,
  selected: number | null,
  underground: boolean,
  unsaved?: Unsaved,
  model?: ModelLook,
): Cesium3DTileStyle {
  // not by opacity: the ground is glass now, and what is drawn before it would hide it
  const layer = underground && !shown.buried ? muted(shown) : shown;
  const size = layer.style.size ?? 6;
  const grown = (value: number): string =>
    selected === null ? `${value}` : `\${fid} === ${selected} ? ${value + 4} : ${value}`;
  const tests = shownTests(shown, model);
  const bounds = layer.style.bounds === true;
  const [line, wide] = bounds ? [layerColor(layer, layer.style.color.default), `${layer.style.width ?? 2}`] : [themed('outline'), OUTLINE_WIDTH];
  const filled = bounds && !isLine(layer) ? opacity * BOUNDED : opacity;
  const style = new Cesium3DTileStyle({
    ...(tests.length > 0 ? { show: allOf(tests) } : {}),
    color: { conditions: [[IS_OUTLINE, paint(line, opacity)], ...colorConditions(layer, filled, selected, unsaved, undefined, undefined, model)] },
    lineWidth: { conditions: [[IS_OUTLINE, wide], ...widthConditions(layer, underground, grown)] },
    pointSize: { conditions: [...CLUSTER_SIZES, ['true', grown(size)]] },
    pointOutlineColor: paint(themed('halo'), opacity),
    pointOutlineWidth: '1',
  });
  return remembering(style);
}

/** Under the street what lies there is broader than the style says, and the streets over it are all narrow. */
function widthConditions({ buried, style }: LayerConfig, underground: boolean, grown: (value: number) => string): [string, string][] {
  const { property } = style.color;
  const listed = property && (buried || !underground) ? Object.entries(style.widths ?? {}) : [];
  const more = underground && buried ? 2 : 0;
  const afar = (value: number): string => grown(Math.max(value / 2, 1));
  return [
    ...listed.flatMap(([value, width]): [string, string][] => {
      const test = `\${${property}} === ${literal(value)}`;
      return [[`${IS_AFAR} && ${test}`, afar(width)], [test, grown(width + more)]];
    }),
    // what stands for several of no class of its own
    [MERGED, '1'],
    [IS_AFAR, afar(style.width ?? 2)],
    ['true', grown((style.width ?? 2) + more)],
  ];
}
