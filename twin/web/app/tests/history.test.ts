import { expect, test, vi } from 'vitest';
import { afterSet, beforeSet, keyOf, queryOf, questionOf, sum, type ChangeSet } from '../src/history/changes';
import { marksOf } from '../src/history/marks';
import { beforeCamera, partsOf, pointsBefore, type Clip } from '../src/history/shapes';
import { undoingOf } from '../src/history/undo';
import { readLink, writeLink } from '../src/link';
import { besideMoment, choosing, isSplit, show, shownMoment } from '../src/past';
import { kept } from '../src/panels/compare/divide';
import { ChangeList } from '../src/panels/history/change-list';
import { ModelList } from '../src/panels/history/model-list';
import { SetList } from '../src/panels/history/set-list';
import { UndoView } from '../src/panels/history/undo-view';
import { PastBar } from '../src/panels/past-bar';
import { Store } from '../src/state';
import { openSession } from '../src/session';
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

const now = { seq: 1, at: '2026-11-29T12:00:00Z' };
const changed = (id: number): Record<string, unknown> => ({ layer: 'roads', id, change: 'changed', fields: {}, geometryChanged: true, bodyChanged: false, bbox: { old: null, new: null } });
const asked = (answers: (url: string, body: Record<string, unknown>) => unknown): string[] => {
  const urls: string[] = [];
  vi.stubGlobal('fetch', async (url: string, { body = '{}' }: RequestInit = {}) => {
    urls.push(url);
    return Response.json(await answers(url, JSON.parse(String(body)) as Record<string, unknown>));
  });
  return urls;
};
const pause = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('what is different with now is asked for again when the server is back, and while edits never pause', async () => {
  vi.useFakeTimers();
  const urls = asked(() => ({ from: now, to: now, summary: {}, features: [], links: [] }));
  const app = page(config, '#lang=en&at=@4&against=now');
  marksOf(app);
  await vi.advanceTimersByTimeAsync(0);
  expect(urls).toHaveLength(1);
  app.events.dispatchEvent(new Event('back'));
  await vi.advanceTimersByTimeAsync(500);
  expect(urls).toHaveLength(2);
  for (let i = 0; i < 40; i += 1) {
    app.events.dispatchEvent(new Event('edited'));
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(urls.length).toBeGreaterThan(2);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('all of it is asked for though the camera comes to rest meanwhile', async () => {
  vi.useFakeTimers();
  let rest = (): void => undefined;
  const next = [{ rel: 'next', href: 'ogc/changes?after=3' }];
  const urls = asked(() => ({ from: now, to: now, summary: {}, features: [], links: next }));
  const app = page(config, '#lang=en&at=@4&against=now');
  Object.assign(app, { map: { scene: { camera: { moveEnd: { addEventListener: (run: () => void) => (rest = run) }, computeViewRectangle: () => undefined } } } });
  marksOf(app);
  await vi.advanceTimersByTimeAsync(0);
  const whole = (): number => urls.filter((url) => !url.includes('bbox')).length;
  expect(whole()).toBe(1);
  app.events.dispatchEvent(new Event('edited'));
  rest();
  await vi.advanceTimersByTimeAsync(500);
  expect(whole()).toBe(2);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('change sets that come later are counted too, and have the number by which others name them', async () => {
  const set = (id: number): Record<string, unknown> => ({ id, first: id, last: id, at: now.at, via: id === 1240 ? 'undo' : 'api', layer: 'roads', ...(id === 1240 ? { undone: 1234 } : {}) });
  let sets = [set(1234)];
  asked((url) => (url.includes('change-sets') ? { changeSets: sets, links: [] } : { summary: { roads: { added: 0, removed: 0, changed: 1 } } }));
  const list = new SetList();
  list.app = page(config);
  document.body.append(list);
  await pause();
  sets = [set(1240), ...sets];
  list.app.events.dispatchEvent(new Event('edited'));
  await pause(600);
  const rows = [...list.querySelectorAll<HTMLElement>('[data-set]')];
  expect(rows.map((row) => row.querySelector('.counts') !== null)).toEqual([true, true]);
  expect(rows[0]!.textContent).toContain('takes back change set 1234');
  expect(rows[1]!.textContent).toContain('#1234');
  list.remove();
  vi.unstubAllGlobals();
});

test('older change sets are listed while the numbers of the newer come', async () => {
  const set = (id: number): Record<string, unknown> => ({ id, first: id, last: id, at: now.at, via: 'api', layer: 'roads' });
  const older = [{ rel: 'next', href: 'ogc/change-sets?before=5' }];
  let count = (): void => undefined;
  const held = new Promise<void>((resolve) => (count = resolve));
  asked(async (url) => {
    if (url.includes('before=')) return { changeSets: [set(4)], links: [] };
    if (url.includes('change-sets')) return { changeSets: [set(5)], links: older };
    await held;
    return { summary: { roads: { added: 0, removed: 0, changed: 1 } } };
  });
  const list = new SetList();
  list.app = page(config);
  document.body.append(list);
  await pause();
  list.querySelector<HTMLElement>('[data-history=older]')!.click();
  await pause();
  count();
  await pause();
  expect(list.querySelectorAll('[data-set]')).toHaveLength(2);
  expect(list.querySelectorAll('[data-set] .counts')).toHaveLength(2);
  list.remove();
  vi.unstubAllGlobals();
});

test('a change set that could not be read is told, and read when asked again', async () => {
  let away = true;
  asked((url) => {
    if (!url.includes('change-sets')) return { from: now, to: now, summary: {}, features: [], links: [] };
    if (away) throw new TypeError('Failed to fetch');
    return { changeSets: [{ id: 3, first: 5, last: 9, at: now.at, via: 'api', layer: null }], links: [] };
  });
  const list = new ChangeList();
  list.app = page(config, '#lang=en&set=3&p=history');
  document.body.append(list);
  await pause();
  expect(list.querySelector('[data-of-set]')).toBeNull();
  away = false;
  list.querySelector<HTMLElement>('[data-action=again]')!.click();
  await pause();
  expect(list.querySelector('[data-of-set="3"]')?.textContent).toContain('Change set 3');
  list.remove();
  vi.unstubAllGlobals();
});

test('what is being taken back is not called off, and what is left out is of one plan', async () => {
  const conflict = { set: 2, actor: 'bob', via: 'api', at: now.at };
  const steps = Array.from({ length: 150 }, (_, i) => ({ ...changed(i), conflict: i === 149 ? conflict : null }));
  let done = (): void => undefined;
  const held = new Promise<void>((resolve) => (done = resolve));
  const summary = { added: 0, removed: 0, changed: 150, conflicts: 1 };
  asked(async (_url, { dryRun }) => {
    if (!dryRun) await held;
    return dryRun ? { seq: 7, summary, complete: true, steps, layers: [], lost: { roads: ['lanes', 'width'] } } : { set: 9, summary };
  });
  const app = page(city(layer('roads', { fields: [{ name: 'lanes', type: 'integer', title: { en: 'Lanes' }, unit: null }] })));
  const undoing = undoingOf(app);
  await undoing.begin({ set: 1234 });
  const view = new UndoView();
  view.app = app;
  document.body.append(view);
  await pause();
  const leave = (): HTMLInputElement => view.querySelector('[name=leaveOut]')!;
  expect(view.querySelector('h3')?.textContent).toBe('Take back change set 1234');
  expect(view.querySelector('.why')?.textContent).toContain('Lanes, width');
  // what was changed since comes first: the last of those that are listed is 98
  marksOf(app).chosen.value = 'roads/120';
  await pause();
  expect(view.querySelector('[data-feature="roads/120"]')?.getAttribute('aria-expanded')).toBe('true');
  leave().click();
  await pause();
  expect(leave().checked).toBe(true);
  await undoing.begin({ set: 1235 });
  await pause();
  expect(leave().checked).toBe(false);
  expect(view.querySelectorAll('[data-feature]')).toHaveLength(100);
  leave().click();
  await pause();
  view.querySelector('form')!.dispatchEvent(new Event('submit', { cancelable: true }));
  await pause();
  expect(view.querySelector('[data-undo=cancel]')?.hasAttribute('disabled')).toBe(true);
  view.remove();
  done();
  await pause();
  expect(undoing.done.value?.set).toBe(9);
  undoing.clear();
  vi.unstubAllGlobals();
});

test('the bar tells how much is different between two moments, not in a change set; without a map there is no divide', async () => {
  const counts = (url: string): unknown => ({ roads: { added: url.includes('set=') ? 7 : 2, removed: 0, changed: 0 } });
  asked((url) => (url.includes('ogc/changes') ? { from: now, to: now, summary: counts(url), features: [], links: [] } : {}));
  const bar = new PastBar();
  bar.app = page(config, '#lang=en&at=@4&against=now&split=0.5');
  document.body.append(bar);
  await pause(100);
  const told = (): string => bar.querySelector('[data-compare=list]')?.textContent?.trim() ?? '';
  expect(told()).toBe('2 different');
  expect(bar.querySelector('[data-then]')?.textContent).toMatch(/compared with now$/);
  expect(bar.querySelector('twin-divide')).toBeNull();
  bar.app.store.set({ set: 3, right: 'history' });
  await pause();
  expect(told()).toBe('What changed');
  const moments = bar.querySelector('details')!;
  const open = (): boolean => moments.hasAttribute('open');
  for (const close of [
    () => moments.querySelector('input')!.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })),
    () => document.body.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true })),
  ]) {
    moments.setAttribute('open', '');
    moments.querySelector('input')!.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
    expect(open()).toBe(true);
    close();
    expect(open()).toBe(false);
  }
  bar.remove();
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
  const counts = { a: { added: 1, removed: 0, changed: 2 }, b: { added: 4, removed: 1, moved: 3, changed: 0 } };
  expect(sum(counts)).toEqual({ added: 5, removed: 1, moved: 3, changed: 2 });
  expect(sum({})).toEqual({ added: 0, removed: 0, moved: 0, changed: 0 });
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

test.each([
  [10 * 60_000, 'the beginning'],
  [3 * 3_600_000, 'an hour ago'],
])('of a city that is kept for so many ms (%d) the bar offers %s', async (age, offered) => {
  const now = Date.parse('2026-11-30T12:00:05.400Z');
  vi.useFakeTimers({ now, toFake: ['Date'] });
  const app = page({ ...city(layer('roads')), timeZone: 'UTC', kept: new Date(now - age).toISOString() });
  const bar = new PastBar();
  bar.app = app;
  document.body.append(bar);
  choosing.value = true;
  await bar.updateComplete;
  const input = bar.querySelector('input')!;
  // a second that has begun before it is not kept whole
  const begin = new Date(now - age + 600).toISOString().slice(0, 19);
  expect(input.min).toBe(begin);
  expect(input.value).toBe(offered === 'the beginning' ? begin : '2026-11-30T11:00:05');
  choosing.value = false;
  bar.remove();
  vi.useRealTimers();
});

test('a version is made current of the state that was compared, else of the one that was there before it was asked', async () => {
  const put: (string | null)[] = [];
  vi.stubGlobal('confirm', () => true);
  vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
    if (url === 'session') return Response.json({ name: 'chief', may: ['edit'] });
    if (init.method === 'PUT') put.push(new Headers(init.headers).get('If-Match'));
    const etag = url.includes('/changes') ? '"compared"' : '"listed"';
    return Response.json({ features: [], links: [], layers: { old: 'roads', new: 'roads__1' } }, { headers: { ETag: etag } });
  });
  await openSession();
  const app = page(city(layer('roads'), layer('roads__1', { version: { of: 'roads', number: 1, name: 'v1' } })), '#lang=en&p=history');
  const list = new ModelList();
  list.app = app;
  document.body.append(list);
  await list.updateComplete;
  const make = (): void => list.querySelector<HTMLElement>('[data-model=current]')!.click();
  make();
  await pause();
  marksOf(app);
  list.querySelector<HTMLElement>('[data-model=compare]')!.click();
  await pause();
  make();
  await pause();
  expect(put).toEqual(['"listed"', '"compared"']);
  list.remove();
  vi.unstubAllGlobals();
});
