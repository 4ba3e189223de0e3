/** Vector tiles as the engine draws them, their areas arranged before. Private parts: `internals.d.ts`. */

import { buildVectorGltfFromMVT, decodeMVT, MVTDataProvider, VectorGltf3DTileContent } from '@cesium/engine';
import type { RuntimeContentCodec } from './internals';
import { arranged } from './outlines';

export class ShapeTiles extends MVTDataProvider {
  /** Whether a line runs around each area; to be said before the first tile is loaded. */
  outlined = false;

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
        const glb = buildVectorGltfFromMVT(decoded, place, {});
        // the engine knows what an empty tile is, and what is wrong with one that gives nothing
        return glb ? VectorGltf3DTileContent.fromGltf(tileset, tile, resource, glb) : codec.createContent(tileset, tile, resource, bytes);
      },
    };
  }
}
