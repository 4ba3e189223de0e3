import { expect, test } from 'vitest';
import type { Feature } from '../src/api';
import type { FieldConfig } from '../src/config';
import { rank as level } from '../src/layers/form';
import { byImportance, isWritten, namesOf, needed, Room } from '../src/layers/names';
import { lowestWritten, ranked, rankOf, writtenWithin } from '../src/layers/ranks';
import { readLink } from '../src/link';
import { marked } from '../src/live/chosen';
import { placeOf, Sensors, worst } from '../src/live/sensors';
import { city, incident, layer, page, sensors } from './city';

const style = { color: { property: null, values: {}, default: '#dddddd' }, legend: [], label: ['name'] };
const fields = ['name', 'number', 'street', 'class', 'diameter'].map((name): FieldConfig => ({ name, type: 'string', title: {}, unit: null }));
const road = layer('road', { geometryType: 'LineString', fields, style: { ...style, labelWithin: 2500 } });
const doors = layer('doors', {
  geometryType: 'Point',
  fields,
  label: [['full'], ['street', 'number']],
  style: { ...style, label: ['number', 'name'], labelWithin: 700, labelFlat: true },
});
const rank = { property: 'class', values: [['motorway', 'main'], ['street'], ["l'ane"]], least: [] };
const ranking = layer('ranking', { geometryType: 'LineString', fields, style: { ...style, rank, labelWithin: 8000 } });
const feature = (type: string, coordinates: unknown, properties: Record<string, unknown>): Feature => ({
  type: 'Feature',
  id: 1,
  geometry: { type, coordinates },
  properties,
});

test('a street is named along its straight pieces, the bends in it are none', () => {
  const line = [[24.94, 60.17], [24.941, 60.17], [24.942, 60.17001], [24.942, 60.171], [24.94201, 60.17101]];
  const found = namesOf(road, feature('LineString', line, { name: 'Kaivokatu' }));
  expect(found.map(({ from, to, size }) => [from, to, Math.round(size)])).toEqual([
    [[24.94, 60.17], [24.942, 60.17001], 111],
    [[24.942, 60.17001], [24.942, 60.171], 110],
  ]);
  expect(namesOf(road, feature('LineString', line, { name: null }))).toEqual([]);
});

test('an area is named in the middle of its largest part, a point where it is', () => {
  const square = (west: number, side: number): number[][][] => [
    [[west, 60], [west + side, 60], [west + side, 60 + side], [west, 60 + side], [west, 60]],
  ];
  const park = layer('park', { fields, style });
  const [name] = namesOf(park, feature('MultiPolygon', [square(24, 0.001), square(25, 0.002)], { name: 'Park' }));
  expect(name?.from.map((one) => Number(one.toFixed(6)))).toEqual([25.001, 60.001]);
  expect(namesOf(doors, feature('Point', [24, 60], { number: '7', name: 'House' }))).toEqual([
    { text: '7', key: ' 7', rank: 0, from: [24, 60], to: null, size: 0 },
  ]);
});

test('the same number of another street is another name', () => {
  const keys = ['A', 'B', 'A'].map((street) => namesOf(doors, feature('Point', [24, 60], { number: '7', street }))[0]!.key);
  expect(keys).toEqual(['A 7', 'B 7', 'A 7']);
  expect(needed(doors)).toEqual(['street', 'number', 'name']);
});

test('of each rank names are written half as far as of the one above it, and first', () => {
  expect(['main', 'street', 'path', undefined].map((one) => rankOf(ranking, { class: one }))).toEqual([0, 1, 3, 3]);
  expect([0, 1, 3].map((one) => writtenWithin(ranking, one))).toEqual([8000, 4000, 1000]);
  expect([9000, 8000, 5000, 3000, 1500, 900].map((one) => lowestWritten(ranking, one))).toEqual([-1, 0, 0, 1, 2, 3]);
  expect([0, 2, 3].map((one) => ranked(ranking, one))).toEqual(
    [`"class" IN ('motorway','main')`, `"class" IN ('motorway','main','street','l''ane')`, null],
  );
  const line = (name: string, kind: string, long: number) =>
    namesOf(ranking, feature('LineString', [[24, 60], [24 + long, 60]], { name, class: kind }));
  const names = [...line('long street', 'street', 0.02), ...line('street', 'street', 0.01), ...line('main', 'main', 0.001)];
  expect(byImportance(names).map(({ text }) => text)).toEqual(['main', 'long street', 'street']);
});

test('ranks of numbers, and a layer that cannot tell any', () => {
  const pipes = layer('pipes', { fields, style: { ...style, rank: { property: 'diameter', values: [], least: [600, 300] } } });
  expect([800, 600, 599, 10, null].map((diameter) => rankOf(pipes, { diameter }))).toEqual([0, 0, 1, 2, 2]);
  expect(ranked(pipes, 1)).toBe('"diameter" >= 300');
  const bare = layer('bare', { style: { ...style, rank, labelWithin: 8000 } });
  expect([rankOf(bare, { class: 'main' }), ranked(bare, 0), lowestWritten(bare, 4000), lowestWritten(bare, 4001)]).toEqual([1, null, 1, 0]);
});

test('names of points that are written first lie everywhere', () => {
  const points = Array.from({ length: 400 }, (_, i) => namesOf(doors, feature('Point', [24 + (i % 20) / 1000, 60 + Math.floor(i / 20) / 1000], { number: `${i}` }))).flat();
  const quarters = byImportance(points).slice(0, 60).map(({ from: [lon, lat] }) => `${lon > 24.0095} ${lat > 60.0095}`);
  for (const one of new Set(quarters)) expect(quarters.filter((other) => other === one).length).toBeGreaterThan(7);
  expect(new Set(quarters).size).toBe(4);
});

test('names are written at the distances of their layer, house numbers from above only', () => {
  const state = readLink('#lang=en', city(road, doors));
  const at = (height: number, more: object = {}): boolean[] =>
    [road, doors].map((one) => isWritten(one, { ...state, view: { ...state.view, height }, ...more }));
  expect(at(600)).toEqual([true, false]);
  expect(at(600, { mode: '2d' })).toEqual([true, true]);
  expect(at(900, { mode: '2d' })).toEqual([true, false]);
  expect(at(3000)).toEqual([false, false]);
  expect(at(600, { mode: '2d', layers: { road: { visible: false, opacity: 1 } } })).toEqual([false, false]);
});

test('no name lies over another, nor stands twice in one place', () => {
  const room = new Room();
  room.take({ left: 0, top: 0, right: 50, bottom: 10 });
  expect(room.isFree({ left: 40, top: 5, right: 90, bottom: 15 })).toBe(false);
  expect(room.isFree({ left: 51, top: 0, right: 90, bottom: 10 })).toBe(true);
  room.wrote('Street', 0, 0);
  expect([room.isNear('Street', 100, 0, 320), room.isNear('Street', 400, 0, 320), room.isNear('Lane', 0, 0, 320)]).toEqual([true, false, false]);
});

test('what covers the ground lies under roads, these under houses, these under pipes and points', () => {
  const solid = layer('solid', { scene: { url: '/', body: 'prism', painted: false } });
  const pipes = layer('pipes', { geometryType: 'LineString', buried: true });
  expect([doors, pipes, solid, road, layer('cover')].map(level)).toEqual([4, 3, 2, 1, 0]);
});

test('a station has one sign, of its worst state', () => {
  const all = new Sensors();
  all.replace({ ...sensors(1, 2, 3), state: ['ok', 'orange', 'red'], lon: [24.95, 24.95, 24.96] });
  const [one] = all.all.values();
  expect(all.station(one!).map(({ id }) => id)).toEqual([1, 2]);
  expect(worst(all.station(one!))?.id).toBe(2);
  expect(worst([])).toBeUndefined();
  expect(placeOf({ ...one!, lon: null })).toBeNull();
});

test('the chosen sign is marked where it stands, and follows it', () => {
  const app = page(city(layer('roads')));
  app.sensors.replace(sensors(1));
  app.incidents.replace([incident(5), incident(6, { lon: null })]);
  expect(marked(app, { type: 'sensor', id: 1 })).toMatchObject({ lon: 24.95, pin: false });
  expect(marked(app, { type: 'incident', id: 5 })).toMatchObject({ lat: 60.15, pin: true });
  for (const none of [null, { type: 'incident', id: 6 }, { type: 'sensor', id: 9 }, { type: 'feature', layer: 'roads', fid: 1 } as const]) {
    expect(marked(app, none)).toBeNull();
  }
});
