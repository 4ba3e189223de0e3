/** Words of the interface in the languages of the page; titles of data come from the server. */

import { signal } from '@preact/signals-core';
import type { Lang, Titles } from '../config';
import en from './en.json';
import zh from './zh-CN.json';

export type Word = keyof typeof en;

const catalogues: Record<Lang, Record<Word, string>> = { en, 'zh-CN': zh };
/** Whoever asks for a word while drawing follows the language. */
const current = signal<Lang>('en');
let zone = 'UTC';

export function useLanguage(lang: Lang, timeZone: string): void {
  current.value = lang;
  zone = timeZone;
  document.documentElement.lang = lang;
}

export function language(): Lang {
  return current.value;
}

/** `{n, plural, one {case} other {cases}}`, the ICU form, without nesting. */
const PLURAL = /\{(\w+), plural, ((?:\w+ \{[^{}]*\} ?)+)\}/g;

function plural(lang: Lang, count: number, forms: string): string {
  const found = new Map([...forms.matchAll(/(\w+) \{([^{}]*)\}/g)].map(([, rule, text]) => [rule, text ?? '']));
  return found.get(new Intl.PluralRules(lang).select(count)) ?? found.get('other') ?? '';
}

export function t(word: Word, values: Record<string, string | number> = {}): string {
  const lang = current.value;
  return catalogues[lang][word]
    .replace(PLURAL, (_, name: string, forms: string) => plural(lang, Number(values[name]), forms))
    .replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

export function hasWord(name: string): name is Word {
  return Object.hasOwn(en, name);
}

/** The title in the page's language, else in any. */
export function titleOf(titles: Titles | string | null | undefined, fallback = ''): string {
  if (!titles) return fallback;
  if (typeof titles === 'string') return titles;
  return titles[current.value] ?? titles['en'] ?? Object.values(titles)[0] ?? fallback;
}

/** Names one after the other. */
export function listed(names: readonly string[]): string {
  return names.join(current.value === 'zh-CN' ? '、' : ', ');
}

const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

export function dateTime(at: number | string): string {
  const options: Intl.DateTimeFormatOptions = { ...time, year: 'numeric', month: '2-digit', day: '2-digit', timeZone: zone };
  return new Intl.DateTimeFormat(current.value, options).format(new Date(at));
}

export function clock(at: number, seconds = false): string {
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zone };
  return new Intl.DateTimeFormat(current.value, seconds ? { ...options, second: '2-digit' } : options).format(new Date(at));
}

/** A count in few characters: `950`, `12K`, `1.2万`. */
export function compact(value: number): string {
  return new Intl.NumberFormat(current.value, { notation: 'compact', maximumFractionDigits: 1 }).format(value);
}

export function decimal(value: number, digits = 2): string {
  return new Intl.NumberFormat(current.value, { maximumFractionDigits: digits }).format(value);
}

export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return t('ago.seconds', { n: seconds });
  if (seconds < 3600) return t('ago.minutes', { n: Math.round(seconds / 60) });
  if (seconds < 86_400) return t('ago.hours', { n: Math.round(seconds / 3600) });
  return t('ago.days', { n: Math.round(seconds / 86_400) });
}
