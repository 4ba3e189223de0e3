/** The state as the fragment of the address, and back: a copied link restores the whole view. */

import type { CityConfig, Lang } from './config';
import type { LayerState, Selection, State, Store, View } from './state';

function numbers(text: string | null, count: number): number[] | null {
  const parts = (text ?? '').split(',').map(Number);
  return parts.length === count && parts.every(Number.isFinite) ? parts : null;
}

/** The camera in world coordinates may stand anywhere above the ground, or a little under it. */
function parseView(text: string | null): View | null {
  const parts = numbers(text, 5);
  if (!parts) return null;
  const [lon, lat, height, heading, pitch] = parts as [number, number, number, number, number];
  if (Math.abs(lon) > 180 || Math.abs(lat) > 90 || Math.abs(pitch) > 90) return null;
  return { lon, lat, height, heading, pitch };
}

function parseSelection(text: string | null, config: CityConfig): Selection | null {
  const match = /^([a-z][a-z0-9_]*):(-?\d{1,15})$/.exec(text ?? '');
  if (!match) return null;
  const [, name, digits] = match as unknown as [string, string, string];
  const id = Number(digits);
  if (name === 'sensor' || name === 'incident') return { type: name, id };
  return config.layers.some((layer) => layer.id === name) ? { type: 'feature', layer: name, fid: id } : null;
}

function parseLayers(text: string | null, config: CityConfig): Record<string, LayerState> {
  const listed = new Map<string, number>();
  for (const part of (text ?? '').split(',').filter(Boolean)) {
    const [id = '', opacity = '1'] = part.split(':');
    const value = Number(opacity);
    listed.set(id, value >= 0 && value <= 1 ? value : 1);
  }
  return Object.fromEntries(
    config.layers.map((layer) => [
      layer.id,
      {
        visible: text === null ? layer.visible : listed.has(layer.id),
        opacity: listed.get(layer.id) ?? 1,
      },
    ]),
  );
}

function preferredLanguage(config: CityConfig): Lang {
  const wanted = navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
  return config.languages.includes(wanted) ? wanted : (config.languages[0] ?? 'en');
}

export function readLink(hash: string, config: CityConfig): State {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const lang = params.get('lang') as Lang | null;
  const listed = params.get('l');
  const selection = parseSelection(params.get('s'), config);
  const off = new Set((params.get('off') ?? '').split(','));
  return {
    lang: lang && config.languages.includes(lang) ? lang : preferredLanguage(config),
    mode: params.get('m') === '2d' ? '2d' : '3d',
    underground: params.get('u') === '1',
    view: parseView(params.get('v')) ?? config.view,
    layers: parseLayers(listed, config),
    sensors: !off.has('sensors'),
    incidents: !off.has('incidents'),
    selection,
    left: null,
    right: selection ? 'card' : null,
  };
}

function round(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

export function writeLink(state: Readonly<State>): string {
  const { view, selection } = state;
  const layers = Object.entries(state.layers)
    .filter(([, layer]) => layer.visible)
    .map(([id, layer]) => (layer.opacity === 1 ? id : `${id}:${round(layer.opacity, 2)}`));
  const parts = [
    `v=${round(view.lon, 6)},${round(view.lat, 6)},${round(view.height, 1)},${round(view.heading, 1)},${round(view.pitch, 1)}`,
    `m=${state.mode}`,
    `l=${layers.join(',')}`,
  ];
  if (state.underground) parts.push('u=1');
  const off = [state.sensors ? '' : 'sensors', state.incidents ? '' : 'incidents'].filter(Boolean);
  if (off.length > 0) parts.push(`off=${off.join(',')}`);
  if (selection) {
    parts.push(
      selection.type === 'feature' ? `s=${selection.layer}:${selection.fid}` : `s=${selection.type}:${selection.id}`,
    );
  }
  parts.push(`lang=${state.lang}`);
  return `#${parts.join('&')}`;
}

/** Camera moves replace the entry; a new selection or mode makes one, so that Back undoes it. */
export function mirrorLink(store: Store, config: CityConfig): void {
  let restoring = false;
  store.subscribe((state, changed) => {
    if (restoring) return;
    const hash = writeLink(state);
    if (hash === location.hash) return;
    if (changed.has('selection') || changed.has('mode')) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
  });
  const restore = (): void => {
    restoring = true;
    const { left, lang: _lang, ...rest } = readLink(location.hash, config);
    store.set({ ...rest, lang: _lang, left: left ?? store.get().left });
    restoring = false;
  };
  window.addEventListener('popstate', restore);
  window.addEventListener('hashchange', restore);
  history.replaceState(null, '', writeLink(store.get()));
}

export const hasKey = (hash: string): boolean => new URLSearchParams(hash.replace(/^#/, '')).has('key');

/** The key of the fragment, which leaves the address at once; null where it names none. */
export function takeKey(): string | null {
  const params = new URLSearchParams(location.hash.replace(/^#/, ''));
  const key = params.get('key');
  if (key === null) return null;
  const kept = location.hash
    .replace(/^#/, '')
    .split('&')
    .filter((part) => !part.startsWith('key='));
  history.replaceState(null, '', kept.length > 0 ? `#${kept.join('&')}` : location.pathname + location.search);
  return key;
}
