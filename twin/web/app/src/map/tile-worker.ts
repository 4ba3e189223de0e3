/** Reads vector tiles beside the page. */

import type { TilePlace } from './groups';
import { readTile } from './tile-parts';

export interface Question {
  id: number;
  bytes: ArrayBuffer;
  place: TilePlace;
  outlined: boolean;
}

// the page's own types know of a window only
const scope = self as unknown as {
  onmessage: (event: MessageEvent<Question>) => void;
  postMessage(message: unknown, transfer: Transferable[]): void;
};

scope.onmessage = ({ data: { id, bytes, place, outlined } }) => {
  try {
    const tile = readTile(bytes, place, outlined);
    scope.postMessage({ id, tile }, tile.parts.map(({ glb }) => glb.buffer));
  } catch (error) {
    scope.postMessage({ id, error: String(error) }, []);
  }
};
