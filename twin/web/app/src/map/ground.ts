/** How high the ground is: asked at a place, so that terrain can answer where today one number does. */

export interface Ground {
  /** Metres above the ellipsoid at a place in degrees. */
  at(lon: number, lat: number): number;
}

export function flatGround(height: number): Ground {
  return { at: () => height };
}
