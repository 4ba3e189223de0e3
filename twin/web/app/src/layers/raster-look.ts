/** How a raster looks, and the same as the parameters of its tiles and as a part of a link. */

import type { LayerConfig, RasterConfig, RasterLook } from '../config';
import type { LayerState } from '../state';

/** What was chosen, over what the server states. */
export function lookOf(layer: LayerConfig, state: LayerState | undefined): RasterLook {
  const chosen = Object.fromEntries(Object.entries(state?.raster ?? {}).filter(([, value]) => value !== undefined));
  const { style = {} } = layer.raster ?? {};
  const same = !chosen['bands'] || String(chosen['bands']) === String(style.bands);
  // of other bands the server's style says nothing
  return { ...(same ? style : { hillshade: style.hillshade ?? null }), ...chosen };
}

/** The bands that are drawn, by number from 1. */
export function drawnBands({ style }: RasterConfig, look: RasterLook): readonly number[] {
  return [look.bands, style.bands].find((bands) => bands && bands.length > 0) ?? [1];
}

/** The colour map in which one band is drawn; null for a picture, for the file's own colours, and for light and
 * shade alone. */
export function colormapOf({ form, raster }: LayerConfig, look: RasterLook): string | null {
  const drawn = raster ? drawnBands(raster, look) : [];
  if (drawn.length !== 1) return null;
  if (look.colormap) return look.colormap;
  const { bands = null, colormap = null, hillshade = null } = raster!.style;
  if (look.hillshade) return null;
  // of another band, of one that is shaded no more, or between limits the server takes its usual one
  const usual = form === 'surface' ? 'terrain' : 'gray';
  return colormap ?? (look.range || hillshade || bands?.length !== 1 || bands[0] !== drawn[0] ? usual : null);
}

/** The values of the first and the last colour; null where nobody knows them. */
export function rangeOf(raster: RasterConfig, look: RasterLook): readonly [number, number] | null {
  if (look.range) return look.range;
  const band = raster.bands[(drawnBands(raster, look)[0] ?? 1) - 1];
  return band && band.min !== null && band.max !== null ? [band.min, band.max] : null;
}

/** The query of a tile, of what was chosen alone: the server's own style needs no words. */
export function queryOf(chosen: RasterLook | undefined): string {
  const { colormap, range, bands, hillshade, time } = chosen ?? {};
  const query = new URLSearchParams();
  if (colormap) query.set('colormap', colormap);
  if (range) query.set('range', range.join(','));
  if (bands && bands.length > 0) query.set('bands', bands.join(','));
  if (hillshade !== undefined && hillshade !== null) query.set('hillshade', String(hillshade));
  if (time) query.set('datetime', time);
  return query.toString();
}

/** As it stands in a link: `id;colormap=viridis;range=0,10`. */
export function writeLook(id: string, chosen: RasterLook | undefined): string | null {
  const query = queryOf(chosen);
  return query ? `${id};${query.replaceAll('&', ';')}` : null;
}

function numbers(text: string | null): number[] | null {
  const parts = text === null ? [] : text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  return parts.length > 0 && parts.every(Number.isFinite) ? parts : null;
}

/** What a link says of a raster; what the raster does not offer is as if it were not there. */
export function readLook(text: string, { bands, colormaps, times }: RasterConfig): RasterLook {
  const query = new URLSearchParams(text.replaceAll(';', '&'));
  const look: RasterLook = {};
  const colormap = query.get('colormap');
  if (colormap && colormaps.includes(colormap)) look.colormap = colormap;
  const range = numbers(query.get('range'));
  if (range?.length === 2 && range[0]! < range[1]!) look.range = [range[0]!, range[1]!];
  const chosen = numbers(query.get('bands'));
  const known = chosen?.every((band) => Number.isInteger(band) && band >= 1 && band <= bands.length);
  if (chosen && known && (chosen.length === 1 || chosen.length === 3)) look.bands = chosen;
  const hillshade = query.get('hillshade');
  if (hillshade === 'true' || hillshade === 'false') look.hillshade = hillshade === 'true';
  const time = query.get('datetime');
  if (time && times.includes(time)) look.time = time;
  return look;
}
