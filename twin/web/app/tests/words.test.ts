import { expect, test } from 'vitest';
import { ApiError } from '../src/api';
import { ago, t, titleOf, useLanguage } from '../src/i18n';
import en from '../src/i18n/en.json';
import { explain } from '../src/i18n/errors';
import zh from '../src/i18n/zh-CN.json';

test('both languages have the same words, none empty but one', () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
  for (const words of [en, zh]) {
    expect(Object.entries(words).flatMap(([name, text]) => (text ? [] : [name]))).toEqual(['chart.ready']);
  }
});

test('an error is told by its code in the language of the page', () => {
  const error = new ApiError(409, 'Conflict', 'refuse is not possible while the incident is accepted');
  useLanguage('zh-CN', 'UTC');
  expect(explain(error)).toEqual({ text: '当前状态不允许此操作。', detail: null });
  useLanguage('en', 'UTC');
  expect(explain(error).text).toBe('The present state does not allow this.');
});

test('where only the server can say which value is wrong, its words stand beside', () => {
  useLanguage('zh-CN', 'UTC');
  expect(explain(new ApiError(400, 'InvalidBody', 'height_m: -5 is below 0'))).toEqual({
    text: '提交的内容不符合规则。',
    detail: 'height_m: -5 is below 0',
  });
});

test('a panel may say it in its own words', () => {
  useLanguage('en', 'UTC');
  expect(explain(new ApiError(404, 'NotFound', 'x'), { NotFound: 'feature.gone' }).text).toBe(en['feature.gone']);
});

test('of a code that the page does not know the status is told in its language, the words of the server beside', () => {
  useLanguage('zh-CN', 'UTC');
  expect(explain(new ApiError(418, 'Teapot', 'short and stout'))).toEqual({ text: zh['error.InvalidRequest'], detail: 'short and stout' });
  expect(explain(new ApiError(502, '', 'Bad Gateway')).text).toBe(zh['error.Unavailable']);
  expect(explain(new ApiError(409, 'New', '')).text).toBe(zh['error.Conflict']);
});

test('one is not many, where the language tells them apart', () => {
  useLanguage('en', 'UTC');
  expect([0, 1, 2].map((n) => t('strip.incidents', { n }))).toEqual(['0 open incidents', '1 open incident', '2 open incidents']);
  useLanguage('zh-CN', 'UTC');
  expect(t('strip.incidents', { n: 1 })).toBe('未结事件 1 件');
});

test('nobody answered, or the page itself complains', () => {
  useLanguage('en', 'UTC');
  expect(explain(new TypeError('Failed to fetch')).text).toBe(en['error.Network']);
  expect(explain(new Error('a number is needed')).text).toBe('a number is needed');
});

test('titles of data fall back to any language', () => {
  useLanguage('zh-CN', 'UTC');
  expect(titleOf({ en: 'Roads', 'zh-CN': '道路' })).toBe('道路');
  expect(titleOf({ fi: 'Tiet' })).toBe('Tiet');
  expect(titleOf(null, 'x')).toBe('x');
  expect(ago(0, 90_000)).toBe('2 分钟前');
});
