/** The draft of edits in the storage of the tab: it outlives a reload, and belongs to one caller in one city. */

import type { Change } from './change';

export interface Kept {
  changes: Change[];
  message: string;
}

const slot = (caller: string): string => `twin.edits ${location.pathname} ${caller}`;

export function readKept(caller: string): Kept | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(slot(caller)) ?? 'null') as Kept | null;
    return Array.isArray(kept?.changes) && typeof kept.message === 'string' ? kept : null;
  } catch {
    return null;
  }
}

export function keep(caller: string, kept: Kept): void {
  try {
    if (kept.changes.length > 0 || kept.message !== '') sessionStorage.setItem(slot(caller), JSON.stringify(kept));
    else sessionStorage.removeItem(slot(caller));
  } catch {
    // no room, or none allowed: the page asks before it is left
  }
}
