/** Where a section box begins, and what it may become. */

import { getFeature } from '../../api';
import type { App } from '../../app';
import { chosenMoment } from '../../past';
import { isFeature, type SectionBox } from '../../state';

const METRES_PER_DEGREE = 111_320;
/** Metres: the least and the largest side, the lowest floor and the highest lid, and the thinnest slice. */
export const LIMITS = { side: [1, 2000], up: [-100, 600], slice: 0.2 } as const;
/** Metres around what is chosen. */
const MARGIN = 2;
/** Of a place in view, where nothing is chosen: metres up, and a share of the distance from which it is seen. */
const HIGH = 12;
const SHARE = 0.5;

const between = (value: number, [least, most]: readonly [number, number]): number => Math.min(Math.max(value, least), most);

/** A box within the limits, whose lid is above its floor. */
export function kept(box: SectionBox): SectionBox {
  const low = between(box.low, LIMITS.up);
  return {
    ...box,
    width: between(box.width, LIMITS.side),
    depth: between(box.depth, LIMITS.side),
    heading: ((box.heading % 360) + 360) % 360,
    low,
    high: Math.max(between(box.high, LIMITS.up), low + LIMITS.slice),
  };
}

/** A box around what is chosen, else in the middle of the view. */
export async function boxFor(app: App): Promise<SectionBox> {
  const { store } = app;
  const { selection, view } = store.get();
  const usual = kept({ lon: view.lon, lat: view.lat, width: view.height * SHARE, depth: view.height * SHARE, heading: 0, low: -5, high: HIGH });
  if (!isFeature(selection)) return usual;
  const { value } = await getFeature(selection.layer, selection.fid, chosenMoment(store.get(), selection)).catch(() => ({ value: null }));
  const places = flat(value?.geometry?.coordinates);
  if (!value || places.length === 0) return usual;
  const [west, east] = [Math.min(...places.map(([x]) => x)), Math.max(...places.map(([x]) => x))];
  const [south, north] = [Math.min(...places.map(([, y]) => y)), Math.max(...places.map(([, y]) => y))];
  const lat = (south + north) / 2;
  const number = (name: string): number | null => (typeof value.properties[name] === 'number' ? (value.properties[name] as number) : null);
  return kept({
    lon: (west + east) / 2,
    lat,
    width: (east - west) * METRES_PER_DEGREE * Math.cos((lat * Math.PI) / 180) + 2 * MARGIN,
    depth: (north - south) * METRES_PER_DEGREE + 2 * MARGIN,
    heading: 0,
    low: number('min_height_m') ?? 0,
    high: number('height_m') ?? HIGH,
  });
}

function flat(coordinates: unknown): [number, number][] {
  if (!Array.isArray(coordinates)) return [];
  return typeof coordinates[0] === 'number' ? [coordinates as [number, number]] : coordinates.flatMap(flat);
}
