/** The order of the rasters, which lie under everything else: from the highest to the lowest. */

import type { LayerConfig } from '../config';

export function isRaster(layer: LayerConfig): boolean {
  return Boolean(layer.raster);
}

/** Whether what is shown is files, of which there are those of now alone: it has no past. */
export function isOfFiles(layer: LayerConfig): boolean {
  return Boolean(layer.raster ?? layer.registered);
}

/** Those that were moved stand as they were put; before them, as the city lists them, those that never were. */
export function rasterOrder(layers: readonly LayerConfig[], moved: readonly string[]): LayerConfig[] {
  const place = new Map(moved.map((id, i) => [id, i]));
  return layers.filter(isRaster).sort((a, b) => (place.get(a.id) ?? -1) - (place.get(b.id) ?? -1));
}

/** The order after one raster was moved so many places down; up where negative. */
export function movedRaster(layers: readonly LayerConfig[], moved: readonly string[], id: string, by: number): string[] {
  const ids = rasterOrder(layers, moved).map((layer) => layer.id);
  const from = ids.indexOf(id);
  const to = Math.min(Math.max(from + by, 0), ids.length - 1);
  if (from < 0) return ids;
  ids.splice(to, 0, ...ids.splice(from, 1));
  return ids;
}
