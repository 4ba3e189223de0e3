import { expect, test } from 'vitest';
import { isOlder } from '../src/map/refresher';

test.each([
  ['"abc-4"', 'abc-5', true],
  ['W/"abc-4"', 'abc-5', true],
  ['"abc-5"', 'abc-5', false],
  ['"abc-10"', 'abc-9', false],
  ['"other-1"', 'abc-5', false],
  ['"a-b-4"', 'a-b-5', true],
  ['"abc-4-exact"', 'abc-5', true],
  ['"abc-5-exact"', 'abc-5', false],
  [null, 'abc-5', false],
])('an ETag %s against the wanted version %s: older is %s', (etag, wanted, older) => {
  expect(isOlder(etag, wanted)).toBe(older);
});
