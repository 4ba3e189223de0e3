import { expect, test } from 'vitest';
import { meets } from '../src/map/glb';

const TRIANGLE: [[number, number, number], [number, number, number], [number, number, number]] = [
  [0, 0, 5],
  [4, 0, 5],
  [0, 4, 5],
];

test('a ray meets a triangle from either side, as far away as it is', () => {
  expect(meets([1, 1, 0], [0, 0, 1], TRIANGLE)).toBeCloseTo(5);
  expect(meets([1, 1, 9], [0, 0, -2], TRIANGLE)).toBeCloseTo(2);
  // earth-centred numbers leave it exact enough for a click
  const far = TRIANGLE.map(([x, y, z]) => [x + 2.8e6, y + 1.3e6, z + 5.5e6]) as typeof TRIANGLE;
  expect(meets([2.8e6 + 1, 1.3e6 + 1, 5.5e6], [0, 0, 1], far)).toBeCloseTo(5);
});

test('beside it, behind and along it there is nothing', () => {
  expect(meets([3, 3, 0], [0, 0, 1], TRIANGLE)).toBeNull();
  expect(meets([1, 1, 6], [0, 0, 1], TRIANGLE)).toBeNull();
  expect(meets([-1, 1, 5], [1, 0, 0], TRIANGLE)).toBeNull();
});
