import { nothing, render } from 'lit';
import { afterEach, expect, test, vi } from 'vitest';
import { useLanguage } from '../src/i18n';
import { followModels, modelsThen, readModel, seen, writeModel } from '../src/layers/model-look';
import { sceneStyle, vectorStyle } from '../src/layers/style';
import { readLink, writeLink } from '../src/link';
import { modelControls } from '../src/panels/layer-tree/model-controls';
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
