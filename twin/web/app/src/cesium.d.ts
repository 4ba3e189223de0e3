import type { EngineImagery, EngineTile, FrameState, RuntimeContentCodec, TileContent, Traversal } from './map/internals';
import type { TileLayer } from './map/outlines';

interface DecodedTile {
  layers: TileLayer[];
}

interface TilePlace {
  tileX: number;
  tileY: number;
  tileZ: number;
}

declare module '@cesium/engine' {
  export const Cesium3DTileContentFactory: {
    glb(tileset: unknown, tile: EngineTile, resource: unknown, bytes: ArrayBuffer, offset: number): Promise<TileContent>;
  };
  export class Empty3DTileContent {
    constructor(tileset: unknown, tile: unknown);
  }
  export const Cesium3DTileRefine: { ADD: number; REPLACE: number };
  export const Cesium3DTilesetTraversal: Traversal;
  export const Imagery: { prototype: EngineImagery };
  export const ResourceCache: { cacheEntries: Record<string, unknown> };
  export const RenderState: { fromCache(state: object): object; removeFromCache(state: object): void; getState(renderState: object): object };
  export const Pass: { OPAQUE: number; TRANSLUCENT: number };
  export function decodeMVT(bytes: ArrayBuffer): DecodedTile;
  /** Undefined where there is nothing to draw. */
  export function buildVectorGltfFromMVT(decoded: DecodedTile, place: TilePlace, options: object): Uint8Array | undefined;
  export const VectorGltf3DTileContent: {
    fromGltf(tileset: unknown, tile: unknown, resource: unknown, glb: Uint8Array): Promise<TileContent>;
  };
  interface MVTDataProvider {
    readonly _minZoom: number;
    readonly _maxZoom: number;
    readonly _extent: import('@cesium/engine').Rectangle;
    _createCodec(): RuntimeContentCodec;
    destroy(): void;
    update(frameState: FrameState): void;
    prePassesUpdate(frameState: FrameState): void;
    updateForPass(frameState: FrameState, passState: unknown): void;
    postPassesUpdate(frameState: FrameState): void;
  }
  namespace MVTDataProvider {
    function _parseTileCoordinates(url: string): TilePlace;
  }
}
