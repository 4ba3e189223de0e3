import { expect, test } from 'vitest';
import { AFAR, arranged, edges, OUTLINE, type TileFeature, type TilePoint } from '../src/map/outlines';

function ring(...at: [number, number][]): TilePoint[] {
  return [...at, at[0]!].map(([x, y]) => ({ x, y }));
}

function square(x: number, y: number, side: number): TilePoint[] {
  return ring([x, y], [x + side, y], [x + side, y + side], [x, y + side]);
}

function area(fid: number, ...rings: TilePoint[][]): TileFeature {
  return { type: 'Polygon', geometry: rings, properties: { fid } };
}

test('a line runs around an area and around each hole', () => {
  const [outer, hole] = [square(10, 10, 100), square(30, 30, 10).reverse()];
  expect(edges([outer, hole], 4096)).toEqual([outer, hole]);
});

test.each<[string, TilePoint[], string]>([
  ['left', ring([0, 10], [50, 10], [50, 60], [0, 60]), '0,10 50,10 50,60 0,60'],
  ['right', ring([4096, 60], [4000, 60], [4000, 10], [4096, 10]), '4096,60 4000,60 4000,10 4096,10'],
  ['above', ring([60, 0], [60, 50], [10, 50], [10, 0]), '60,0 60,50 10,50 10,0'],
])('where the tile was cut on the %s there is no line', (_side, cut, line) => {
  const text = (points: TilePoint[]): string => points.map(({ x, y }) => `${x},${y}`).join(' ');
  expect(edges([cut], 4096).map(text)).toEqual([line]);
});

test('a cut within a ring leaves two lines, and what fills the tile has none', () => {
  const bridge = ring([10, 10], [0, 20], [0, 40], [10, 50], [50, 30]);
  expect(edges([bridge], 4096).map((line) => line.length)).toEqual([2, 4]);
  expect(edges([square(0, 0, 4096)], 4096)).toEqual([]);
});

test('the larger area is painted first, then the lines, then everything else', () => {
  const [small, large, holed] = [area(1, square(0, 0, 10)), area(2, square(5, 5, 90)), area(3, square(1, 1, 80), square(2, 2, 75).reverse())];
  const point: TileFeature = { type: 'Point', geometry: [{ x: 1, y: 1 }], properties: { fid: 4 } };
  const layer = { name: 'houses', extent: 4096, features: [point, small, large, holed] };
  const order = (outlined: boolean): string[] =>
    arranged(layer, outlined, 15).features.map(({ type, properties }) => `${type} ${properties['fid'] as number}${properties[OUTLINE] ? ' outline' : ''}`);
  expect(order(false)).toEqual(['Polygon 2', 'Polygon 3', 'Polygon 1', 'Point 4']);
  expect(order(true)).toEqual([
    'Polygon 2', 'Polygon 3', 'Polygon 1',
    'LineString 2 outline', 'LineString 3 outline', 'LineString 1 outline',
    'Point 4',
  ]);
});

test('what is on a higher storey lies over what is lower, however small that is', () => {
  const on = (no: number | null, side: number): TileFeature => ({ type: 'Polygon', geometry: [square(0, 0, side)], properties: { storey_no: no, side } });
  const { features } = arranged({ name: 'a', extent: 4096, features: [on(2, 90), on(-1, 10), on(1, 20), on(null, 5), on(1, 80)] }, false, 15);
  expect(features.map(({ properties }) => properties['side'])).toEqual([10, 5, 80, 20, 90]);
});

test('lines of far tiles are marked, what is drawn of them stays', () => {
  const line: TileFeature = { type: 'LineString', geometry: [{ x: 0, y: 0 }, { x: 9, y: 9 }], properties: { class: 'main' } };
  const of = (zoom: number) => arranged({ name: 'a', extent: 4096, features: [line] }, false, zoom).features;
  expect(of(14)).toEqual([{ ...line, properties: { class: 'main', [AFAR]: true } }]);
  expect(of(15)).toEqual([line]);
});
