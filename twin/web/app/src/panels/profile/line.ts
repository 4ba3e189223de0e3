/** The line along which a profile is taken: drawn on the map, or put together of coordinates. */

import { Cartographic, EllipsoidGeodesic, Math as CesiumMath } from '@cesium/engine';
import { signal } from '@preact/signals-core';
import type { Place } from '../../place';

/** The mode that owns the pointer while a line is drawn. */
export const DRAW_LINE = 'profile';

/** The corners of the line. */
export const line = signal<readonly Place[]>([]);
/** Where the next corner would be, while the pointer draws. */
export const next = signal<Place | null>(null);
/** The place of the profile that is looked at in its chart. */
export const looked = signal<Place | null>(null);

export function addPlace(place: Place): void {
  const last = line.value.at(-1);
  // a second press on the same spot is no further corner
  if (last && last[0] === place[0] && last[1] === place[1]) return;
  line.value = [...line.value, place];
}

export function clearLine(): void {
  line.value = [];
  next.value = looked.value = null;
}

/** About so many places along a line, its corners among them. */
export function sampled(corners: readonly Place[], most: number): Place[] {
  const legs = corners.slice(1).map((to, i) => geodesic(corners[i]!, to));
  const total = legs.reduce((sum, leg) => sum + leg.surfaceDistance, 0);
  const places: Place[] = corners.slice(0, 1);
  for (const leg of legs) {
    const steps = Math.max(Math.floor((leg.surfaceDistance / total) * (most - legs.length - 1)), 1);
    for (let i = 1; i <= steps; i += 1) {
      const { longitude, latitude } = leg.interpolateUsingFraction(i / steps);
      places.push([CesiumMath.toDegrees(longitude), CesiumMath.toDegrees(latitude)]);
    }
  }
  return places;
}

/** Metres from the first of places in a row, along the ellipsoid. */
export function distancesOf(places: readonly Place[]): number[] {
  let sum = 0;
  return places.map((place, i) => {
    const before = places[i - 1];
    if (before && (before[0] !== place[0] || before[1] !== place[1])) sum += geodesic(before, place).surfaceDistance;
    return sum;
  });
}

function geodesic(from: Place, to: Place): EllipsoidGeodesic {
  return new EllipsoidGeodesic(Cartographic.fromDegrees(...from), Cartographic.fromDegrees(...to));
}
