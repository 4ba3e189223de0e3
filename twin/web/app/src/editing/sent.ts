/**
 * The key of what is sent to be saved. Whether a save whose answer was lost was done, nobody in the page knows: it is sent
 * again under the same key, also after a reload, and the server does it once (`docs/editing.md`).
 */

const SLOT = 'twin.sent';

interface Sent {
  body: string;
  key: string;
}

/** Also where the tab may keep nothing, until it is reloaded. */
let sent: Sent | null = null;

function last(): Sent | null {
  try {
    return sent ?? (JSON.parse(sessionStorage.getItem(SLOT) ?? 'null') as Sent | null);
  } catch {
    return sent;
  }
}

function remember(now: Sent | null): void {
  sent = now;
  try {
    if (now === null) sessionStorage.removeItem(SLOT);
    else sessionStorage.setItem(SLOT, JSON.stringify(now));
  } catch {
    // no room, or none allowed
  }
}

/** The key under which a body is sent: that of the last time, where it was the same and was not answered. */
export function keyOf(body: string): string {
  const before = last();
  if (before?.body === body) return before.key;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  remember({ body, key });
  return key;
}

/** It was answered: the same once more is another request. */
export function answered(): void {
  remember(null);
}
