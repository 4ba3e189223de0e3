import { afterEach, expect, test } from 'vitest';
import { layerColor, paler, sceneStyle, vectorStyle } from '../src/layers/style';
import { TOKENS, theme } from '../src/tokens';
import { OUTLINE } from '../src/map/outlines';
import { layer } from './city';

const plan = layer('plan', {
  style: {
    color: { property: 'use', values: { shop: '#ff0000' }, default: '#336699' },
    legend: [],
    assumed: { property: 'use_source', values: ['default'] },
  },
});

/** The colour rules of a style, as the engine got them. */
function rules(style: ReturnType<typeof sceneStyle>): [string, string][] {
  const { color } = style.style as { color: { conditions: [string, string][] } };
  return JSON.parse(JSON.stringify(color.conditions)) as [string, string][];
}

afterEach(() => {
  theme.value = 'light';
});

test('what is not saved is told from the rest, and what is to be deleted fades', () => {
  theme.value = 'light';
  const [, edited, leaving] = rules(vectorStyle(plan, 1, 7, false, { changed: [3, 4], removed: [5] })).slice(0, 4).filter(([test]) => test.includes('fid'));
  expect(edited).toEqual(['${fid} === 3 || ${fid} === 4', "color('#00788a')"]);
  expect(leaving).toEqual(['${fid} === 5', "color('#00788a', 0.35)"]);
  expect(rules(sceneStyle(plan, 1, null, { changed: [3], removed: [] }))[0]).toEqual(['${fid} === 3', "color('#00788a')"]);
});

test('what is chosen comes first, then what is assumed, then the values, then the rest', () => {
  theme.value = 'light';
  expect(rules(vectorStyle(plan, 1, 7, false))).toEqual([
    [`\${${OUTLINE}} === true`, `color('${TOKENS.light.outline}')`],
    ['${fid} === 7', "color('#ffd21f')"],
    ["${use} === 'shop' && (${use_source} === 'default')", "color('#ff8080')"],
    ["${use} === 'shop'", "color('#ff0000')"],
    ["${use_source} === 'default'", "color('#99b3cc')"],
    ['true', "color('#336699')"],
  ]);
});

test('opacity fades all but the chosen one, which stays in sight', () => {
  const faded = rules(vectorStyle(plan, 0.3, 7, false));
  expect(faded[1]![1]).toContain('0.8');
  expect(faded.at(-1)![1]).toBe("color('#336699', 0.3)");
});

test('bodies that bring their colours are drawn in them', () => {
  const painted = layer('model', { scene: { url: '/', body: 'prism', painted: true } });
  expect(rules(sceneStyle(painted, 1, null))).toEqual([['true', "color('#ffffff')"]]);
});

test('of bounds the line around them is drawn, what lies in them is seen', () => {
  theme.value = 'light';
  const bounds = layer('bounds', { style: { ...plan.style, color: { property: null, values: {}, default: '#336699' }, assumed: null, bounds: true, width: 3 } });
  const style = vectorStyle(bounds, 1, null, false);
  expect(rules(style)).toEqual([[`\${${OUTLINE}} === true`, "color('#336699')"], ['true', "color('#336699', 0.06)"]]);
  expect((style.style as { lineWidth: { conditions: unknown[][] } }).lineWidth.conditions[0]).toEqual([`\${${OUTLINE}} === true`, '3']);
});

test('underground, only what is buried keeps its colour', () => {
  const street = rules(vectorStyle(layer('road'), 1, null, true)).at(-1)![1];
  const pipe = rules(vectorStyle(layer('pipe', { buried: true }), 1, null, true)).at(-1)![1];
  expect(pipe).toBe("color('#336699')");
  expect(street).not.toBe(pipe);
});

test('by night the colours of the data go towards the ground', () => {
  const day = paler('#336699');
  theme.value = 'dark';
  expect(paler('#336699')).not.toBe(day);
  expect(rules(vectorStyle(layer('road'), 1, null, false)).at(-1)).not.toEqual(['true', "color('#336699')"]);
});

test.each(["St. John's", 'a\\b', '"', `'"'`])('the engine finds the value %s', (value) => {
  const odd = layer('odd', { style: { color: { property: 'use', values: { [value]: '#ff0000' }, default: '#000000' }, legend: [] } });
  const style = vectorStyle(odd, 1, null, false);
  const red = (use: string): number => {
    const feature = { getProperty: () => use, getPropertyInherited: () => use, hasProperty: () => true };
    return (style.color as unknown as { evaluateColor(of: unknown): { red: number } }).evaluateColor(feature).red;
  };
  expect([red(value), red('another')]).toEqual([1, 0]);
});

test('by night what covers the ground recedes into it, what stands on it does not', () => {
  const houses = layer('houses', { scene: { url: '/', body: 'prism', painted: false } });
  expect(layerColor(layer('cover'), '#d0c4ac')).toBe('#d0c4ac');
  theme.value = 'dark';
  const [cover, house] = [layer('cover'), houses].map((one) => Number.parseInt(layerColor(one, '#d0c4ac').slice(1, 3), 16));
  expect(house! - cover!).toBeGreaterThan(30);
});

test('what is buried keeps its colours by night: it is seen on dark glass by day, too', () => {
  const colours = { property: 'medium', values: { water: '#1e88e5' }, default: '#b39ddb' };
  const pipes = layer('pipes', { buried: true, style: { color: colours, assumed: { property: 'source', values: ['default'] }, legend: [] } });
  const day = rules(vectorStyle(pipes, 1, null, true));
  theme.value = 'dark';
  expect(rules(vectorStyle(pipes, 1, null, true)).slice(1)).toEqual(day.slice(1));
  expect(layerColor(pipes, '#b39ddb')).toBe('#b39ddb');
});
