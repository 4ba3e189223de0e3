import { beforeEach, expect, test } from 'vitest';
import { addPlace, clearLine, distancesOf, line, sampled } from '../src/panels/profile/line';
import { readPlace } from '../src/place';
import { length, spanOf } from '../src/panels/profile/profile-chart';

beforeEach(clearLine);

test('a line is walked along the ellipsoid, its corners among the places', () => {
  const corners = [[25, 60], [25, 60.01], [25.03, 60.01]] as const;
  const places = sampled(corners, 100);
  const distances = distancesOf(places);
  expect(places.length).toBeGreaterThan(90);
  expect(places.length).toBeLessThanOrEqual(100);
  // geodesics of WGS 84 by GeographicLib (pyproj.Geod): 1114.124 m and 1673.495 m
  expect(distances.at(-1)).toBeCloseTo(1114.124 + 1673.495, 2);
  for (const [lon, lat] of corners) {
    expect(places.some((place) => Math.hypot(place[0] - lon, place[1] - lat) < 1e-9)).toBe(true);
  }
  expect(distances.every((at, i) => i === 0 || at > distances[i - 1]!)).toBe(true);
  expect(distancesOf([[25, 60], [25, 60]])).toEqual([0, 0]);
});

test('a second press on one spot is no further corner', () => {
  addPlace([25, 60]);
  addPlace([25, 60]);
  addPlace([25, 61]);
  expect(line.value).toEqual([[25, 60], [25, 61]]);
});

test.each([
  ['60.17, 24.95', [24.95, 60.17]],
  ['60.17 24.95', [24.95, 60.17]],
  ['91, 0', null],
  ['60.17', null],
  ['1, 2, 3', null],
  ['a, b', null],
  ['', null],
])('coordinates as they are written: %s', (text, place) => {
  expect(readPlace(text)).toEqual(place);
});

test('of values in a row the extremes and the ways up and down are told, over gaps too', () => {
  expect(spanOf([1, 4, null, 2, 3])).toEqual({ low: 1, high: 4, up: 4, down: 2 });
  expect(spanOf([null, null])).toBeNull();
  expect([length(12.4), length(1234)]).toEqual(['12 m', '1.23 km']);
});
