import type { Cesium3DTileFeature } from '@cesium/engine';
import { expect, test } from 'vitest';
import { elementOf, textOf } from '../src/map/element';

test('an element has its class, titles of its schema, and where it lies', () => {
  const colors: unknown[] = [];
  const picked = {
    content: {
      url: 'http://host/3dtiles/photo/sets/1/Data/%E7%89%87_0/a.b3dm?v=3',
      isDestroyed: () => false,
      batchTable: { _propertyTable: { class: { id: 'wall', name: 'Wall', properties: { h: { name: 'Height' } } } } },
    },
    getPropertyIds: () => ['h', 'note'],
    getProperty: (name: string) => (name === 'h' ? 3.5 : null),
    set color(value: unknown) {
      colors.push(value);
    },
  } as unknown as Cesium3DTileFeature;
  const element = elementOf('photo', picked);
  expect(element).toMatchObject({
    layer: 'photo',
    set: 1,
    file: 'Data/片_0/a.b3dm',
    className: 'Wall',
    properties: [
      { name: 'h', title: 'Height', text: '3.5' },
      { name: 'note', title: 'note', text: '–' },
    ],
  });
  element.paint(true);
  element.paint(false);
  expect(colors.length).toBe(2);
});

test('what the engine calls a batch table itself is no class', () => {
  const picked = { content: { batchTable: { _propertyTable: { class: { id: '_batchTable' } } } }, getPropertyIds: () => [], getProperty: () => null } as unknown as Cesium3DTileFeature;
  expect(elementOf('photo', picked)).toMatchObject({ set: null, file: '', className: null, properties: [] });
});

test('vectors, lists and large integers are told as text', () => {
  expect([textOf([1, 2n, null]), textOf({ x: 1, y: 2.5, z: 3 }), textOf(12345678901234567890n), textOf(false), textOf({ a: 1n })]).toEqual([
    '1, 2, –',
    '1, 2.5, 3',
    '12345678901234567890',
    'false',
    '{"a":"1"}',
  ]);
});
