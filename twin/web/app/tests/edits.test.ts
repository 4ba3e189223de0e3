import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FieldConfig } from '../src/config';
import { PLACE, placeText, rebased, valueIn, type Base } from '../src/editing/change';
import { Edits } from '../src/editing/edits';
import { city, layer } from './city';

const field = (name: string, type: FieldConfig['type'] = 'string'): FieldConfig => ({ name, type, title: { en: name.toUpperCase() }, unit: null });
const config = city(
  layer('roads', { fields: [field('name'), field('lanes', 'integer'), field('width', 'number'), field('lit', 'boolean')] }),
  layer('trees', { geometryType: 'Point', fields: [field('name')] }),
);
const base = (properties: Record<string, unknown>, etag = '"e-5"'): Base => ({ etag, properties, point: null });
const road = base({ name: 'Main Street', lanes: 2, width: 7.5, lit: null });
const tree: Base = { etag: '"e-6"', properties: { name: 'oak' }, point: [24.95, 60.17, 3] };

interface Sent {
  description?: string;
  semantic: string;
  transaction: Record<string, unknown>[];
}
let sent: Sent[];
let answer: () => Response;
let reads: Record<string, Response | undefined>;
const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { 'Content-Type': 'application/json', ...headers } });
const refused = (...exceptions: unknown[]): Response => json({ status: 422, code: 'TransactionRefused', detail: 'nothing is written', exceptions }, 422);
const titles = (edits: Edits): string[] => [...edits.changes.keys()];

beforeEach(() => {
  sessionStorage.clear();
  sent = [];
  reads = {};
  answer = () => json({ insertResults: [] });
  vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
    if (url !== 'ogc/transactions') return reads[url] ?? json({ code: 'NotFound' }, 404);
    sent.push(JSON.parse(String(init.body)) as Sent);
    return answer();
  });
});
afterEach(() => vi.unstubAllGlobals());

test.each([
  [field('n', 'number'), ' 1,5 ', 1.5],
  [field('n', 'number'), '', null],
  [field('n', 'integer'), '1.5', undefined],
  [field('n', 'number'), 'tall', undefined],
  [field('n', 'boolean'), 'true', true],
  [field('n'), ' two words ', 'two words'],
])('a text is the value that its field takes: %o %s', (one, text, value) => {
  expect(valueIn(one, text)).toBe(value);
});

test('edits of several layers, a deletion and a new point are one atomic transaction with a message', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'High Street');
  edits.type('roads', 7, road, 'lanes', '3');
  edits.type('roads', 7, road, 'width', '');
  edits.remove('roads', 8, base({ name: 'Old Lane' }, '"e-9"'));
  edits.place('trees', 1, tree, '60.18, 24.96');
  const made = edits.create('trees', '60.1, 24.9');
  edits.retype(edits.made(made)!, 'name', 'elm');
  edits.message.value = '  the plan of spring ';
  const saved = vi.fn();
  edits.onSaved = saved;
  answer = () => json({ insertResults: ['http://x/ogc/collections/trees/items/44'] });
  await edits.save();
  expect(sent).toEqual([
    {
      description: 'the plan of spring',
      semantic: 'atomic',
      transaction: [
        {
          id: 'roads/7', action: 'update', collection: 'roads', filter: 'id = 7', 'if-match': '"e-5"',
          properties: { modify: [{ name: 'name', value: 'High Street' }, { name: 'lanes', value: 3 }], delete: ['width'] },
        },
        { id: 'roads/8', action: 'delete', collection: 'roads', filter: 'id = 8', 'if-match': '"e-9"' },
        {
          id: 'trees/1', action: 'update', collection: 'trees', filter: 'id = 1', 'if-match': '"e-6"',
          properties: { modify: [{ name: 'geometry', value: { type: 'Point', coordinates: [24.96, 60.18, 3] } }], delete: [] },
        },
        {
          id: '+1', action: 'insert', collection: 'trees',
          items: [{ type: 'Feature', geometry: { type: 'Point', coordinates: [24.9, 60.1] }, properties: { name: 'elm' } }],
        },
      ],
    },
  ]);
  expect(saved).toHaveBeenCalledWith(new Set(['roads', 'trees']), new Map([[made, { type: 'feature', layer: 'trees', fid: 44 }]]));
  expect([edits.size.value, edits.saved.value, edits.message.value, edits.canUndo]).toEqual([0, 4, '', false]);
});

test('without a message none is sent, and what is as it was is no edit', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'lanes', '3');
  edits.type('roads', 7, road, 'lanes', ' 2.0 ');
  edits.place('trees', 1, tree, placeText({ base: tree }));
  expect(edits.size.value).toBe(0);
  await edits.save();
  expect(sent).toEqual([]);
  edits.type('roads', 7, road, 'lit', 'false');
  await edits.save();
  expect(sent[0]).not.toHaveProperty('description');
});

test('letters that are typed in a row are one step; steps are taken back and done again', () => {
  const edits = new Edits(config, 'anna');
  for (const text of ['H', 'Hi', 'High']) edits.type('roads', 7, road, 'name', text);
  edits.type('roads', 7, road, 'lanes', '4');
  edits.remove('roads', 8, road);
  edits.undo();
  expect(titles(edits)).toEqual(['roads/7']);
  edits.undo();
  expect(edits.of('roads', 7)?.texts).toEqual({ name: 'High' });
  edits.undo();
  expect([edits.size.value, edits.canUndo]).toEqual([0, false]);
  edits.redo();
  edits.redo();
  expect(edits.of('roads', 7)?.texts).toEqual({ name: 'High', lanes: '4' });
  edits.discardAll();
  expect(edits.canRedo).toBe(false);
  edits.undo();
  expect(titles(edits)).toEqual(['roads/7']);
});

test('of several points none is moved, as the others would be lost', () => {
  const edits = new Edits(config, 'anna');
  const several: Base = { ...tree, point: null };
  edits.place('trees', 1, several, '60.18, 24.96');
  expect(edits.size.value).toBe(0);
  edits.place('trees', 1, tree, '60.18, 24.96');
  expect(rebased(edits.of('trees', 1)!, several, config.layers[1], new Set()).place).toBeUndefined();
});

test('the draft outlives a reload, for its writer alone', () => {
  const before = new Edits(config, 'anna');
  before.type('roads', 7, road, 'name', 'High Street');
  before.create('trees', '60.1, 24.9');
  before.message.value = 'why';
  const after = new Edits(config, 'anna');
  expect(titles(after)).toEqual(['roads/7', '+1']);
  expect([after.of('roads', 7)?.base.etag, after.message.value]).toEqual(['"e-5"', 'why']);
  expect(after.create('trees', '60.1, 24.9')).toBe(2);
  expect(new Edits(config, 'bob').size.value).toBe(0);
  const nobody = new Edits(config, null);
  expect([nobody.size.value, nobody.allowed]).toEqual([0, false]);
  after.discardAll();
  expect([new Edits(config, 'anna').size.value, after.message.value]).toEqual([0, '']);
  after.undo();
  expect([titles(after), after.message.value]).toEqual([['roads/7', '+1', '+2'], 'why']);
});

test('what is no value of its field is told at once, and nothing is sent', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'lanes', 'many');
  edits.create('trees', 'somewhere');
  await edits.save();
  expect(sent).toEqual([]);
  expect(edits.fault(edits.of('roads', 7)!, 'lanes')).toBe('');
  expect(edits.fault(edits.made(1)!, PLACE)).toBe('');
  edits.type('roads', 7, road, 'lanes', '2');
  edits.replace(edits.made(1)!, '60.1, 24.9');
  await edits.save();
  expect(sent).toHaveLength(1);
});

test('every fault that the server tells stands at its field until that is changed', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'x');
  edits.type('roads', 7, road, 'lanes', '900');
  edits.remove('roads', 8, road);
  const errors = [{ pointer: '#/properties/lanes', detail: 'too many' }, { pointer: '#/properties/name', detail: 'no name' }];
  answer = () =>
    refused(
      { status: 400, code: 'InvalidBody', detail: 'both', actionId: 'roads/7', errors },
      { status: 409, code: 'Conflict', detail: 'it has parts', actionId: 'roads/8' },
    );
  await edits.save();
  const change = (): NonNullable<ReturnType<Edits['of']>> => edits.of('roads', 7)!;
  expect([edits.fault(change(), 'lanes'), edits.fault(change(), 'name')]).toEqual(['too many', 'no name']);
  expect(edits.faults(edits.of('roads', 8)!)?.whole?.code).toBe('Conflict');
  edits.type('roads', 7, road, 'lanes', '4');
  expect([edits.fault(change(), 'lanes'), edits.fault(change(), 'name')]).toEqual([undefined, 'no name']);
  expect(edits.size.value).toBe(2);
});

function overtaken(edits: Edits, properties: Record<string, unknown> | null): void {
  reads['ogc/collections/roads/items/7'] = properties ? json({ type: 'Feature', id: 7, geometry: null, properties }, 200, { ETag: '"e-12"' }) : undefined;
  const versions = [
    { since: 12, at: '2026-11-30T08:00:00Z', set: { via: 'api', actor: 'bob' } },
    { since: 5, at: '2026-11-29T08:00:00Z', set: { via: 'load', actor: null } },
  ];
  reads['ogc/collections/roads/items/7/versions?limit=20'] = json({ versions });
  answer = () => refused({ status: properties ? 412 : 404, code: 'PreconditionFailed', detail: 'stale', actionId: 'roads/7' });
  expect(edits.size.value).toBeGreaterThan(0);
}

test('who was quicker is told, and one goes on field by field after a look at both', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'Mine');
  edits.type('roads', 7, road, 'lanes', '3');
  edits.type('roads', 7, road, 'width', '9');
  overtaken(edits, { ...road.properties, name: 'Theirs', lanes: 4, width: 9 });
  await edits.save();
  const change = edits.of('roads', 7)!;
  expect(edits.theirs(change)).toMatchObject({ actors: ['bob'], at: '2026-11-30T08:00:00Z' });
  // nothing is sent before somebody has looked
  await edits.save();
  expect(sent).toHaveLength(1);
  edits.settle(change, new Set(['lanes']));
  expect(edits.of('roads', 7)).toMatchObject({ texts: { name: 'Mine' }, base: { etag: '"e-12"' } });
  answer = () => json({ insertResults: [] });
  await edits.save();
  expect(sent[1]!.transaction).toEqual([
    { id: 'roads/7', action: 'update', collection: 'roads', filter: 'id = 7', 'if-match': '"e-12"', properties: { modify: [{ name: 'name', value: 'Mine' }], delete: [] } },
  ]);
});

test('a feature that somebody else has deleted can only be let go', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'Mine');
  overtaken(edits, null);
  await edits.save();
  const change = edits.of('roads', 7)!;
  expect(edits.theirs(change)).toMatchObject({ now: null, actors: ['bob'] });
  edits.settle(change, new Set());
  expect(edits.of('roads', 7)).toBe(change);
  edits.discard(change);
  expect(edits.size.value).toBe(0);
});

test('where nobody answers all is kept, and nothing is edited while it is saved', async () => {
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'Mine');
  let end = (): void => undefined;
  vi.stubGlobal('fetch', () => new Promise((_, reject) => {
    end = () => reject(new TypeError('Failed to fetch'));
  }));
  const save = edits.save();
  edits.type('roads', 7, road, 'name', 'Later');
  edits.undo();
  end();
  await save;
  expect(edits.of('roads', 7)?.texts).toEqual({ name: 'Mine' });
  expect([edits.saving.value, edits.failure.value instanceof TypeError]).toEqual([false, true]);
});

test('what was sent without an answer is sent again under its key, also after a reload; anything else under another', async () => {
  const keys: string[] = [];
  let lost = true;
  vi.stubGlobal('fetch', async (_: string, init: RequestInit = {}) => {
    keys.push((init.headers as Record<string, string>)['Idempotency-Key']!);
    if (lost) throw new TypeError('Failed to fetch');
    return json({ insertResults: [] });
  });
  const edits = new Edits(config, 'anna');
  edits.type('roads', 7, road, 'name', 'High Street');
  await edits.save();
  expect(edits.failure.value).toBeInstanceOf(TypeError);
  await edits.save();
  const reloaded = new Edits(config, 'anna');
  lost = false;
  await reloaded.save();
  expect(reloaded.saved.value).toBe(1);
  expect(keys[0]).toMatch(/^"[0-9a-f]{32}"$/);
  expect(new Set(keys).size).toBe(1);
  reloaded.type('roads', 7, road, 'name', 'High Street');
  await reloaded.save();
  lost = true;
  reloaded.type('roads', 7, road, 'name', 'Low Street');
  await reloaded.save();
  reloaded.type('roads', 7, road, 'name', 'Mean Street');
  await reloaded.save();
  expect(new Set(keys).size).toBe(4);
});
