/** Vector tiles as the engine draws them, read in a worker and made ready in parts. Private parts: `internals.d.ts`. */

import {
  Empty3DTileContent,
  MVTDataProvider,
  Rectangle,
  VectorGltf3DTileContent,
  WebMercatorTilingScheme,
  type Cesium3DTileset,
  type Scene,
} from '@cesium/engine';
import { Choice } from './choice';
import type { Groups } from './groups';
import type { ChosenTile, ChosenTileset, EngineTileset, TileHeader, RuntimeContentCodec, TileContent, VectorContent } from './internals';
import { PartsContent } from './parts-content';
import { readApart } from './tile-reader';

type Place = ReturnType<typeof MVTDataProvider._parseTileCoordinates>;

const scheme = new WebMercatorTilingScheme();
/** Metres: what is drawn in a tile lies between them. */
const [LOWEST, HIGHEST] = [-1000, 10_000];
/** Pixels that the world has in a tile of zoom 0. */
const PIXELS = 256;

/** Metres of the ground that a pixel of a tile covers at the equator. */
function errorAt(zoom: number): number {
  return (2 * Math.PI * scheme.ellipsoid.maximumRadius) / (2 ** zoom * PIXELS);
}

export class ShapeTiles extends MVTDataProvider {
  /** Whether a line runs around each area; to be said before the first tile is loaded. */
  outlined = false;
  /** The same. */
  scene!: Scene;
  readonly choice = new Choice(
    () => this.scene.requestRender(),
    (tile) => this.below(tile),
  );
  /** What is merged in the tiles that were read. */
  readonly groups = new WeakMap<object, Groups>();

  /** Only the coarsest tiles: those below them are made when they are seen. */
  override _createRuntimeTilesetOptions(): object {
    return { minZoom: this._minZoom, maxZoom: this._minZoom, extent: this._extent };
  }

  override _configureTileset(tileset: Cesium3DTileset): void {
    super._configureTileset(tileset);
    const { root } = tileset as unknown as ChosenTileset;
    for (const tile of root.children) tile.geometricError = tile._geometricError = this.error(this._minZoom);
    this.choice.governs(tileset);
  }

  private error(zoom: number): number {
    return zoom < this._maxZoom ? errorAt(zoom) : 0;
  }

  /** The four tiles under one, as far as the layer goes. */
  private below(tile: ChosenTile): TileHeader[] {
    const uri = tile._header.content?.uri;
    if (!uri) return [];
    const { tileZ, tileX, tileY }: Place = MVTDataProvider._parseTileCoordinates(uri);
    if (tileZ >= this._maxZoom) return [];
    return [0, 1, 2, 3].flatMap((i): TileHeader[] => {
      const [z, x, y] = [tileZ + 1, 2 * tileX + (i & 1), 2 * tileY + (i >> 1)];
      const rectangle = scheme.tileXYToRectangle(x, y, z);
      if (!Rectangle.intersection(rectangle, this._extent)) return [];
      const { west, south, east, north } = rectangle;
      const region = [west, south, east, north, LOWEST, HIGHEST];
      const below = uri.replace(`/${tileZ}/${tileX}/${tileY}.`, `/${z}/${x}/${y}.`);
      return [{ boundingVolume: { region }, geometricError: this.error(z), refine: 'REPLACE', content: { uri: below } }];
    });
  }

  override _createCodec(): RuntimeContentCodec {
    return {
      ...super._createCodec(),
      // the server has a tile of every place: without one it has no such layer
      missingTilePolicy: { statusCodes: [204] },
      createContent: async (tileset, tile, resource, bytes) => {
        const url = resource.getUrlComponent(true);
        const { parts, groups } = await readApart(bytes, MVTDataProvider._parseTileCoordinates(url), this.outlined);
        this.groups.set(tile, groups);
        if (parts.length === 0) return new Empty3DTileContent(tileset, tile) as unknown as TileContent;
        const made = parts.map(async ({ glb, features }, part) => {
          // never on the wire: the engine would give the buffers of one part to all others of the same address
          const own = resource.clone();
          own.setQueryParameters({ part: String(part) });
          const content = (await VectorGltf3DTileContent.fromGltf(tileset, tile, own, glb)) as unknown as VectorContent;
          return { content, features, bytes: glb.byteLength };
        });
        return PartsContent.made(this.scene, tileset as EngineTileset, tile, url, await Promise.all(made));
      },
    };
  }
}
