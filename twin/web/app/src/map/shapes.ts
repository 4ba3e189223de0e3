/** Vector tiles as the engine draws them, their areas arranged before. Private parts: `internals.d.ts`. */

import { buildVectorGltfFromMVT, decodeMVT, MVTDataProvider, VectorGltf3DTileContent } from '@cesium/engine';
import type { RuntimeContentCodec } from './internals';
import { isGroup, type Cluster } from './group';
import { arranged } from './outlines';

/** What is merged in a tile: whether anything is, and the points that stand for several. */
export interface Groups {
  some: boolean;
  clusters: Cluster[];
}

type Layers = ReturnType<typeof decodeMVT>['layers'];
type Place = ReturnType<typeof MVTDataProvider._parseTileCoordinates>;

function groupsIn(layers: Layers, { tileZ, tileX, tileY }: Place): Groups {
  const n = 2 ** tileZ;
  const merged = layers.flatMap(({ extent, features }) => features.filter((one) => isGroup(one.properties)).map((one) => ({ extent, ...one })));
  const clusters = merged.flatMap(({ type, extent, geometry, properties }): Cluster[] => {
    const at = type === 'Point' ? (geometry as { x: number; y: number }[])[0] : undefined;
    if (!at) return [];
    const lat = Math.atan(Math.sinh(Math.PI * (1 - (2 * (tileY + at.y / extent)) / n)));
    return [{ lon: ((tileX + at.x / extent) / n) * 360 - 180, lat: (lat * 180) / Math.PI, count: Number(properties['group_count']), properties }];
  });
  return { some: merged.length > 0, clusters };
}

export class ShapeTiles extends MVTDataProvider {
  /** Whether a line runs around each area; to be said before the first tile is loaded. */
  outlined = false;
  /** What is merged in the tiles that were read. */
  readonly groups = new WeakMap<object, Groups>();

  override _createCodec(): RuntimeContentCodec {
    const codec = super._createCodec();
    return {
      ...codec,
      // the server has a tile of every place: without one it has no such layer
      missingTilePolicy: { statusCodes: [204] },
      createContent: async (tileset, tile, resource, bytes) => {
        const { layers } = decodeMVT(bytes);
        const decoded = { layers: layers.map((layer) => arranged(layer, this.outlined)) };
        const place = MVTDataProvider._parseTileCoordinates(resource.getUrlComponent(true));
        this.groups.set(tile, groupsIn(layers, place));
        const glb = buildVectorGltfFromMVT(decoded, place, {});
        // the engine knows what an empty tile is, and what is wrong with one that gives nothing
        return glb ? VectorGltf3DTileContent.fromGltf(tileset, tile, resource, glb) : codec.createContent(tileset, tile, resource, bytes);
      },
    };
  }
}
