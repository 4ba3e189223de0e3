/** What went wrong, in the language of the page: the server sends a code, and its own words beside it. */

import { ApiError } from '../api';
import { hasWord, t, type Word } from '.';

export interface Explanation {
  text: string;
  /** The server's own words, where only they say which value is wrong. */
  detail: string | null;
}

/** Codes whose detail names the member that is wrong. */
const NAMING = new Set(['InvalidValue', 'InvalidParameterValue', 'InvalidBody', 'InvalidFile']);

/** `words` are what a panel says of some codes in its own place; an unknown code leaves the server's words. */
export function explain(error: unknown, words: Readonly<Record<string, Word>> = {}): Explanation {
  if (!(error instanceof ApiError)) {
    // fetch() rejects with a TypeError when nobody answered
    const text = error instanceof TypeError ? t('error.Network') : error instanceof Error ? error.message : String(error);
    return { text, detail: null };
  }
  const own = words[error.code];
  if (own) return { text: t(own), detail: null };
  const name = `error.${error.code}`;
  if (!hasWord(name)) return { text: error.message, detail: null };
  return { text: t(name), detail: NAMING.has(error.code) ? error.message : null };
}
