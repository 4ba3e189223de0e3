import type { EngineTile, TileContent } from './map/internals';

declare module '@cesium/engine' {
  export const Cesium3DTileContentFactory: {
    glb(tileset: unknown, tile: EngineTile, resource: unknown, bytes: ArrayBuffer, offset: number): Promise<TileContent>;
  };
  export class Empty3DTileContent {
    constructor(tileset: unknown, tile: unknown);
  }
  export const ResourceCache: { cacheEntries: Record<string, unknown> };
}
