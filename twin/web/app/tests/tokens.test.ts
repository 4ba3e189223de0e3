import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { color, followTheme, mixed, shade, switchShade, theme, TOKENS, type Shade, type Token } from '../src/tokens';

/** WCAG 2.2, relative luminance and contrast ratio. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const SHADES: Shade[] = ['light', 'dark'];
/** Every pair of a text and what it stands on. */
const TEXT: [Token, Token][] = [
  ['ink', 'paper'], ['ink', 'hover'], ['ink', 'field'], ['ink', 'warn-paper'],
  ['soft', 'paper'], ['soft', 'hover'], ['soft', 'field'], ['soft', 'warn-paper'],
  ['accent', 'paper'], ['on-accent', 'accent'], ['on-tint', 'tint'],
  ['on-red', 'red'], ['on-orange', 'orange'], ['on-yellow', 'yellow'], ['on-blue', 'blue'],
  ['added', 'paper'], ['removed', 'paper'], ['changed', 'paper'],
  ['unsaved', 'paper'], ['unsaved', 'hover'], ['paper', 'unsaved'], ['red', 'paper'],
  ['label', 'halo'], ['label', 'ground'], ['on-glass', 'glass'],
];
/** Signs and the edges of controls (WCAG 2.2, 1.4.11). A yellow or orange sign has its shape and its word. */
const MARKS: [Token, Token][] = [
  ['edge', 'paper'], ['edge', 'field'], ['accent', 'paper'], ['red', 'paper'], ['blue', 'paper'], ['ok', 'paper'],
  ['live', 'paper'],
  ['added', 'ground'], ['removed', 'ground'], ['changed', 'ground'], ['clash', 'ground'], ['obstacle', 'ground'], ['clash', 'paper'], ['obstacle', 'paper'],
  // alone it tells an area that is as pale as the ground from it
  ['outline', 'ground'],
];

const pairs = (list: [Token, Token][]): [Shade, Token, Token][] =>
  SHADES.flatMap((one) => list.map(([front, back]): [Shade, Token, Token] => [one, front, back]));

beforeEach(() => {
  localStorage.clear();
  theme.value = 'light';
});

test.each(pairs(TEXT))('%s: %s can be read on %s', (one, front, back) => {
  expect(contrast(TOKENS[one][front], TOKENS[one][back])).toBeGreaterThanOrEqual(4.5);
});

test.each(SHADES)('%s: the notices can be read over whatever the map shows', (one) => {
  const { veil, 'on-veil': text } = TOKENS[one];
  const cover = Number.parseInt(veil.slice(7, 9), 16) / 255;
  for (const behind of [TOKENS[one].ground, TOKENS[one].sky]) {
    expect(contrast(text, mixed(behind, veil.slice(0, 7), cover))).toBeGreaterThanOrEqual(4.5);
  }
});

test.each(pairs(MARKS))('%s: the sign or edge %s is seen on %s', (one, front, back) => {
  expect(contrast(TOKENS[one][front], TOKENS[one][back])).toBeGreaterThanOrEqual(3);
});

test('colours stand in the table of tokens alone', () => {
  const folder = join(import.meta.dirname, '../src');
  expect(readFileSync(join(folder, 'style.css'), 'utf8')).not.toMatch(/#[0-9a-f]{3,8}\b|\brgb|\bhsl/i);
  const used = [...readFileSync(join(folder, 'style.css'), 'utf8').matchAll(/var\(--([a-z-]+)\)/g)].map(([, name]) => name);
  const own = new Set([...Object.keys(TOKENS.light), 'bar', 'strip', 'split', 'shadow', 'color']);
  expect(used.filter((name) => !own.has(name!))).toEqual([]);
});

test('the switch is kept for this browser, and the document follows it', () => {
  followTheme(document.documentElement);
  expect(document.documentElement.dataset['theme']).toBe('light');
  switchShade();
  expect(shade.value).toBe('dark');
  expect(localStorage.getItem('twin.theme')).toBe('dark');
  expect(document.documentElement.style.getPropertyValue('--paper')).toBe(TOKENS.dark.paper);
  expect(color('ink')).toBe(TOKENS.dark.ink);
  switchShade();
  expect(shade.value).toBe('light');
  expect(localStorage.getItem('twin.theme')).toBe('auto');
});
