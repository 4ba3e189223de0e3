import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { App } from '../src/app';
import { covered, select, visit } from '../src/app';
import { beside } from '../src/map/camera';
import type { Incident } from '../src/live/stream';
import { useLanguage } from '../src/i18n';
import { panels } from '../src/panels/registry';
import { Shell } from '../src/panels/shell';
import { openSession } from '../src/session';
import { city, incident, layer, page } from './city';

interface Asked {
  url: string;
  method: string;
  ifMatch: string | null;
  body: unknown;
}

/** What the server says, by address; a function throws or answers. */
let answers: Record<string, (asked: Asked) => Response>;
let asked: Asked[];
let shell: Shell;
const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { 'Content-Type': 'application/json', ...headers } });
const down = (): Response => {
  throw new TypeError('Failed to fetch');
};

const moves = (...names: string[]): Incident['actions'] => names.map((action) => ({ action, title: { en: action }, to: 'x' }));

async function drawn(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await new Promise((resolve) => setTimeout(resolve));
}

async function open(app: App): Promise<void> {
  for (const entry of panels.all()) await entry.load();
  shell = new Shell();
  shell.app = app;
  document.body.append(shell);
  await drawn();
}

const find = <T extends HTMLElement>(selector: string): T => {
  const found = shell.querySelector<T>(selector);
  if (!found) throw new Error(`${selector} is not there`);
  return found;
};

function withCases(): App {
  const app = page(city(layer('roads')));
  Object.assign(app.config.workflow, { actions: { void: { title: { en: 'void' }, note: 'required' }, accept: { title: { en: 'accept' } } } });
  return app;
}

beforeEach(async () => {
  useLanguage('en', 'UTC');
  asked = [];
  answers = { session: () => json({ name: 'duty', may: ['edit', 'incident'] }) };
  vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
    const one = {
      url,
      method: init.method ?? 'GET',
      ifMatch: new Headers(init.headers).get('If-Match'),
      body: init.body ? (JSON.parse(String(init.body)) as unknown) : null,
    };
    asked.push(one);
    const answer = answers[url];
    return answer ? answer(one) : json({ code: 'NotFound' }, 404);
  });
  await openSession();
});

afterEach(() => {
  shell.remove();
  vi.unstubAllGlobals();
});

test('a note is sent against the revision that its writer saw, and kept when it was overtaken', async () => {
  const app = withCases();
  const first = incident(5, { revision: 1, actions: moves('accept', 'void') });
  const newer = { ...first, revision: 3, status: 'filed', actions: moves('dispatch', 'void') };
  let now: Incident = first;
  answers['incidents/5'] = () => json({ ...now, log: [] });
  answers['incidents/5/actions'] = ({ ifMatch }) =>
    ifMatch === `"${now.revision}"` ? json({ ...now, revision: 4, status: 'closed', actions: [] }) : json({ code: 'PreconditionFailed' }, 412);
  app.incidents.replace([first]);
  select(app, { type: 'incident', id: 5 });
  await open(app);
  find('[data-action=void]').click();
  await drawn();
  find<HTMLTextAreaElement>('textarea').value = 'a mistake';
  now = newer;
  app.incidents.put(newer);
  await drawn();
  find('[data-action=confirm]').click();
  await drawn();
  expect(asked.findLast(({ method }) => method === 'POST')?.ifMatch).toBe('"1"');
  expect(shell.querySelector('.message')?.textContent).toContain('nothing was sent');
  expect(find<HTMLTextAreaElement>('textarea').value).toBe('a mistake');
  // whoever presses now has seen the newest state
  find('[data-action=confirm]').click();
  await drawn();
  expect(asked.findLast(({ method }) => method === 'POST')).toMatchObject({ ifMatch: '"3"', body: { action: 'void', note: 'a mistake' } });
  expect(app.incidents.get(5)?.status).toBe('closed');
});

test('buttons stay where they are while the pointer is on them', async () => {
  const app = withCases();
  const first = incident(5, { actions: moves('accept', 'void') });
  answers['incidents/5'] = () => json({ ...app.incidents.all.get(5)!, log: [] });
  app.incidents.replace([first]);
  select(app, { type: 'incident', id: 5 });
  await open(app);
  const names = (): (string | undefined)[] =>
    [...shell.querySelectorAll<HTMLElement>('.moves .buttons [data-action]')].map((button) => button.dataset['action']);
  find('.moves').dispatchEvent(new PointerEvent('pointerenter', { pointerType: 'mouse' }));
  app.incidents.put({ ...first, revision: 2, status: 'closed', actions: moves('verify', 'file') });
  await drawn();
  expect(names()).toEqual(['accept', 'void']);
  expect(find<HTMLButtonElement>('[data-action=accept]').disabled).toBe(true);
  find('[data-action=renew]').click();
  await drawn();
  expect(names()).toEqual(['verify', 'file']);
  app.incidents.put({ ...first, revision: 3, status: 'closed', actions: moves('close') });
  find('.moves').dispatchEvent(new PointerEvent('pointerleave', { pointerType: 'mouse' }));
  await drawn();
  expect(names()).toEqual(['close']);
});

test('a card that was opened while the server was away is filled when it is back', async () => {
  const app = withCases();
  const log = [{ at: '2026-11-28T08:00:00Z', actor: 'duty', action: 'report', from: null, to: 'reported', note: null }];
  answers['incidents/5'] = down;
  app.incidents.replace([incident(5)]);
  select(app, { type: 'incident', id: 5 });
  await open(app);
  expect(shell.querySelectorAll('.log li')).toHaveLength(0);
  expect(shell.querySelector('.message')?.textContent).toContain('does not answer');
  answers['incidents/5'] = () => json({ ...incident(5), log });
  app.events.dispatchEvent(new Event('back'));
  await drawn();
  expect(shell.querySelectorAll('.log li')).toHaveLength(1);
  expect(shell.querySelector('.message')).toBeNull();
});

test('the list stays when a card is opened, and when it is closed', async () => {
  const app = withCases();
  answers['incidents/5'] = () => json({ ...incident(5), log: [] });
  app.incidents.replace([incident(5), incident(6)]);
  app.store.set({ right: 'incidents' });
  await open(app);
  const list = find('twin-incidents');
  find('[data-incident="5"]').click();
  await drawn();
  find('twin-incident');
  expect(find('twin-incidents')).toBe(list);
  find('twin-incident .close').click();
  await drawn();
  expect(shell.querySelector('twin-incident')).toBeNull();
  expect(find('twin-incidents')).toBe(list);
});

test('rows stay where they are while the pointer is on the list', async () => {
  const app = withCases();
  app.incidents.replace([incident(5)]);
  app.store.set({ right: 'incidents' });
  await open(app);
  const rows = (): (string | undefined)[] => [...shell.querySelectorAll<HTMLElement>('li [data-incident]')].map((row) => row.dataset['incident']);
  find('ul.incidents').dispatchEvent(new PointerEvent('pointerenter', { pointerType: 'mouse' }));
  app.incidents.put(incident(6, { level: 1 }));
  await drawn();
  expect(rows()).toEqual(['5']);
  expect(find('.told').textContent).toContain('1 new');
  find('ul.incidents').dispatchEvent(new PointerEvent('pointerleave', { pointerType: 'mouse' }));
  await drawn();
  expect(rows()).toEqual(['6', '5']);
});

test('the page says how many are open, not how many it knows, and fetches the rest', async () => {
  const app = withCases();
  app.incidents.replace([incident(5)]);
  app.incidents.counted({ 1: 1, 2: 0, 3: 0, 4: 2 });
  answers['incidents?open=true&limit=1000&offset=0'] = () =>
    json({ incidents: [incident(5), incident(6), incident(7)], numberMatched: 3, numberReturned: 3 });
  app.store.set({ right: 'incidents' });
  await open(app);
  expect(find('.strip').textContent).toContain('3 open incidents');
  find('[data-action=rest]').click();
  await drawn();
  expect(shell.querySelectorAll('li [data-incident]')).toHaveLength(3);
  expect(shell.querySelector('[data-action=rest]')).toBeNull();
});

test('a note that is not sent is dropped only when its writer says so', async () => {
  const app = withCases();
  const first = incident(5, { actions: moves('void') });
  for (const id of [5, 6]) answers[`incidents/${id}`] = () => json({ ...incident(id), actions: moves('void'), log: [] });
  app.incidents.replace([first, incident(6)]);
  select(app, { type: 'incident', id: 5 });
  await open(app);
  find('[data-action=void]').click();
  await drawn();
  find<HTMLTextAreaElement>('textarea').value = 'a mistake';
  for (const wanted of [null, { type: 'incident', id: 6 }]) {
    select(app, wanted);
    await drawn();
    expect(app.store.get().selection).toMatchObject({ id: 5 });
    find('dialog [data-action=keep]').click();
    await drawn();
    expect(shell.querySelector('dialog')).toBeNull();
    expect(find<HTMLTextAreaElement>('textarea').value).toBe('a mistake');
  }
  select(app, { type: 'incident', id: 6 });
  await drawn();
  find('dialog [data-action=drop]').click();
  await drawn();
  expect(app.store.get().selection).toMatchObject({ id: 6 });
});

const NAMED = [{ name: 'name', type: 'string' as const, title: { en: 'Name' }, unit: null }];

function withRoads(): App {
  sessionStorage.clear();
  const app = page(city(layer('roads', { fields: NAMED })));
  for (const id of [7, 8]) {
    answers[`ogc/collections/roads/items/${id}`] = () =>
      json({ type: 'Feature', id, geometry: null, properties: { name: 'old' } }, 200, { ETag: `"e-${id}"` });
  }
  select(app, { type: 'feature', layer: 'roads', fid: 7 });
  return app;
}

async function type(text: string): Promise<void> {
  const input = find<HTMLInputElement>('input[name=name]');
  input.focus();
  input.value = text;
  input.dispatchEvent(new Event('input'));
  input.blur();
  await drawn();
}

test('what is typed in a card stays in the draft when another feature is chosen, which goes on in the form', async () => {
  const app = withRoads();
  await open(app);
  find('[data-action=edit]').click();
  await drawn();
  await type('one');
  expect(find('twin-edits-bar').textContent).toContain('1 feature changed, not saved');
  select(app, { type: 'feature', layer: 'roads', fid: 8 });
  await drawn();
  await type('two');
  expect(find('[data-panel=edits]').dataset['badge']).toBe('2');
  find('[data-action=done]').click();
  await drawn();
  expect(find('[data-unsaved] dl').textContent?.replace(/\s+/g, ' ')).toContain('old → two');
  expect(find('[data-field=name]').textContent).toContain('old');
  find('[data-action=delete]').click();
  await drawn();
  find('[data-action=review], twin-edits-bar button').click();
  await drawn();
  expect([...shell.querySelectorAll<HTMLElement>('twin-edits [data-change]')].map((one) => one.dataset['change'])).toEqual(['roads/7', 'roads/8']);
  app.edits.undo();
  await drawn();
  expect(find('twin-edits [data-change="roads/8"]').textContent).toContain('two');
});

test('the city as it was shows no draft and no way to edit, and now shows it again', async () => {
  const app = withRoads();
  await open(app);
  find('[data-action=edit]').click();
  await drawn();
  await type('one');
  answers['ogc/collections/roads/items/7?at=%40100'] = () => json({ type: 'Feature', id: 7, geometry: null, properties: { name: 'then' } });
  app.store.set({ at: '@100', right: 'edits' });
  await drawn();
  expect(find('twin-feature').textContent).toContain('then');
  for (const gone of ['form input[name=name]', '[data-action=edit]', '[data-action=delete]', '[data-unsaved]', 'twin-edits']) {
    expect(shell.querySelector(gone), gone).toBeNull();
  }
  app.store.set({ at: null });
  await drawn();
  expect(find('twin-edits').textContent).toContain('one');
});

test('a card is of the moment that was clicked: left of the divide, or right of it', async () => {
  const app = withRoads();
  const road = (name: string): Response => json({ type: 'Feature', id: 7, geometry: null, properties: { name } });
  answers['ogc/collections/roads/items/7?at=%40100'] = () => road('then');
  answers['ogc/collections/roads/items/7?at=%40200'] = () => road('later');
  await open(app);
  const told = async (patch: Parameters<typeof app.store.set>[0]): Promise<string> => {
    app.store.set(patch);
    await drawn();
    return find('twin-feature [data-field=name]').textContent?.trim() ?? '';
  };
  const right = { type: 'feature', layer: 'roads', fid: 7, against: true } as const;
  expect(await told({ at: '@100', against: 'now', split: 0.5 })).toBe('then');
  expect(await told({ selection: right })).toBe('old');
  expect(await told({ against: '@200' })).toBe('later');
  expect(shell.querySelector('[data-action=edit]')).toBeNull();
  // alone there is one moment
  expect(await told({ against: null, split: null })).toBe('then');
});

test('a feature that is new is shown from the list of changes as it is in the later moment', async () => {
  const app = withRoads();
  app.store.set({ selection: null, at: '@100', against: 'now', right: 'history' });
  const change = { layer: 'roads', id: 8, change: 'added', fields: {}, geometryChanged: true, bodyChanged: false, bbox: { old: null, new: null }, set: null };
  const moment = { seq: 1, at: '2026-11-29T12:00:00Z' };
  answers['ogc/changes?from=%40100&f=geojson&limit=1000'] = () =>
    json({ from: moment, to: moment, summary: { roads: { added: 1, removed: 0, changed: 0 } }, features: [{ geometry: null, properties: change }], links: [] });
  await open(app);
  find('[data-feature="roads/8"]').click();
  await drawn();
  find('[data-card="roads/8"]').click();
  await drawn();
  expect(find('twin-feature [data-field=name]').textContent).toContain('old');
});

test('only a single point is put somewhere else', async () => {
  sessionStorage.clear();
  const app = page(city(layer('trees', { geometryType: 'MultiPoint', fields: NAMED })));
  const point = { type: 'Point', coordinates: [24.9, 60.1] };
  const several = { type: 'MultiPoint', coordinates: [[24.9, 60.1], [24.8, 60.2]] };
  for (const [id, geometry] of [[7, several], [8, point]] as const) {
    answers[`ogc/collections/trees/items/${id}`] = () => json({ type: 'Feature', id, geometry, properties: { name: 'oak' } }, 200, { ETag: '"e-1"' });
  }
  select(app, { type: 'feature', layer: 'trees', fid: 7 });
  await open(app);
  find('[data-action=edit]').click();
  await drawn();
  find('input[name=name]');
  expect(shell.querySelector('[name=twin-place]')).toBeNull();
  select(app, { type: 'feature', layer: 'trees', fid: 8 });
  await drawn();
  expect(find<HTMLInputElement>('[name=twin-place]').value).toBe('60.1, 24.9');
});

test('who may not edit is offered nothing of it', async () => {
  answers['session'] = () => json({ name: 'guest', may: ['observe'] });
  await openSession();
  const app = withRoads();
  await open(app);
  app.store.set({ right: 'edits' });
  await drawn();
  for (const absent of ['[data-panel=edits]', 'twin-edits', '[data-action=edit]', '[data-action=delete]']) {
    expect(shell.querySelector(absent), absent).toBeNull();
  }
});

test('a link that names an incident or a sensor alone goes there', async () => {
  const app = page(city(layer('roads')), '#lang=en&s=incident:5');
  const flights: number[][] = [];
  Object.assign(app, { map: { camera: { flyTo: (...at: number[]) => flights.push(at) } } });
  answers['incidents/5'] = () => json(incident(5, { lon: 24.91, lat: 60.11 }));
  // beside its card, and beside the list too
  await visit(app, '#s=incident:5');
  app.store.set({ right: 'incidents' });
  await visit(app, '#s=incident:5');
  expect(flights.splice(0, 1)).toEqual([[24.91, 60.11, 500, 175]]);
  expect(flights).toEqual([[24.91, 60.11, 500, 350]]);
  await visit(app, '#v=24.9,60.1,500,0,-45&s=incident:5');
  expect(flights).toHaveLength(1);
});

test('what is chosen stands beside the panels, not under them', async () => {
  const app = page(city(layer('roads')), '#lang=en&p=incidents&s=incident:5');
  await open(app);
  expect([covered(app, 1440), covered(app, 640)]).toEqual([700, 0]);
  app.store.set({ right: null });
  expect(covered(app, 1440)).toBe(350);
  expect(beside(0, 10).map(Math.round)).toEqual([10, -0]);
  expect(beside(90, 10).map(Math.round)).toEqual([0, -10]);
});
