/** Who the page acts as. Its key is taken from the address once and traded for a session: a cookie that no
 * script reads, and that tiles and the stream carry too. */

import { takeKey } from './key';

export type Action = 'edit' | 'observe' | 'configure' | 'incident';

interface Caller {
  name: string | null;
  may: Action[];
}

const NOBODY: Caller = { name: null, may: [] };
let caller = NOBODY;

function request(key: string | null): RequestInit {
  if (key === null) return {};
  return key ? { method: 'POST', headers: { Authorization: `Bearer ${key}` } } : { method: 'DELETE' };
}

/** Opens a session with the key of the address, ends it where that is empty, else goes on with the one there
 * is. True when the page acts as somebody else than before. */
export async function openSession(): Promise<boolean> {
  const before = caller.name;
  try {
    const response = await fetch('session', { ...request(takeKey()), cache: 'no-store' });
    caller = response.ok && response.status !== 204 ? ((await response.json()) as Caller) : NOBODY;
  } catch {
    caller = NOBODY;
  }
  return caller.name !== before;
}

/** Whether the server takes this of us. */
export const may = (action: Action): boolean => caller.may.includes(action);

/** Who edits here; null where the server takes no edits of us. */
export const editor = (): string | null => (may('edit') ? caller.name : null);

/** Whether we have a name here. */
export const isKnown = (): boolean => caller.name !== null;
