import { expect, test } from 'vitest';
import { bindings } from '../src/keyboard';
import { forms } from '../src/layers/registry';
import { cardOf, isOpen, liveTypes, openCard, panels, toggled } from '../src/panels/registry';
import { Registry } from '../src/registry';
import { readLink, writeLink } from '../src/link';
import { tools } from '../src/tools/registry';
import { city, layer } from './city';

const state = readLink('#lang=en', city(layer('roads')));

test('an id is registered once, and could stand in a link', () => {
  const registry = new Registry([{ id: 'b', order: 2 }, { id: 'a', order: 1 }, { id: 'c' }]);
  expect(registry.all().map(({ id }) => id)).toEqual(['c', 'a', 'b']);
  expect(() => registry.register({ id: 'a' })).toThrow('twice');
  expect(() => registry.register({ id: 'a,b' })).toThrow('lower-case');
  expect(registry.get(null)).toBeUndefined();
});

test('panels, tools and forms are found in their folders', () => {
  expect(panels.all().map(({ id }) => id).sort()).toEqual(
    ['edits', 'element', 'feature', 'history', 'incident', 'incidents', 'layers', 'legend', 'merged', 'new', 'profile', 'search', 'section', 'sensor'],
  );
  expect(tools.all().map(({ id }) => id)).toEqual(['zoom-in', 'zoom-out', 'north', 'mode', 'underground', 'profile', 'past', 'xray', 'section', 'theme']);
  expect(forms.all().map(({ id }) => id).sort()).toEqual(['coverage', 'draped', 'registered', 'scene', 'vector']);
});

test('every panel brings its element', async () => {
  for (const entry of panels.all()) {
    await entry.load();
    expect(customElements.get(entry.tag), entry.id).toBeDefined();
  }
});

test('the keys of the page are each bound once', () => {
  expect([...bindings().keys()].sort()).toEqual(['+', '-', '/', '2', '3', 'b', 'c', 'd', 'e', 'escape', 'i', 'l', 'n', 'p', 't', 'u', 'x']);
});

test('each type of selection has its card', () => {
  expect(cardOf('feature')?.tag).toBe('twin-feature');
  expect(liveTypes()).toEqual(new Set(['sensor', 'incident', 'new']));
  // a pick of others' content is of this page alone
  expect(writeLink({ ...state, selection: { type: 'element', id: 1 } })).not.toContain('s=');
  expect(readLink('#s=element:1', city()).selection).toBeNull();
  expect(openCard({ ...state, selection: { type: 'sensor', id: 1 } })?.id).toBe('sensor');
  expect(openCard(state)).toBeUndefined();
});

test('a panel is closed by what opened it, also where another shares its element', () => {
  const layers = panels.get('layers')!;
  expect(toggled(state, layers)).toEqual({ left: 'layers', pointer: 'pick' });
  const legend = { ...state, left: 'legend' };
  expect(isOpen(legend, layers)).toBe(true);
  expect(toggled(legend, layers)).toEqual({ left: null, pointer: 'pick' });
});

test('a panel may own the pointer while it is open', () => {
  const measuring = { ...panels.get('incidents')!, pointer: 'measure' };
  const opened = toggled(state, measuring);
  expect(opened.pointer).toBe('measure');
  expect(toggled({ ...state, ...opened }, measuring).pointer).toBe('pick');
});

test('forms say when they are drawn', () => {
  const shown = (more: object, of: ReturnType<typeof layer>): string[] =>
    forms.all().filter((form) => form.offered(of) && form.wanted(of, { ...state, ...more })).map(({ id }) => id).sort();
  const solid = layer('solid', { scene: { url: '/', body: 'prism', painted: false } });
  const pipes = layer('pipes', { geometryType: 'LineString', buried: true, scene: { url: '/', body: 'tube', painted: false } });
  const road = layer('road', { geometryType: 'LineString' });
  const far = { underground: true, view: { ...state.view, height: 500 } };
  const near = { underground: true, view: { ...state.view, height: 100 } };
  expect(shown({}, solid)).toEqual(['scene']);
  expect(shown({ mode: '2d' }, solid)).toEqual(['vector']);
  expect(shown(far, solid)).toEqual([]);
  expect(shown(far, pipes)).toEqual(['scene', 'vector']);
  expect(shown(near, pipes)).toEqual(['scene']);
  expect(shown(far, road)).toEqual(['vector']);
  expect(shown(far, layer('area'))).toEqual([]);
  const on = { terrain: true };
  const flattened = { terrain: false };
  expect(shown(on, solid)).toEqual(['scene']);
  expect(shown(on, road)).toEqual(['draped']);
  expect(shown(on, pipes)).toEqual([]);
  expect(shown({ ...on, ...near }, pipes)).toEqual(['scene']);
  expect(shown({ ...on, ...far }, pipes)).toEqual(['draped', 'scene']);
  expect(shown({ ...on, mode: '2d' }, solid)).toEqual(['draped']);
  expect(shown(flattened, solid)).toEqual(['vector']);
  expect(shown(flattened, road)).toEqual(['vector']);
});
