import { nothing, render } from 'lit';
import { afterEach, expect, test, vi } from 'vitest';
import { useLanguage } from '../src/i18n';
import { followModels, modelsThen, readModel, seen, storeyColors, writeModel } from '../src/layers/model-look';
import { sceneStyle, vectorStyle } from '../src/layers/style';
import { readLink, writeLink } from '../src/link';
import { modelControls, storeyLegend } from '../src/panels/layer-tree/model-controls';
import { linear } from '../src/tokens';
import { city, layer, page } from './city';

const block = layer('block', {
  storeys: [
    { no: -1, title: 'Cellar', elevation: -2.8 },
    { no: 1, title: 'Ground', elevation: 0 },
    { no: 2, title: 'Upper', elevation: 3 },
  ],
  categories: ['roof', 'space', 'wall'],
  fields: [{ name: 'category', type: 'string', title: {}, unit: null, codes: { wall: { en: 'Wall', 'zh-CN': '墙' } } }],
});
const config = city(block, layer('roads'));

const shown = (style: ReturnType<typeof sceneStyle>): unknown => (style.style as { show?: unknown }).show;

test('a storey alone, or with those below it; rooms are hidden until they are asked for', () => {
  expect(seen(block, undefined)).toEqual({ storeys: null, hidden: ['space'] });
  expect(seen(block, { storey: 1 })).toEqual({ storeys: [1], hidden: ['space'] });
  expect(seen(block, { storey: 1, below: true, hidden: [] })).toEqual({ storeys: [-1, 1], hidden: [] });
  expect(seen(block, { storey: 9 }).storeys).toBeNull();
  expect(seen(layer('roads'), { storey: 1 })).toEqual({ storeys: null, hidden: [] });
});

test('nothing is hidden that no switch would show again', () => {
  expect(seen(layer('rooms', { storeys: block.storeys!, categories: ['space'] }), undefined)).toEqual({ storeys: null, hidden: [] });
  expect(seen(layer('hut', { storeys: block.storeys!.slice(1, 2) }), { storey: 1 }).storeys).toBeNull();
});

test('the style shows what is chosen, in both forms, and says nothing where nothing was', () => {
  const look = { storey: 1, below: true, hidden: ['roof'] };
  const wanted = "(${storey_no} === -1 || ${storey_no} === 1) && (${category} !== 'roof')";
  expect(shown(vectorStyle(block, 1, null, false, undefined, look))).toBe(wanted);
  expect(shown(sceneStyle(block, 1, null, undefined, look))).toBe(`(\${fid} !== -1) && ${wanted}`);
  expect(shown(sceneStyle(layer('roads'), 1, null))).toBe('${fid} !== -1');
  expect(shown(vectorStyle(layer('roads'), 1, null, false))).toBeUndefined();
});

test('a link restores what was chosen of a model, and no more than the model has', () => {
  const hash = '#v=24.95,60.15,420,35,-50&m=3d&l=block&b=block;storey=-1;below=true;hide=roof,wall&lang=en';
  expect(writeLink(readLink(hash, config))).toBe(hash);
  expect(readModel('storey=7;below=true;hide=roof,moat', block)).toEqual({ hidden: ['roof'] });
  expect(writeModel('block', {})).toBeNull();
  expect(writeModel('block', { hidden: [] })).toBe('block;hide=');
  expect(readLink('#b=roads;storey=1', config).layers['roads']).toEqual({ visible: true, opacity: 1 });
});

test('each storey has a colour of its own, in both forms, in the legend and in the link, until it is taken back', () => {
  useLanguage('en', 'UTC');
  const [cellar, ground, upper] = storeyColors(block, { byStorey: true }).map(({ color }) => color);
  expect(new Set([cellar, ground, upper]).size).toBe(3);
  const rules = (style: ReturnType<typeof sceneStyle>): unknown => (style.style as { color: { conditions: [string, string][] } }).color.conditions.filter(([test]) => test.includes('storey_no'));
  const wanted = [['${storey_no} === -1', `color('${cellar}')`], ['${storey_no} === 1', `color('${ground}')`], ['${storey_no} === 2', `color('${upper}')`]];
  expect(rules(sceneStyle(block, 1, null, undefined, { byStorey: true }))).toEqual(wanted.map(([test, paint]) => [test, paint!.replace(/#\w+/, linear)]));
  expect(rules(vectorStyle(block, 1, null, false, undefined, { byStorey: true }))).toEqual(wanted);
  expect(rules(sceneStyle(block, 1, null))).toEqual([]);
  const hash = '#v=24.95,60.15,420,35,-50&m=3d&l=block&b=block;storey=1;by=storey&lang=en';
  expect(writeLink(readLink(hash, config))).toBe(hash);
  expect(readModel('by=storey', layer('roads'))).toEqual({});
  const app = page(config, hash);
  const box = document.body.appendChild(document.createElement('div'));
  render(storeyLegend(app, block), box);
  expect([...box.querySelectorAll('[data-storey]')].map((one) => one.textContent?.trim())).toEqual(['Upper (3 m)', 'Ground (0 m)', 'Cellar (-2.8 m)']);
  render(modelControls(app, block), box);
  const turn = box.querySelector<HTMLInputElement>('[data-model="by-storey"]')!;
  expect(turn.checked).toBe(true);
  turn.checked = false;
  turn.dispatchEvent(new Event('change'));
  expect(storeyColors(block, app.store.get().layers['block']?.model)).toEqual([]);
  box.remove();
});

test('of many storeys neighbours are told apart', () => {
  const tower = layer('tower', { storeys: Array.from({ length: 60 }, (_, i) => ({ no: i + 1, title: `${i + 1}`, elevation: null })) });
  const colors = storeyColors(tower, { byStorey: true }).map(({ color }) => color);
  const parts = (hex: string): number[] => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  const apart = colors.slice(1).map((color, i) => Math.max(...parts(color).map((part, k) => Math.abs(part - parts(colors[i]!)[k]!))));
  expect(Math.min(...apart)).toBeGreaterThan(24);
});

test('of a layer with nothing to choose among the panel has no room', () => {
  const hut = layer('hut', { storeys: block.storeys!.slice(1, 2), categories: ['wall'] });
  const app = page(city(hut));
  expect(modelControls(app, hut)).toBe(nothing);
  expect(modelControls(app, layer('roads'))).toBe(nothing);
});

test('the slider goes from the lowest storey to all of them, and says where it stands', () => {
  useLanguage('en', 'UTC');
  const app = page(config);
  // what is not in a page is not told of a click
  const box = document.body.appendChild(document.createElement('div'));
  const draw = (): unknown => render(modelControls(app, block), box);
  draw();
  const slider = box.querySelector<HTMLInputElement>('[data-model="storey"]')!;
  expect([slider.min, slider.max, slider.value, slider.getAttribute('aria-valuetext')]).toEqual(['0', '3', '3', 'All storeys']);
  expect(box.querySelector('[data-model="below"]')).toBeNull();
  slider.value = '0';
  slider.dispatchEvent(new Event('input'));
  draw();
  expect(app.store.get().layers['block']?.model).toEqual({ storey: -1 });
  expect(box.querySelector('[data-model="shown"]')!.textContent).toBe('Cellar (-2.8 m)');
  box.querySelector<HTMLInputElement>('[data-model="below"]')!.click();
  expect(app.store.get().layers['block']?.model).toEqual({ storey: -1, below: true });
  const wall = box.querySelector<HTMLInputElement>('[data-category="wall"]')!;
  expect([wall.checked, wall.parentElement!.textContent!.trim()]).toEqual([true, 'Wall']);
  wall.click();
  draw();
  expect(app.store.get().layers['block']?.model?.hidden).toEqual(['space', 'wall']);
  box.querySelector<HTMLInputElement>('[data-category="space"]')!.click();
  expect(app.store.get().layers['block']?.model?.hidden).toEqual(['wall']);
});

afterEach(() => {
  modelsThen.value = null;
  vi.unstubAllGlobals();
});

test('at a moment the storeys and categories of then are offered, and a link may name them', async () => {
  const then = { storeys: [{ no: 1, title: 'Ground', elevation: 0 }, { no: 7, title: 'Attic', elevation: 9 }], categories: ['roof', 'stair'] };
  const asked: string[] = [];
  vi.stubGlobal('fetch', (address: string) => {
    asked.push(address);
    return Promise.resolve(new Response(JSON.stringify({ layers: address.includes('%401') ? [] : [{ id: 'block', ...then }] })));
  });
  const app = page(config, '#lang=en&at=@4&b=block;storey=7;hide=stair');
  followModels(app.store);
  await vi.waitFor(() => expect(modelsThen.value).not.toBeNull());
  expect(asked).toEqual(['models.json?at=%404']);
  const look = app.store.get().layers['block']!.model;
  expect(seen(block, look)).toEqual({ storeys: [7], hidden: ['stair'] });
  const box = document.body.appendChild(document.createElement('div'));
  render(modelControls(app, block), box);
  expect(box.querySelector('[data-model="shown"]')!.textContent).toBe('Attic (9 m)');
  expect([...box.querySelectorAll('[data-category]')].map((one) => one.getAttribute('data-category'))).toEqual(['roof', 'stair']);
  app.store.set({ at: '@1' });
  await vi.waitFor(() => expect(modelsThen.value?.size).toBe(0));
  expect(modelControls(app, block)).toBe(nothing);
  app.store.set({ at: null });
  expect(seen(block, look)).toEqual({ storeys: null, hidden: [] });
});
