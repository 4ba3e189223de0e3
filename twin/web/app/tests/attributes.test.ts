import { beforeEach, expect, test } from 'vitest';
import { useLanguage } from '../src/i18n';
import { attributeGroups, editable, featureTitle } from '../src/panels/feature/attributes';
import type { FieldConfig } from '../src/config';
import { layer } from './city';

const field = (name: string, more: Partial<FieldConfig> = {}): FieldConfig => ({
  name,
  type: 'string',
  title: { en: name.toUpperCase() },
  unit: null,
  ...more,
});
const house = layer('house', {
  label: [['full_address'], ['street', 'number'], ['name']],
  fields: [
    field('height_m', { type: 'number', unit: 'm' }),
    field('height_source'),
    field('use', { codes: { r: { en: 'Living' } } }),
    field('note', { title: {} }),
    field('area', { type: 'number', readOnly: true }),
  ],
});

beforeEach(() => useLanguage('en', 'UTC'));

test('what the kind defines comes in its order, with units, codes and origin; the rest as the source said it', () => {
  const groups = attributeGroups(house, {
    use: 'r',
    note: 'old',
    height_m: 12.5,
    height_source: 'default',
    other: '{"roof":"flat"}',
    empty: null,
  });
  expect(groups).toEqual([
    {
      title: 'group.attributes',
      attributes: [
        { name: 'height_m', title: 'HEIGHT_M', text: '12.5 m', source: 'assumed' },
        { name: 'use', title: 'USE', text: 'Living', source: null },
      ],
    },
    {
      title: 'group.source',
      attributes: [
        { name: 'note', title: 'note', text: 'old', source: null },
        { name: 'roof', title: 'roof', text: 'flat', source: null },
      ],
    },
  ]);
});

test.each([
  [{ full_address: 'Street 1, City', name: 'N' }, 'Street 1, City'],
  [{ street: 'Street', number: '1' }, 'Street 1'],
  [{ number: '1', name: 'N' }, 'N'],
  [{ 'addr:street': 'Way', 'addr:housenumber': '2' }, 'Way 2'],
  [{}, 'house 7'],
])('a feature is called as its kind says: %o', (properties, title) => {
  expect(featureTitle(house, 7, properties)).toBe(title);
});

test('the form offers what may be changed', () => {
  expect(editable(house).map(({ name }) => name)).toEqual(['height_m', 'use']);
});
