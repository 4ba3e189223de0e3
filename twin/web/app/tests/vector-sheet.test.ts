import { expect, test } from 'vitest';
import { topmost, type SheetFeature, type VectorSheet } from '../src/map/vector-sheet';

function feature(type: SheetFeature['type'], name: string, ...parts: [number, number][][]): SheetFeature {
  const points = parts.map((part) => part.map(([x, y]) => ({ x, y })));
  const all = points.flat();
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => y)];
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
  return { type, geometry: points, parts: points, properties: { name }, box };
}

const square = (from: number, to: number): [number, number][] => [[from, from], [to, from], [to, to], [from, to], [from, from]];
const sheet: VectorSheet = {
  extent: 4096,
  features: [
    feature('Polygon', 'green', square(0, 1000)),
    feature('Polygon', 'ring', square(100, 500), square(200, 400)),
    feature('LineString', 'street', [[0, 700], [1000, 700]]),
    feature('Point', 'tree', [[800, 800]]),
  ],
};

test.each([
  [50, 50, 0, 'green'],
  [150, 150, 0, 'ring'],
  [300, 300, 0, 'green'],
  [500, 702, 5, 'street'],
  [500, 720, 5, 'green'],
  [803, 800, 5, 'tree'],
  [1004, 50, 5, 'green'],
  [1100, 50, 5, undefined],
])('what was painted last at %i, %i within %i units', (x, y, reach, name) => {
  expect(topmost(sheet, { x, y }, reach)?.properties['name']).toBe(name);
});
