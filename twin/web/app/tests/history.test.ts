import { expect, test, vi } from 'vitest';
import { afterSet, beforeSet, keyOf, queryOf, questionOf, sum, type ChangeSet } from '../src/history/changes';
import { marksOf } from '../src/history/marks';
import { beforeCamera, partsOf, pointsBefore, type Clip } from '../src/history/shapes';
import { undoingOf } from '../src/history/undo';
import { readLink, writeLink } from '../src/link';
import { besideMoment, isSplit, show, shownMoment } from '../src/past';
import { kept } from '../src/panels/compare/divide';
import { UndoView } from '../src/panels/history/undo-view';
import { Store } from '../src/state';
import { city, layer, page } from './city';

const config = city(layer('roads'));

test('a change set stands in the link, and is asked of while its panel is open', () => {
  const store = new Store(readLink('#lang=en&set=17&p=history', config));
  expect(questionOf(store.get())).toEqual({ set: 17 });
  expect(readLink(writeLink(store.get()), config).set).toBe(17);
  store.set({ right: 'incidents' });
  expect(questionOf(store.get())).toBeNull();
  expect(readLink('#set=@17', config).set).toBeNull();
  expect(writeLink({ ...store.get(), set: null })).not.toContain('set=');
});

test('a comparison stands in the link, and nothing is compared with now alone', () => {
  const store = new Store(readLink('#lang=en&at=@4&against=now&split=0.25', config));
  expect(store.get()).toMatchObject({ at: '@4', against: 'now', split: 0.25 });
  expect(readLink(writeLink(store.get()), config)).toMatchObject({ at: '@4', against: 'now', split: 0.25 });
  expect(questionOf(store.get())).toEqual({ from: '@4', to: null });
  expect(isSplit(store.get())).toBe(true);
  expect([shownMoment(store.get()), besideMoment(store.get())]).toEqual(['@4', null]);
  store.set({ against: '@9', split: null });
  expect(questionOf(store.get())).toEqual({ from: '@4', to: '@9' });
  // as colours nothing stands beside it
  expect(besideMoment(store.get())).toBeUndefined();
  store.set({ split: 0.5 });
  expect(besideMoment(store.get())).toBe('@9');
  show(store, null);
  expect(store.get()).toMatchObject({ at: null, against: null, split: null });
  expect(besideMoment(store.get())).toBeUndefined();
});

test.each(['against=now&split=0.5', 'at=@4&against=later&split=0.5', 'at=@4&split=0.5', 'at=@4&against=now&split=7'])(
  'what makes no sense of a comparison is as if it were not there: %s',
  (link) => {
    const state = readLink(`#lang=en&${link}`, config);
    expect(state.split).toBeNull();
    expect(isSplit(state)).toBe(false);
  },
);

test('the divide stays in the picture', () => {
  expect([kept(-1), kept(0.5), kept(2)]).toEqual([0.03, 0.5, 0.97]);
});

test('what is planned is asked for once more before it is done, and told anew where somebody was quicker', async () => {
  const asked: Record<string, unknown>[] = [];
  const step = { layer: 'roads', id: 5, change: 'changed', fields: {}, geometryChanged: true, bodyChanged: false, bbox: { old: [1, 2, 3, 4], new: [1, 2, 3, 4] }, conflict: null };
  const plan = { seq: 7, summary: { added: 0, removed: 0, changed: 1, conflicts: 0 }, complete: true, steps: [step], layers: [], lost: {} };
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit) => {
    const body = JSON.parse(String(init.body)) as Record<string, unknown>;
    asked.push(body);
    if (body['dryRun']) return Response.json({ ...plan, seq: 6 + asked.length });
    return asked.length < 3 ? Response.json({ code: 'Conflict', detail: 'changed' }, { status: 409 }) : Response.json({ set: 9, summary: plan.summary });
  });
  const app = page(config, '#lang=en&at=@4');
  const undoing = undoingOf(app);
  await undoing.begin({ set: 3 });
  expect(app.store.get()).toMatchObject({ at: null, right: 'history' });
  expect(marksOf(app).shown.value.map(keyOf)).toEqual(['roads/5']);
  await undoing.carryOut('why', false);
  expect([undoing.overtaken.value, undoing.done.value]).toEqual([true, null]);
  await undoing.carryOut('why', true);
  expect(undoing.done.value?.set).toBe(9);
  expect(marksOf(app).shown.value).toEqual([]);
  expect(asked).toEqual([
    { set: 3, dryRun: true },
    { set: 3, message: 'why', leaveOutConflicts: false, seq: 7 },
    { set: 3, dryRun: true },
    { set: 3, message: 'why', leaveOutConflicts: true, seq: 9 },
  ]);
  undoing.clear();
  vi.unstubAllGlobals();
});

test('a layer that goes as a whole is told, and can be taken back though no feature is listed', async () => {
  const plan = { seq: 7, summary: { added: 0, removed: 0, changed: 0, conflicts: 0 }, complete: true, steps: [], layers: [{ id: 'roads', change: 'reverted', features: null, conflict: null }], lost: {} };
  vi.stubGlobal('fetch', async () => Response.json(plan));
  const app = page(config, '#lang=en');
  await undoingOf(app).begin({ set: 3 });
  const view = new UndoView();
  view.app = app;
  document.body.append(view);
  await view.updateComplete;
  expect(view.querySelector('[data-whole-layer=roads]')?.textContent).toContain('roads would be as it was');
  expect(view.querySelector('[data-undo=do]')?.hasAttribute('disabled')).toBe(false);
  view.remove();
  vi.unstubAllGlobals();
});

test('what is asked of the server', () => {
  expect(queryOf({ set: 17 })).toBe('set=17');
  expect(queryOf({ from: '@4', to: null }, { bbox: '1,2,3,4' })).toBe('from=%404&bbox=1%2C2%2C3%2C4');
  expect(queryOf({ from: '@4', to: '2026-11-29T12:00:00+08:00' })).toBe('from=%404&to=2026-11-29T12%3A00%3A00%2B08%3A00');
});

test('a change set lies between two moments', () => {
  const one: ChangeSet = { id: 3, first: 5, last: 9, at: '2026-11-29T12:00:00Z', via: 'api', layer: null, generation: null };
  expect([beforeSet(one), afterSet(one)]).toEqual(['@4', '@9']);
});

test('numbers of layers are added up', () => {
  const counts = { a: { added: 1, removed: 0, changed: 2 }, b: { added: 4, removed: 1, changed: 0 } };
  expect(sum(counts)).toEqual({ added: 5, removed: 1, changed: 2 });
  expect(sum({})).toEqual({ added: 0, removed: 0, changed: 0 });
});

test('every geometry falls into rings, lines and points', () => {
  const ring = [[0, 0], [1, 0], [1, 1], [0, 0]];
  const parts = partsOf({
    type: 'GeometryCollection',
    coordinates: null,
    geometries: [
      { type: 'MultiPolygon', coordinates: [[ring, ring], [ring]] },
      { type: 'Polygon', coordinates: [ring] },
      { type: 'LineString', coordinates: [[0, 0], [1, 1]] },
      { type: 'MultiPoint', coordinates: [[5, 6], [7, 8, 9]] },
    ],
  });
  expect([parts.areas.length, parts.lines.length]).toEqual([4, 1]);
  expect(parts.points).toEqual([[5, 6], [7, 8, 9]]);
  expect(partsOf(null)).toEqual({ areas: [], lines: [], points: [] });
});

const before = (x: number, y: number): Clip => ({ x, y, w: 1 });
const behind = (x: number, y: number): Clip => ({ x, y, w: -1 });

test('what is before the camera is drawn where it is', () => {
  const square = [before(-1, 1), before(1, 1), before(1, -1), before(-1, -1)];
  expect(beforeCamera(square, true, 200, 100)).toEqual([
    [{ x: 0, y: 0 }, { x: 200, y: 0 }, { x: 200, y: 100 }, { x: 0, y: 100 }, { x: 0, y: 0 }],
  ]);
  expect(pointsBefore([before(0, 0), behind(0, 0)], 200, 100)).toEqual([{ x: 100, y: 50 }]);
});

test('what is behind the camera is cut off', () => {
  expect(beforeCamera([behind(0, 0), behind(1, 1), behind(1, 0)], true, 10, 10)).toEqual([]);
  // a line that goes behind it and comes again falls into two
  const line = beforeCamera([before(0, 0), before(0.5, 0), behind(0.5, 0), behind(1, 0), before(1, 0)], false, 10, 10);
  expect(line).toHaveLength(2);
  expect(line[0]).toHaveLength(3);
  expect(line[1]).toHaveLength(2);
  // a ring that is cut stays one ring, with a corner at each cut
  const ring = beforeCamera([before(0, 0), before(1, 0), behind(1, 1)], true, 10, 10);
  expect(ring).toHaveLength(1);
  expect(ring[0]).toHaveLength(5);
  for (const part of [...line, ...ring]) for (const { x, y } of part) expect(Number.isFinite(x + y)).toBe(true);
});
