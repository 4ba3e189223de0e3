/** The worker that reads vector tiles, as a function that waits for it. */

import type { TilePlace } from './groups';
import type { ReadTile } from './tile-parts';

interface Waiting {
  done(tile: ReadTile): void;
  failed(error: Error): void;
}

type Answer = { id: number; tile: ReadTile; error?: undefined } | { id: number; error: string };

const waiting = new Map<number, Waiting>();
let asked = 0;
let worker: Worker | null = null;

function opened(): Worker {
  const made = new Worker(new URL('./tile-worker.ts', import.meta.url), { type: 'module' });
  made.onmessage = ({ data }: MessageEvent<Answer>) => {
    const one = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) one?.done(data.tile);
    else one?.failed(new Error(data.error));
  };
  made.onerror = ({ message }) => {
    // the next tile has a new one
    worker = null;
    made.terminate();
    for (const one of waiting.values()) one.failed(new Error(`no vector tile can be read: ${message}`));
    waiting.clear();
  };
  return made;
}

/** The bytes are the worker's from now on. */
export function readApart(bytes: ArrayBuffer, place: TilePlace, outlined: boolean): Promise<ReadTile> {
  worker ??= opened();
  asked += 1;
  const id = asked;
  const question = { id, bytes, place, outlined };
  const found = new Promise<ReadTile>((done, failed) => waiting.set(id, { done, failed }));
  worker.postMessage(question, [bytes]);
  return found;
}
