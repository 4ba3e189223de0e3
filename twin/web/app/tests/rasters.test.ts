import { effect } from '@preact/signals-core';
import { expect, test } from 'vitest';
import type { LayerConfig, RasterConfig } from '../src/config';
import { movedRaster, rasterOrder } from '../src/layers/order';
import { colormapOf, drawnBands, lookOf, queryOf, rangeOf, readLook, writeLook } from '../src/layers/raster-look';
import { whyNot } from '../src/layers/reasons';
import { asked, isSameQuestion, questionOf, steady } from '../src/layers/values';
import { readLink, writeLink } from '../src/link';
import { coarsest } from '../src/map/imagery';
import { city, layer, page } from './city';

const band = { title: null, unit: null, min: 0, max: 10 };
const raster = (more: Partial<RasterConfig> = {}): RasterConfig => ({
  url: 'imagery/x/{z}/{x}/{y}.png',
  minzoom: 8,
  maxzoom: 16,
  bands: ['b1', 'b2', 'b3', 'b4'].map((name) => ({ name, ...band })),
  colormaps: ['terrain', 'viridis'],
  times: [],
  style: {},
  ...more,
});
const picture = (id: string, more: Partial<RasterConfig> = {}) => layer(id, { vector: null, count: 0, geometryType: '', raster: raster(more) });
const config = { ...city(layer('roads'), picture('photo'), picture('dem'), picture('rain', { times: ['2024-05-01', '2024-06-01'] })), terrain: { url: 'terrain/dem', layer: 'dem' } };
const state = readLink('#lang=en', config);

test('rasters lie as the city lists them; those that were moved stand under those that never were', () => {
  const ids = (moved: string[]): string[] => rasterOrder(config.layers, moved).map(({ id }) => id);
  expect(ids([])).toEqual(['photo', 'dem', 'rain']);
  expect(ids(['dem', 'photo', 'rain'])).toEqual(['dem', 'photo', 'rain']);
  expect(ids(['rain', 'photo'])).toEqual(['dem', 'rain', 'photo']);
  expect(movedRaster(config.layers, [], 'rain', -1)).toEqual(['photo', 'rain', 'dem']);
  expect(movedRaster(config.layers, [], 'photo', -1)).toEqual(['photo', 'dem', 'rain']);
  expect(movedRaster(config.layers, ['rain', 'dem', 'photo'], 'photo', -2)).toEqual(['photo', 'rain', 'dem']);
  expect(movedRaster(config.layers, [], 'roads', 1)).toEqual(['photo', 'dem', 'rain']);
});

test('only what was chosen stands in the address of a tile', () => {
  expect(queryOf(undefined)).toBe('');
  expect(queryOf({ colormap: null, hillshade: null })).toBe('');
  const chosen = { colormap: 'viridis', range: [-1.5, 20], bands: [4, 3, 2], hillshade: false, time: '2024-05-01' } as const;
  expect(Object.fromEntries(new URLSearchParams(queryOf(chosen)))).toEqual({
    colormap: 'viridis', range: '-1.5,20', bands: '4,3,2', hillshade: 'false', datetime: '2024-05-01',
  });
});

test('what was chosen wins over the style of the server', () => {
  const dem = picture('dem', { style: { colormap: 'terrain', hillshade: true } });
  expect(lookOf(dem, { visible: true, opacity: 1, raster: { colormap: 'viridis' } })).toEqual({ colormap: 'viridis', hillshade: true });
  const second = picture('x', { style: { colormap: 'terrain', range: [5, 6], bands: [1] } });
  expect(lookOf(second, { visible: true, opacity: 1, raster: { bands: [2] } })).toEqual({ hillshade: null, bands: [2] });
});

test('a legend is drawn of one band in a colour map alone', () => {
  expect(drawnBands(raster({ style: { bands: [1, 2, 3] } }), {})).toEqual([1, 2, 3]);
  expect(drawnBands(raster(), {})).toEqual([1]);
  const dem = { ...picture('dem', { style: { colormap: 'terrain', bands: [1] } }), form: 'surface' };
  const shaded = { ...picture('dem', { style: { hillshade: true, bands: [1] } }), form: 'surface' };
  const own = picture('plan', { style: { bands: [1] } });
  const photo = picture('photo', { style: { bands: [1, 2, 3] } });
  const drawn = (of: LayerConfig, chosen: object): string | null =>
    colormapOf(of, lookOf(of, { visible: true, opacity: 1, raster: chosen }));
  expect(drawn(dem, {})).toBe('terrain');
  expect(drawn(dem, { colormap: 'viridis' })).toBe('viridis');
  expect(drawn(dem, { bands: [4, 3, 2] })).toBeNull();
  expect(drawn(shaded, {})).toBeNull();
  expect(drawn(shaded, { colormap: 'viridis' })).toBe('viridis');
  expect(drawn(shaded, { hillshade: false })).toBe('terrain');
  expect(drawn(own, {})).toBeNull();
  expect(drawn(own, { range: [0, 1] })).toBe('gray');
  expect(drawn(photo, {})).toBeNull();
  expect(drawn(photo, { bands: [4] })).toBe('gray');
  expect(rangeOf(raster(), {})).toEqual([0, 10]);
  expect(rangeOf(raster(), { range: [2, 3] })).toEqual([2, 3]);
  expect(rangeOf(raster({ bands: [{ name: 'b', ...band, max: null }] }), {})).toBeNull();
});

test.each([
  ['colormap=viridis;range=0,5;hillshade=true;bands=2', { colormap: 'viridis', range: [0, 5], hillshade: true, bands: [2] }],
  ['colormap=none;range=5,0;hillshade=1;bands=1,2', {}],
  ['range=0,;bands=9;datetime=2030-01-01', {}],
  ['bands=4,3,2', { bands: [4, 3, 2] }],
])('a link says of a raster: %s', (text, look) => {
  expect(readLook(text, raster())).toEqual(look);
});

test('a link restores rasters and terrain', () => {
  const hash =
    '#v=24.95,60.15,420,35,-50&m=3d&l=photo:0.5,dem,rain&t=0&x=2.5&o=rain,dem,photo&r=dem;colormap=viridis;range=0%2C5&r=rain;datetime=2024-05-01&lang=en';
  const read = readLink(hash, config);
  expect(read).toMatchObject({ terrain: false, exaggeration: 2.5, rasters: ['rain', 'dem', 'photo'] });
  expect(read.layers['dem']).toEqual({ visible: true, opacity: 1, raster: { colormap: 'viridis', range: [0, 5] } });
  expect(writeLink(read)).toBe(hash);
  expect(writeLook('dem', {})).toBeNull();
});

test.each(['x=0', 'x=99', 'x=a', 'o=roads,nowhere', 'r=roads;colormap=viridis', 'r=dem;colormap=none'])('what makes no sense of rasters in a link: %s', (part) => {
  expect(readLink(`#lang=en&${part}`, config)).toEqual(state);
});

test('a city without a terrain has none to switch on', () => {
  const flat = city(layer('roads'));
  expect(readLink('#t=1', flat).terrain).toBeNull();
  expect(writeLink(readLink('#t=0', flat))).not.toContain('t=0');
});

test.each([
  ['it is in the picture', picture('x'), state, 'open', null],
  ['it lies elsewhere', picture('x'), { ...state, view: { ...state.view, lon: 3 } }, 'open', 'why.outside'],
  ['its tiles fail', picture('x'), state, 500, 'why.building'],
  ['it has nothing at that time', picture('x', { times: ['2024-05-01'] }), { ...state, layers: { x: { visible: true, opacity: 1, raster: { time: '1999-01-01' } } } }, 'open', 'why.time'],
  ['it is drawn on the glass of the ground too', picture('x'), { ...state, underground: true }, 'open', null],
] as const)('a raster shows nothing: %s', (_case, of, at, progress, word) => {
  expect(whyNot(of, at, progress)?.word ?? null).toBe(word);
});

test('values are asked of what is shown, the highest first, and of the terrain', () => {
  const ids = (on: string[], rasters: string[] = []): string[] =>
    asked(config, { ...state, rasters, layers: Object.fromEntries(on.map((id) => [id, { visible: true, opacity: 1 }])) }).map(({ id }) => id);
  expect(ids([])).toEqual(['dem']);
  expect(ids(['rain', 'photo', 'roads'])).toEqual(['photo', 'rain', 'dem']);
  expect(ids(['rain', 'dem'], ['rain', 'dem'])).toEqual(['rain', 'dem']);
  expect(asked(city(layer('roads')), state)).toEqual([]);
});

test('how a raster is drawn is no other question to its values; its bands, time and files are', () => {
  const two = { bands: [{ ...band, name: 'a' }, { ...band, name: 'b' }], times: ['2024-05-01', '2024-06-01'] };
  const app = page(city(picture('rain', two)));
  const question = steady(() => questionOf(app.config.layers[0]!, app.store.get()), isSameQuestion);
  const told: string[] = [];
  effect(() => void told.push(question.value.parameters));
  app.store.setLayer('rain', { opacity: 0.4 });
  app.store.setLayer('rain', { visible: true, raster: { colormap: 'viridis', range: [0, 3] } });
  expect(told).toEqual(['parameter-name=a']);
  app.store.setLayer('rain', { raster: { bands: [2], time: '2024-05-01' } });
  app.config.layers = [{ ...app.config.layers[0]! }];
  expect(told).toEqual(['parameter-name=a', 'parameter-name=b&datetime=2024-05-01', 'parameter-name=b&datetime=2024-05-01']);
});

test.each([
  [[-180, -85.05, 180, 85.05], 0],
  [[24.95, 60.17, 24.97, 60.18], 14],
  [[24.95, 60.17, 24.95, 60.17], 18],
  [[179.9, 0, -179.9, 0.1], 10],
  [[0, 0, 0.02, 0.4], 9],
] as const)('what lies at %s is drawn of tiles of zoom %s and finer', (box, zoom) => {
  expect(coarsest(box, 18)).toBe(zoom);
});
