import { expect, test } from 'vitest';
import { readLink, writeLink } from '../src/link';
import { city, layer } from './city';

const config = city(layer('roads'), layer('buildings'), layer('sensor'), layer('hidden', { visible: false }));

function selected(text: string): unknown {
  return readLink(`#s=${text}`, config).selection;
}

test('a link restores the state that it was written of', () => {
  const hash =
    '#v=24.95,60.15,420,35,-50&m=2d&l=roads,buildings:0.7&u=1&off=sensors&p=legend,incidents&lang=zh-CN';
  expect(writeLink(readLink(hash, config))).toBe(hash);
});

test('an empty link is the city as it is configured', () => {
  const state = readLink('', config);
  expect(state.view).toEqual(config.view);
  expect(state.layers['roads']).toEqual({ visible: true, opacity: 1 });
  expect(state.layers['hidden']).toEqual({ visible: false, opacity: 1 });
  expect([state.left, state.right, state.selection, state.pointer]).toEqual([null, null, null, 'pick']);
});

test.each([
  ['roads:5', { type: 'feature', layer: 'roads', fid: 5 }],
  ['sensor:5', { type: 'sensor', id: 5 }],
  ['incident:5', { type: 'incident', id: 5 }],
  ['feature:roads:5', { type: 'feature', layer: 'roads', fid: 5 }],
  ['feature:sensor:5', { type: 'feature', layer: 'sensor', fid: 5 }],
  ['nowhere:5', null],
  ['feature:nowhere:5', null],
  ['roads:', null],
  ['roads:1e3', null],
  ['Roads:1', null],
])('the selection %s', (text, selection) => {
  expect(selected(text)).toEqual(selection);
});

test.each(['roads:5', 'sensor:5', 'feature:sensor:5'])('the selection %s is written as it was read', (text) => {
  expect(writeLink(readLink(`#s=${text}`, config))).toContain(`&s=${text}&`);
});

test('a selection opens its card over the panel that the link names', () => {
  expect(readLink('#s=roads:5&p=layers,incidents', config)).toMatchObject({ left: 'layers', right: 'incidents' });
});

test.each(['v=1,2,3', 'v=181,0,1,0,-45', 'v=a,b,c,d,e', 'v=0,0,1,0,-95', 'l=roads:7', 'p=nothing,card', 'm=4d', 'lang=xx'])(
  'what makes no sense in a link is as if it were not there: %s',
  (part) => {
    const plain = readLink('', config);
    const state = readLink(`#${part}`, config);
    expect(state.view).toEqual(plain.view);
    expect(state.mode).toBe('3d');
    expect(state.lang).toBe(plain.lang);
    expect([state.left, state.right]).toEqual([null, null]);
    expect(state.layers['roads']).toEqual({ visible: true, opacity: 1 });
  },
);
