import { effect } from '@preact/signals-core';
import { expect, test } from 'vitest';
import { sameSelection, Store } from '../src/state';
import { readLink } from '../src/link';
import { city, layer } from './city';

function store(): Store {
  return new Store(readLink('#lang=en', city(layer('roads'), layer('buildings'))));
}

test('listeners hear what changed, and nothing of what stayed', () => {
  const held = store();
  const heard: string[][] = [];
  const stop = held.subscribe((_state, changed) => heard.push([...changed].sort()));
  held.set({ mode: '2d', left: null });
  held.set({ mode: '2d' });
  held.set({ left: 'layers', right: 'incidents' });
  stop();
  held.set({ mode: '3d' });
  expect(heard).toEqual([['mode'], ['left', 'right']]);
});

test('whoever reads a member follows that member alone, and one patch is one change', () => {
  const held = store();
  let runs = 0;
  effect(() => {
    const { mode, left } = held.get();
    runs += mode && left === null ? 1 : 1;
  });
  held.set({ underground: true, right: 'incidents' });
  expect(runs).toBe(1);
  held.set({ mode: '2d', left: 'layers' });
  expect(runs).toBe(2);
});

test('a layer keeps what is not patched; an unknown one is nobody', () => {
  const held = store();
  held.setLayer('roads', { opacity: 0.5 });
  held.setLayer('roads', { visible: false });
  held.setLayer('nowhere', { visible: true });
  expect(held.get().layers).toEqual({
    roads: { visible: false, opacity: 0.5 },
    buildings: { visible: true, opacity: 1 },
  });
});

test('selections are the same by what they name', () => {
  expect(sameSelection({ type: 'sensor', id: 1 }, { type: 'sensor', id: 1 })).toBe(true);
  expect(sameSelection({ type: 'sensor', id: 1 }, { type: 'incident', id: 1 })).toBe(false);
  expect(sameSelection(null, null)).toBe(true);
});
