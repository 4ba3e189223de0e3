/**
 * A tileset of which the engine is given the root: it would make an object of each node at once, of a million
 * buildings for a second. The others are made when they are seen (`choice.ts`).
 */

import { Cesium3DTileset, type Resource } from '@cesium/engine';
import { Choice } from './choice';
import type { TileHeader } from './internals';

interface Node extends TileHeader {
  children?: Node[];
}

/** What the engine opens, with its nodes chosen by our rule; `draw` asks for another picture. */
export async function openTree(resource: Resource, options: Cesium3DTileset.ConstructorOptions, draw: () => void): Promise<[Cesium3DTileset, Choice]> {
  const below = new WeakMap<TileHeader, Node[]>();
  const alone = ({ children = [], ...header }: Node): TileHeader => {
    below.set(header, children);
    return header;
  };
  const tree = (await resource.clone().fetchJson()) as { root: Node };
  const { loadJson } = Cesium3DTileset;
  // asked for before the first await
  Cesium3DTileset.loadJson = () => Promise.resolve({ ...tree, root: alone(tree.root) });
  const opening = Cesium3DTileset.fromUrl(resource, options);
  Cesium3DTileset.loadJson = loadJson;
  const choice = new Choice(draw, ({ _header }) => (below.get(_header) ?? []).map(alone));
  const tileset = await opening;
  choice.governs(tileset);
  return [tileset, choice];
}
