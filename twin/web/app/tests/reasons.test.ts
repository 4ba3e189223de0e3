import { expect, test } from 'vitest';
import type { LayerConfig } from '../src/config';
import { seen, whyEmpty, whyFlat, whyOutlined, whyNot, zoomOf, type Progress } from '../src/layers/reasons';
import { statusOf } from '../src/layers/tiled';
import { readLink } from '../src/link';
import type { State } from '../src/state';
import { city, layer } from './city';

const roads = layer('roads', { geometryType: 'LineString' });
const houses = layer('houses', { scene: { url: '/', body: 'prism', painted: false } });
const pipes = layer('pipes', { geometryType: 'LineString', buried: true, scene: { url: '/', body: 'tube', painted: false } });
const config = city(roads, houses, pipes);
const state: State = readLink('#lang=en', config);
const away = { ...state, view: { ...state.view, lon: 10, lat: 10 } };
const under = { ...state, underground: true };

test.each<[string, ReturnType<typeof layer>, State, Progress, string | null, string | null]>([
  ['it is in the picture', roads, state, 'open', null, null],
  ['it is a raster or another form', layer('x', { vector: null }), state, 'open', 'why.form', 'data'],
  ['it has no features', layer('x', { count: 0 }), state, 'open', 'why.empty', 'data'],
  ['one has no right', roads, state, 403, 'why.right', null],
  ['one has no key', roads, state, 401, 'why.right', null],
  ['the server dropped it', roads, state, 404, 'why.gone', 'again'],
  ['the server is away', roads, state, 0, 'why.away', 'again'],
  ['it is still being built', houses, state, 503, 'why.building', 'again'],
  ['it cannot be read', houses, state, 400, 'why.failed', 'again'],
  ['it stands on the street while one looks under it', houses, under, 'open', 'why.underground', 'surface'],
  ['a line is still seen there, to find the way', roads, under, 'open', null, null],
  ['it lies under the street', pipes, state, 'open', 'why.buried', 'under'],
  ['it is seen there', pipes, under, 'open', null, null],
  ['from above it is seen too', pipes, { ...state, mode: '2d' }, 'open', null, null],
  ['it lies elsewhere', roads, away, 'open', 'why.outside', 'go'],
  ['one is too far', layer('x', { vector: { url: '/', minzoom: 14, maxzoom: 16 }, extent: null }), { ...state, view: { ...state.view, height: 90_000 } }, 'open', 'why.far', 'closer'],
  ['it is on its way', roads, state, 'opening', 'why.opening', null],
])('a layer shows nothing: %s', (_case, of, at, progress, word, step) => {
  expect(whyNot(of, at, progress)).toEqual(word === null ? null : { word, step });
});

test('an empty map says why and what to do', () => {
  const open = (): Progress => 'open';
  const off = (...on: string[]): State => ({
    ...state,
    layers: Object.fromEntries(config.layers.map(({ id }) => [id, { visible: on.includes(id), opacity: 1 }])),
  });
  expect(whyEmpty(config, state, open)).toBeNull();
  expect(whyEmpty(city(), state, open)?.word).toBe('why.nothing');
  expect(whyEmpty({ ...city(), unavailable: 'city.gpkg is empty' }, state, open)).toEqual({ word: 'why.lost', step: 'reload' });
  expect(whyEmpty(config, off(), open)).toEqual({ word: 'why.off', step: 'usual' });
  expect(whyEmpty(config, { ...off('roads', 'houses'), view: away.view }, open)).toEqual({ word: 'why.elsewhere', step: 'home' });
  expect(whyEmpty(config, off('pipes'), open)).toEqual({ word: 'why.buried', step: 'under' });
  expect(whyEmpty(config, off('roads', 'houses'), () => 0)).toEqual({ word: 'why.away', step: 'again' });
  expect(whyEmpty(config, off('houses', 'pipes'), (id) => (id === 'houses' ? 403 : 'open'))).toEqual({ word: 'why.each', step: 'layers' });
  expect(whyEmpty(config, off('roads'), () => 'opening')).toBeNull();
});

test('the picture reaches as far as it is looked from, and the zoom follows the distance', () => {
  const [west, south, east, north] = seen({ lon: 25, lat: 60, height: 1000, heading: 0, pitch: -45 });
  expect((north - south) * 111_320).toBeCloseTo(3000, 0);
  expect(east - west).toBeCloseTo(2 * (north - south), 3);
  const at = (height: number): number => zoomOf({ lon: 25, lat: 60, height, heading: 0, pitch: -90 });
  expect(at(1000) - at(2000)).toBeCloseTo(1, 6);
});

test('the status of a tile that failed is read from the words of the engine', () => {
  expect(statusOf('Request has failed. Status Code: 503')).toBe(503);
  expect(statusOf('NetworkError')).toBe(0);
  expect(statusOf(undefined)).toBe(0);
});

test('a ground that is flat against the wish of the city says why', () => {
  const terrain = { url: 'terrain/dem', layer: 'dem' };
  expect(whyFlat(config, null)).toBeNull();
  expect(whyFlat({ ...config, terrain }, null)).toBeNull();
  expect(whyFlat({ ...config, terrain }, 503)).toEqual({ word: 'terrain.failed', step: 'terrain' });
  expect(whyFlat({ ...config, terrain }, 'slow')?.word).toBe('terrain.slow');
  expect(whyFlat({ ...config, terrainMissing: 'there is no layer of terrain' }, null)?.word).toBe('terrain.missing');
});

test('a layer whose bodies stand on a terrain that is off says why it is an outline', () => {
  const solid = layer('solid', { scene: { url: '/', body: 'prism', painted: false } });
  const word = (of: LayerConfig, more: object): string | null => whyOutlined(of, { ...state, ...more })?.word ?? null;
  expect(word(solid, { terrain: false })).toBe('why.outlined');
  expect(whyOutlined(solid, { ...state, terrain: true, flattened: true })).toEqual({ word: 'why.outlined', step: null });
  expect(word(solid, { terrain: true })).toBeNull();
  expect(word(solid, { terrain: null })).toBeNull();
  expect(word(solid, { terrain: false, mode: '2d' })).toBeNull();
  expect(word(layer('flat'), { terrain: false })).toBeNull();
});
