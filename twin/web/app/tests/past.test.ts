import { expect, test } from 'vitest';
import { readLink, writeLink } from '../src/link';
import { changesOf, type Told } from '../src/panels/feature/versions';
import { asOf, besideMoment, chosenMoment, instantOf, localOf, moving, readMoment, show } from '../src/past';
import { Divide } from '../src/panels/compare/divide';
import { PICK, PUT_POINT, Store } from '../src/state';
import { city, layer, page } from './city';

const config = city(layer('roads'));

test.each([
  ['@4711', '@4711'],
  ['2026-11-29T12:00:00Z', '2026-11-29T12:00:00Z'],
  ['2026-11-29T12:00:00.250+08:00', '2026-11-29T12:00:00.250+08:00'],
  ['2026-11-29T12:00:00', null],
  ['2026-11-29', null],
  ['2026-13-29T12:00:00Z', null],
  ['@', null],
  ['yesterday', null],
  [null, null],
])('a link names a moment: %s', (text, moment) => {
  expect(readMoment(text)).toBe(moment);
});

test('a link restores the moment, and goes back to now without one', () => {
  const store = new Store(readLink('#lang=en&at=2026-11-29T12%3A00%3A00%2B08%3A00&p=incidents&s=sensor:3', config));
  expect(store.get().at).toBe('2026-11-29T12:00:00+08:00');
  expect(readLink(writeLink(store.get()), config).at).toBe('2026-11-29T12:00:00+08:00');
  show(store, '@7');
  expect(store.get()).toMatchObject({ at: '@7', selection: null, right: null });
  show(store, null);
  expect(writeLink(store.get())).not.toContain('at=');
});

test('a moment is shown alone, unless it is compared; and no point is put in the past', () => {
  const store = new Store(readLink('#lang=en&at=@4&against=@9&split=0.4', config));
  store.set({ pointer: PUT_POINT });
  show(store, '@20');
  expect(store.get()).toMatchObject({ at: '@20', against: null, split: null, pointer: PICK });
  store.set({ against: '@30', split: 0.4, pointer: 'profile' });
  show(store, '@21', '@30');
  expect(store.get()).toMatchObject({ at: '@21', against: '@30', split: 0.4, pointer: 'profile' });
  expect(besideMoment(store.get())).toBe('@30');
});

test.each([
  ['at=@9&against=@10', '@10'],
  ['at=@10&against=@9', null],
  ['at=2026-11-29T12:00:00%2B08:00&against=2026-11-29T05:00:00Z', '2026-11-29T05:00:00Z'],
  ['at=2026-11-29T12:00:00Z&against=2026-11-29T13:00:00%2B08:00', null],
  ['at=@10&against=2026-11-29T12:00:00Z', '2026-11-29T12:00:00Z'],
])('a link compares with what came later only: %s', (link, against) => {
  expect(readLink(`#lang=en&split=0.5&${link}`, config)).toMatchObject({ against, split: against && 0.5 });
});

test('a link says of which of two moments its feature is', () => {
  const state = readLink('#lang=en&at=@4&against=now&s=roads:7:against', config);
  expect(state.selection).toEqual({ type: 'feature', layer: 'roads', fid: 7, against: true });
  expect(chosenMoment(state, state.selection)).toBeNull();
  expect(readLink(writeLink(state), config).selection).toEqual(state.selection);
  expect(writeLink({ ...state, against: null })).toContain('s=roads:7&');
  expect(chosenMoment({ at: '@4', against: null }, state.selection)).toBe('@4');
});

test('a divide that goes while it is moved lets go, and is moved by the main button alone', async () => {
  const divide = new Divide();
  divide.app = page(config, '#lang=en&at=@4&against=now&split=0.5');
  document.body.append(divide);
  await divide.updateComplete;
  const press = (button: number): void => {
    const grip = divide.querySelector<HTMLElement>('[role=slider]')!;
    grip.setPointerCapture = () => undefined;
    grip.dispatchEvent(new PointerEvent('pointerdown', { button, pointerId: 1 }));
  };
  press(2);
  expect(moving.value).toBeNull();
  press(0);
  expect(moving.value).toBe(0.5);
  divide.remove();
  expect(moving.value).toBeNull();
});

test('an address is asked for as of a moment', () => {
  expect(asOf('tiles/a/{z}.mvt?clip=exact', '2026-11-29T12:00:00Z')).toBe('tiles/a/{z}.mvt?clip=exact&at=2026-11-29T12%3A00%3A00Z');
  expect(asOf('search', '@7')).toBe('search?at=%407');
  expect(asOf('search', null)).toBe('search');
});

test.each([
  ['Asia/Shanghai', '2026-11-29T12:00:00', '2026-11-29T04:00:00Z'],
  ['UTC', '2026-11-29T12:00', '2026-11-29T12:00:00Z'],
  // the hour before and after clocks are set forward; the first of the hour that is there twice
  ['Europe/Helsinki', '2026-03-29T02:30:00', '2026-03-29T00:30:00Z'],
  ['Europe/Helsinki', '2026-03-29T04:30:00', '2026-03-29T01:30:00Z'],
  ['Europe/Helsinki', '2026-10-25T03:30:00', '2026-10-25T00:30:00Z'],
  ['UTC', 'nonsense', null],
])('what the clock of %s says at %s is an instant', (zone, local, instant) => {
  expect(instantOf(local, zone)).toBe(instant);
  if (instant) expect(localOf(Date.parse(instant), zone).startsWith(local)).toBe(true);
});

test('the fields in which a version differs from the one before are told', () => {
  const version = (properties: Record<string, unknown> | null): Told => ({ since: 1, at: null, there: true, set: null, links: [], moment: null, properties });
  expect(changesOf(version({ a: 1, b: [2], c: null }), version({ a: 1, b: [3], d: 4 }))).toEqual([
    { name: 'b', was: [3], is: [2] },
    { name: 'd', was: 4, is: undefined },
    { name: 'c', was: undefined, is: null },
  ]);
  expect(changesOf(version({ a: 1 }), version(null))).toEqual([]);
  expect(changesOf(version({ a: 1 }), undefined)).toEqual([]);
});
