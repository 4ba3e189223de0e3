import { Color } from '@cesium/engine';
import { expect, test } from 'vitest';
import { vectorStyle } from '../src/layers/style';
import { OUTLINE, type TileFeature } from '../src/map/outlines';
import { cutApart, MOST_FEATURES, MOST_POINTS } from '../src/map/tile-parts';
import { Slice, worked } from '../src/map/work';
import { layer } from './city';

const point = (fid: number): TileFeature => ({ type: 'Point', geometry: [{ x: fid % 4096, y: 0 }], properties: { fid } });
const line = (points: number): TileFeature => ({
  type: 'LineString',
  geometry: [Array.from({ length: points }, (_, x) => ({ x, y: 0 }))],
  properties: {},
});

test('a tile is cut into parts of so many features, all of them, in their order', () => {
  const features = Array.from({ length: 2 * MOST_FEATURES + 1 }, (_, fid) => point(fid));
  const parts = cutApart({ name: 'points', extent: 4096, features });
  expect(parts.map((part) => part.features.length)).toEqual([MOST_FEATURES, MOST_FEATURES, 1]);
  expect(parts.flatMap((part) => part.features)).toEqual(features);
  expect(cutApart({ name: 'none', extent: 4096, features: [] })).toEqual([]);
});

test('a part holds no more points than it may, but for a feature that alone has more', () => {
  const features = [line(MOST_POINTS - 10), line(9), line(2), line(3 * MOST_POINTS), line(2)];
  const parts = cutApart({ name: 'lines', extent: 4096, features });
  expect(parts.map((part) => part.features.length)).toEqual([2, 1, 1, 1]);
});

test('a style that remembers paints as it did, and the chosen one apart', () => {
  const plan = layer('plan', { style: { color: { property: 'use', values: { shop: '#ff0000' }, default: '#336699' }, legend: [] } });
  const { color } = vectorStyle(plan, 1, 7, false) as unknown as { color: { evaluate(feature: object, result: Color): Color } };
  let asked = 0;
  const painted = (properties: Record<string, unknown>): string => {
    const feature = {
      getPropertyInherited: (name: string) => {
        asked += 1;
        return properties[name];
      },
    };
    return color.evaluate(feature, new Color()).toCssHexString();
  };
  const shop = painted({ fid: 1, use: 'shop' });
  const first = asked;
  expect([shop, painted({ fid: 2, use: 'shop' }), painted({ fid: 3, use: 'office' })]).toEqual(['#ff0000', '#ff0000', '#336699']);
  expect([painted({ fid: 7, use: 'shop' }), painted({ fid: 8, use: 'shop', [OUTLINE]: true })]).not.toContain('#ff0000');
  expect(first).toBeGreaterThan(0);
  // a property is asked for once
  asked = 0;
  painted({ fid: 4, use: 'shop' });
  expect(asked).toBeLessThanOrEqual(3);
});

test('a slice is over after so many features, however quick they were', () => {
  const slice = new Slice();
  let steps = 0;
  while (slice.free && steps < 100) {
    slice.add(MOST_FEATURES);
    steps += 1;
  }
  expect(steps).toBeLessThanOrEqual(4);
  expect(worked.most).toBeLessThanOrEqual(4 * MOST_FEATURES);
});
