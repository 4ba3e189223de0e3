/** The colours of the maps by which values are drawn, as the server draws them; asked for when first needed. */

import { signal } from '@preact/signals-core';
import { getJson } from '../api';

const known = signal<Readonly<Record<string, readonly string[]>>>({});
const asked = new Set<string>();

/** From the least value to the greatest; null until they have come. Followed by whoever reads it while drawing. */
export function rampOf(name: string | null): readonly string[] | null {
  if (name === null) return null;
  const found = known.value[name];
  if (!found && !asked.has(name)) {
    asked.add(name);
    void ask(name);
  }
  return found ?? null;
}

async function ask(name: string): Promise<void> {
  try {
    const { colors } = await getJson<{ colors: string[] }>(`imagery/colormaps/${name}.json`);
    known.value = { ...known.peek(), [name]: colors };
  } catch {
    // a legend without its colours still tells the range; the next drawing asks again
    asked.delete(name);
  }
}
