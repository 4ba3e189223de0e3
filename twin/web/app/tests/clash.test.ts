import { expect, test, vi } from 'vitest';
import { heightOf, obstacles, tableOf, type Clash } from '../src/clash/clashes';
import { clashingOf, highlightsOf } from '../src/clash/clashing';
import { questionOf } from '../src/history/changes';
import { Lent } from '../src/layers/lent';
import { readLink, writeLink } from '../src/link';
import { behind } from '../src/map/camera';
import { Store } from '../src/state';
import { city, layer, page } from './city';

const scene = { url: '/3dtiles/x/tileset.json', body: 'prism', painted: true } as const;
const config = city(
  layer('house', { scene }),
  layer('ducts', { scene, visible: false }),
  layer('blocks', { scene: { ...scene, painted: false } }),
  layer('roads', { scene: null }),
  layer('house__1', { scene, visible: false, version: { of: 'house', number: 1, name: 'v2' } }),
);
const element = (id: number, of = 'house__1', more = {}): Clash['new'] => ({ layer: of, id, element: null, title: `e${id}`, ...more });
const pair: Clash = { new: element(1), other: element(7, 'ducts'), at: [24.9, 60.1, 3], volume_m3: 0.5, depth_m: 0.1 };
const own: Clash = { new: element(1), other: element(2), at: [24.9, 60.1, 3], crossings: 4 };

test('the job of clashes stands in the link, and nothing else is told beside it', () => {
  const state = readLink('#lang=en&cl=3f-9a_1&mv=house;to=v2&p=history', config);
  expect(state.clash).toBe('3f-9a_1');
  expect(readLink(writeLink(state), config).clash).toBe('3f-9a_1');
  expect(questionOf(state)).toBeNull();
  expect(readLink('#cl=a/../b', config).clash).toBeNull();
});

test('a version is held against layers that are drawn in 3D', () => {
  expect(obstacles(config.layers, 'house').map(({ id }) => id)).toEqual(['ducts', 'blocks']);
});

test('both elements have a colour of their own, and the layer whose version is seen is not drawn', () => {
  const all = highlightsOf('house', [pair, own]);
  expect(all.get('house')).toEqual({ kinds: {}, only: true });
  // what is in the way of one and new in another is drawn as new
  expect(all.get('house__1')?.kinds).toEqual({ clash: [1], obstacle: [2] });
  expect(all.get('ducts')?.kinds).toEqual({ clash: [], obstacle: [7] });
  const one = highlightsOf('house', [pair, own], own);
  expect(one.get('house__1')).toMatchObject({ kinds: { clash: [1], obstacle: [2] }, always: true });
  expect(one.get('ducts')?.kinds).toEqual({ clash: [], obstacle: [] });
});

test('a job is followed to its end, and its layers are shown while it is looked at', async () => {
  const answers = [{ status: 'running', progress: 40 }, { status: 'successful', result: { pairs: [pair], count: 1, near: [], near_count: 0, looked: 1, others: 1, open: 0, left_out: {} } }];
  vi.stubGlobal('fetch', async () => Response.json({ jobID: 'j', processID: 'clash', input: { layer: 'house', version: 'v2', tolerance_m: 0.01 }, ...(answers.shift() ?? {}) }));
  const app = page(config, '#lang=en&l=house&cl=j&p=history');
  const clashing = clashingOf(app);
  await vi.waitFor(() => expect(clashing.job.value?.progress).toBe(40));
  await vi.waitFor(() => expect(clashing.job.value?.status).toBe('successful'), 3000);
  const shown = (): string[] => Object.entries(app.store.get().layers).flatMap(([id, { visible }]) => (visible ? [id] : []));
  expect(shown()).toEqual(['house', 'ducts', 'house__1']);
  expect([...app.highlights.value.keys()]).toEqual(['house', 'house__1', 'ducts']);
  app.store.set({ right: null });
  expect(shown()).toEqual(['house']);
  expect(app.highlights.value.size).toBe(0);
  vi.unstubAllGlobals();
});

test('layers that were shown anyway stay', () => {
  const store = new Store(readLink('#l=house', config));
  const lent = new Lent(store);
  lent.show(['house', 'ducts']);
  lent.show(['ducts', 'blocks']);
  lent.show([]);
  expect(Object.entries(store.get().layers).filter(([, { visible }]) => visible).map(([id]) => id)).toEqual(['house']);
});

test('the table quotes what must be quoted, and runs nothing in a spreadsheet', () => {
  const [head, row] = tableOf([{ ...pair, new: element(1, 'house__1', { title: '=1+1', storey: 'a, "b"' }) }]).split('\r\n');
  expect(head?.startsWith('\ufeffnew_layer,new_id')).toBe(true);
  expect(row).toBe(`house__1,1,,'=1+1,,"a, ""b""",,ducts,7,,e7,,,,0.5,0.1,,,24.9,60.1,3`);
});

test('a place above the ground is looked at through the ground behind it', () => {
  expect(heightOf({ ...pair, new: element(1, 'a', { min_height_m: 3, height_m: 6 }), other: element(2, 'b', { min_height_m: 5, height_m: 9 }) })).toBe(5.5);
  expect(heightOf(pair)).toBe(0);
  const { east, north, farther } = behind(90, -Math.PI / 4, 10);
  expect([east, north, farther]).toEqual([expect.closeTo(10), expect.closeTo(0), expect.closeTo(10 * Math.SQRT2)]);
  expect(behind(0, -Math.PI / 2, 10).north).toBeCloseTo(0);
});
