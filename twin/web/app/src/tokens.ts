/**
 * The colours of the page, by day and by night: CSS reads them as custom properties (`var(--ink)`), map and
 * charts through `color()`. `tests/tokens.test.ts` holds the contrasts.
 */

import { computed, effect, signal } from '@preact/signals-core';

export type Shade = 'light' | 'dark';
export type Theme = 'auto' | Shade;

const light = {
  ink: '#20262c',
  soft: '#5b6670',
  faint: '#8a96a0',
  line: '#dfe4e8',
  edge: '#808c96',
  paper: '#ffffff',
  hover: '#eef2f5',
  field: '#f5f7f8',
  accent: '#1d6fb8',
  'on-accent': '#ffffff',
  tint: '#e6f0fa',
  'on-tint': '#175a96',
  warn: '#e07a00',
  'warn-paper': '#fff6ea',
  live: '#2e9e5b',
  silent: '#8a96a0',
  veil: '#ffffffb8',
  'on-veil': '#3c464e',
  near: '#141e2824',
  far: '#141e281a',
  red: '#c1121f',
  'on-red': '#ffffff',
  orange: '#e07a00',
  'on-orange': '#20262c',
  yellow: '#e3b505',
  'on-yellow': '#20262c',
  blue: '#1d6fb8',
  'on-blue': '#ffffff',
  ok: '#4b5563',
  halo: '#ffffff',
  selected: '#ffd21f',
  unsaved: '#00788a',
  sky: '#dfe7ee',
  ground: '#f4f5f3',
  glass: '#525252',
  'on-glass': '#e6eaee',
  pale: '#ffffff',
  label: '#33404a',
  outline: '#746c60',
  grid: '#e6eaee',
  added: '#00704a',
  removed: '#b3125f',
  moved: '#0b5cad',
  changed: '#5a3fc0',
  clash: '#c2370a',
  obstacle: '#0b6f86',
  cap: '#8a4b32',
};

export type Token = keyof typeof light;

const dark: Record<Token, string> = {
  ink: '#e6eaee',
  soft: '#a9b4be',
  faint: '#7d8993',
  line: '#343d46',
  edge: '#76828d',
  paper: '#1b2127',
  hover: '#2a323a',
  field: '#232a31',
  accent: '#6cb2f0',
  'on-accent': '#10161b',
  tint: '#1f3447',
  'on-tint': '#9ccbf5',
  warn: '#f39a3d',
  'warn-paper': '#352a1a',
  live: '#4cc27d',
  silent: '#7d8993',
  veil: '#1b2127c4',
  'on-veil': '#c3ccd4',
  near: '#00000066',
  far: '#00000059',
  red: '#f2575f',
  'on-red': '#10161b',
  orange: '#f39a3d',
  'on-orange': '#10161b',
  yellow: '#f0c930',
  'on-yellow': '#10161b',
  blue: '#5aa9f0',
  'on-blue': '#10161b',
  ok: '#a9b4be',
  halo: '#10161b',
  selected: '#ffd21f',
  unsaved: '#4fd0dc',
  sky: '#11161a',
  ground: '#252c33',
  glass: '#15191c',
  'on-glass': '#dbe2e8',
  pale: '#3a434c',
  label: '#dbe2e8',
  outline: '#8b97a3',
  grid: '#2d363e',
  added: '#3fd49a',
  removed: '#ff7fb4',
  moved: '#6cb8ff',
  changed: '#b3a2ff',
  clash: '#ff8a5c',
  obstacle: '#5cc8e0',
  cap: '#b3704f',
};

/** Of the storeys of a model, from the lowest above the ground to the highest, and of those below it; as of data for a
 * light map. From a short table: between its colours they are mixed. */
export const STOREYS = ['#3b4cc0', '#2f8fc4', '#2aa198', '#57a639', '#c8b400', '#e07b00', '#c9302c', '#8e2a7e'] as const;
export const CELLARS = ['#9aa0a6', '#4a4f55'] as const;

export const TOKENS: Readonly<Record<Shade, Readonly<Record<Token, string>>>> = { light, dark };

const SLOT = 'twin.theme';
const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];

function kept(): Theme {
  const value = localStorage.getItem(SLOT) as Theme | null;
  return value && THEMES.includes(value) ? value : 'auto';
}

const preference = window.matchMedia('(prefers-color-scheme: dark)');
const prefersDark = signal(preference.matches);
preference.addEventListener('change', (event) => {
  prefersDark.value = event.matches;
});

/** What the user chose; `auto` follows the system. */
export const theme = signal<Theme>(kept());

export const shade = computed<Shade>(() => (theme.value === 'auto' ? (prefersDark.value ? 'dark' : 'light') : theme.value));

/** The other shade, kept for this browser; `auto` again where that is what the system prefers. */
export function switchShade(): void {
  const wanted: Shade = shade.peek() === 'dark' ? 'light' : 'dark';
  theme.value = (wanted === 'dark') === prefersDark.peek() ? 'auto' : wanted;
  localStorage.setItem(SLOT, theme.peek());
}

/** A colour of the present theme; whoever reads it while drawing follows the theme. */
export function color(token: Token): string {
  return TOKENS[shade.value][token];
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

/** `#rrggbb` moved towards another by that share. */
export function mixed(from: string, to: string, share: number): string {
  const goal = channels(to);
  const parts = channels(from).map((part, i) => Math.round(part + (goal[i]! - part) * share));
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

/** A colour whose channels are taken as linear where they are drawn. */
export function linear(hex: string): string {
  return `#${channels(hex).map((part) => Math.round(255 * (part / 255) ** 2.2).toString(16).padStart(2, '0')).join('')}`;
}

/** How far white goes towards the ground by night, and a darker colour less: pale streets would outshine all else. */
const NIGHT = 0.68;
const PLAIN = /^#[0-9a-f]{6}$/i;

/** A colour of the data, which the server states for a light map (`#rrggbb`), as the theme shows it. */
export function dataColor(stated: string): string {
  if (shade.value !== 'dark' || !PLAIN.test(stated)) return stated;
  const parts = channels(stated);
  const lightness = (Math.max(...parts) + Math.min(...parts)) / 510;
  return mixed(stated, color('ground'), NIGHT * lightness);
}

/** Gives the document the colours, now and after each switch. */
export function followTheme(root: HTMLElement): void {
  effect(() => {
    for (const [name, value] of Object.entries(TOKENS[shade.value])) root.style.setProperty(`--${name}`, value);
    root.style.colorScheme = shade.value;
    root.dataset['theme'] = shade.value;
  });
}
