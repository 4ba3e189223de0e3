/**
 * The state as the fragment of the address, and back: a copied link restores the whole view.
 *
 * v=lon,lat,distance,heading,pitch  m=2d|3d  u=1  l=layer,layer:opacity  off=live,live  p=panel,panel
 * t=0 without terrain  x=exaggeration  o=raster,raster (highest first)
 * b=model;storey=NUMBER;below=true;hide=CATEGORY,CATEGORY;by=storey (once a building model)
 * r=raster;colormap=NAME;range=LOW,HIGH;bands=N[,N,N];hillshade=true|false;datetime=TIME (once a raster)
 * at=instant|@change, the city as it was  against=now|instant|@change, compared with it  split=share, side by side
 * set=id, what a change set changed  mv=layer;to=VERSION;from=VERSION, what is different in a model version  cl=JOB, its clashes
 * sb=lon,lat,width,depth,heading,low,high, solids are cut out of this box
 * xr=1, what is not chosen is seen through
 * s=layer:fid | sensor:id | incident:id; a layer that is called like one of those, or any: s=feature:layer:fid;
 * with `:against` after it, as it is in the moment that is compared with
 */

import { usualOpacity, type CityConfig, type Lang, type LayerConfig } from './config';
import { readModel, writeModel } from './layers/model-look';
import { readLook, writeLook } from './layers/raster-look';
import { cardOf, liveTypes, panels } from './panels/registry';
import { isBefore, NOW, readMoment } from './past';
import { isFeature, PICK, type LayerState, type ModelChoice, type SectionBox, type Selection, type State, type Store, type View } from './state';

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
  const match = /^(feature:)?([a-z][a-z0-9_]*):(-?\d{1,15})(:against)?$/.exec(text ?? '');
  if (!match) return null;
  const [, explicit, name, digits, against] = match as unknown as [string, string | undefined, string, string, string | undefined];
  const id = Number(digits);
  if (!explicit && liveTypes().has(name)) return { type: name, id };
  return config.layers.some((layer) => layer.id === name) ? { type: 'feature', layer: name, fid: id, ...(against ? { against: true } : {}) } : null;
}

/** Nothing of what the page alone knows. */
function writeSelection(selection: Selection | null, compared: boolean): string[] {
  if (selection === null || cardOf(selection.type)?.passing) return [];
  if (!isFeature(selection)) return [`s=${selection.type}:${selection.id}`];
  const { layer, fid } = selection;
  const which = compared && selection.against ? ':against' : '';
  return [`s=${liveTypes().has(layer) ? 'feature:' : ''}${layer}:${fid}${which}`];
}

function parseLayers(text: string | null, looks: readonly string[], models: readonly string[], config: CityConfig, then: boolean): Record<string, LayerState> {
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
        opacity: listed.get(layer.id) ?? usualOpacity(layer),
        ...parseLook(looks, layer),
        ...parseModel(models, layer, then),
      },
    ]),
  );
}

/** What is said of one layer, of parts such as `id;name=value`. */
function saidOf(id: string, parts: readonly string[]): string | undefined {
  return parts.find((one) => one.split(';')[0] === id)?.slice(id.length + 1);
}

function parseLook(looks: readonly string[], { id, raster }: LayerConfig): Pick<LayerState, 'raster'> {
  const text = saidOf(id, looks);
  const look = raster && text ? readLook(text, raster) : {};
  return Object.keys(look).length > 0 ? { raster: look } : {};
}

function parseModel(models: readonly string[], layer: LayerConfig, then: boolean): Pick<LayerState, 'model'> {
  const text = saidOf(layer.id, models);
  const model = text ? readModel(text, layer, then) : {};
  return Object.keys(model).length > 0 ? { model } : {};
}

function parseMoments(params: URLSearchParams): Pick<State, 'at' | 'against' | 'split'> {
  const at = readMoment(params.get('at'));
  const other = params.get('against');
  const told = at === null ? null : other === NOW ? NOW : readMoment(other);
  // the server tells of what came later only
  const against = at !== null && told !== null && isBefore(told, at) ? null : told;
  const share = Number(params.get('split') ?? NaN);
  return { at, against, split: against !== null && share >= 0 && share <= 1 ? share : null };
}

function parseSet(text: string | null): number | null {
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : null;
}

function parseVersion(text: string | null, config: CityConfig): ModelChoice | null {
  const [layer = '', ...parts] = (text ?? '').split(';');
  const said = new URLSearchParams(parts.join('&'));
  const [to, from] = [said.get('to'), said.get('from')];
  return to && config.layers.some(({ id }) => id === layer) ? { layer, to, from } : null;
}

function parseSection(text: string | null): SectionBox | null {
  const parts = numbers(text, 7);
  if (!parts) return null;
  const [lon, lat, width, depth, heading, low, high] = parts as [number, number, number, number, number, number, number];
  return Math.abs(lon) <= 180 && Math.abs(lat) < 90 && width > 0 && depth > 0 && high > low ? { lon, lat, width, depth, heading, low, high } : null;
}

function writeSection({ lon, lat, ...metres }: SectionBox): string {
  const { width, depth, heading, low, high } = metres;
  return `sb=${[round(lon, 7), round(lat, 7), ...[width, depth, heading, low, high].map((one) => round(one, 2))].join(',')}`;
}

function writeVersion({ layer, to, from }: ModelChoice): string {
  const said = new URLSearchParams({ to, ...(from === null ? {} : { from }) });
  return `mv=${layer};${said.toString().replaceAll('&', ';')}`;
}

const MOST_EXAGGERATED = 10;

function parseExaggeration(text: string | null): number {
  const value = Number(text ?? 1);
  return value >= 1 && value <= MOST_EXAGGERATED ? value : 1;
}

function list(text: string | null): string[] {
  return (text ?? '').split(',').filter(Boolean);
}

/** The panels that a link opens: the first named on each side, with the pointer mode of the last of them. */
function parsePanels(text: string | null): Pick<State, 'left' | 'right' | 'pointer'> {
  const open = list(text).flatMap((id) => panels.get(id) ?? []);
  const on = (side: 'left' | 'right'): string | null =>
    open.find((entry) => entry.side === side && !entry.card)?.id ?? null;
  const pointer = open.findLast((entry) => entry.pointer)?.pointer ?? PICK;
  return { left: on('left'), right: on('right'), pointer };
}

function preferredLanguage(config: CityConfig): Lang {
  const wanted = navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
  return config.languages.includes(wanted) ? wanted : (config.languages[0] ?? 'en');
}

export function readLink(hash: string, config: CityConfig): State {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const lang = params.get('lang') as Lang | null;
  const selection = parseSelection(params.get('s'), config);
  const open = parsePanels(params.get('p'));
  return {
    lang: lang && config.languages.includes(lang) ? lang : preferredLanguage(config),
    mode: params.get('m') === '2d' ? '2d' : '3d',
    underground: params.get('u') === '1',
    view: parseView(params.get('v')) ?? config.view,
    layers: parseLayers(params.get('l'), params.getAll('r'), params.getAll('b'), config, readMoment(params.get('at')) !== null),
    rasters: list(params.get('o')).filter((id) => config.layers.some((layer) => layer.id === id && layer.raster)),
    terrain: config.terrain ? params.get('t') !== '0' : null,
    exaggeration: parseExaggeration(params.get('x')),
    ...parseMoments(params),
    set: parseSet(params.get('set')),
    version: parseVersion(params.get('mv'), config),
    clash: /^[\w-]{1,64}$/.exec(params.get('cl') ?? '')?.[0] ?? null,
    xray: params.get('xr') === '1',
    section: parseSection(params.get('sb')),
    live: Object.fromEntries(list(params.get('off')).map((id) => [id, false])),
    selection,
    ...open,
  };
}

function round(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** What was chosen for rasters and building models. */
function looks({ layers }: Readonly<State>): string[] {
  return Object.entries(layers).flatMap(([id, { raster, model }]) => {
    const [look, seen] = [writeLook(id, raster), writeModel(id, model)];
    return [...(look ? [`r=${look}`] : []), ...(seen ? [`b=${seen}`] : [])];
  });
}

export function writeLink(state: Readonly<State>): string {
  const { view, selection, left, right } = state;
  const layers = Object.entries(state.layers)
    .filter(([, layer]) => layer.visible)
    .map(([id, layer]) => (layer.opacity === 1 ? id : `${id}:${round(layer.opacity, 2)}`));
  const parts = [
    `v=${round(view.lon, 6)},${round(view.lat, 6)},${round(view.height, 1)},${round(view.heading, 1)},${round(view.pitch, 1)}`,
    `m=${state.mode}`,
    `l=${layers.join(',')}`,
  ];
  if (state.underground) parts.push('u=1');
  if (state.terrain === false) parts.push('t=0');
  if (state.exaggeration !== 1) parts.push(`x=${round(state.exaggeration, 2)}`);
  if (state.rasters.length > 0) parts.push(`o=${state.rasters.join(',')}`);
  parts.push(...looks(state));
  if (state.at) parts.push(`at=${encodeURIComponent(state.at)}`);
  if (state.against !== null) parts.push(`against=${encodeURIComponent(state.against)}`);
  if (state.split !== null) parts.push(`split=${round(state.split, 3)}`);
  if (state.set !== null) parts.push(`set=${state.set}`);
  if (state.version !== null) parts.push(writeVersion(state.version));
  if (state.clash !== null) parts.push(`cl=${state.clash}`);
  if (state.section !== null) parts.push(writeSection(state.section));
  if (state.xray) parts.push('xr=1');
  const off = Object.entries(state.live).flatMap(([id, shown]) => (shown ? [] : [id]));
  if (off.length > 0) parts.push(`off=${off.join(',')}`);
  const open = [left, right].filter((id) => id !== null);
  if (open.length > 0) parts.push(`p=${open.join(',')}`);
  parts.push(...writeSelection(selection, state.against !== null));
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
    if (changed.has('selection') || changed.has('mode') || changed.has('at') || changed.has('against') || changed.has('set') || changed.has('version') || changed.has('clash')) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
  });
  const restore = (): void => {
    restoring = true;
    const state = readLink(location.hash, config);
    const { left, right } = store.get();
    // a link that says nothing of them leaves tree and list as they stand
    store.set({ ...state, left: state.left ?? left, right: state.right ?? right });
    restoring = false;
    // the address must not name what is not shown yet, as something is typed in the card
    if (store.draft.waiting.peek()) history.pushState(null, '', writeLink(store.get()));
  };
  window.addEventListener('popstate', restore);
  window.addEventListener('hashchange', restore);
  history.replaceState(null, '', writeLink(store.get()));
}
