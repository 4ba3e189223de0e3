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

/** What an answer means whose code the page does not know: a proxy's, or that of a newer server. */
const BY_STATUS: Readonly<Record<number, Word>> = {
  401: 'error.Unauthorized',
  403: 'error.Forbidden',
  404: 'error.NotFound',
  409: 'error.Conflict',
  412: 'error.PreconditionFailed',
  413: 'error.TooLarge',
  429: 'error.Busy',
};

function byStatus(status: number): Word {
  return BY_STATUS[status] ?? (status >= 500 ? 'error.Unavailable' : 'error.InvalidRequest');
}

/** `words` are what a panel says of some codes in its own place; of an unknown code the status is told. */
export function explain(error: unknown, words: Readonly<Record<string, Word>> = {}): Explanation {
  if (!(error instanceof ApiError)) {
    // fetch() rejects with a TypeError when nobody answered
    const text = error instanceof TypeError ? t('error.Network') : error instanceof Error ? error.message : String(error);
    return { text, detail: null };
  }
  const own = words[error.code];
  if (own) return { text: t(own), detail: null };
  const name = `error.${error.code}`;
  if (!hasWord(name)) return { text: t(byStatus(error.status)), detail: error.message || null };
  return { text: t(name), detail: NAMING.has(error.code) ? error.message : null };
}
