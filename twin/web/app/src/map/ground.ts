/** How high the ground is: asked at a place, so that terrain can answer where otherwise one number does. */

export interface Ground {
  /** Metres above the ellipsoid at a place in degrees, as it is drawn. */
  at(lon: number, lat: number): number;
  /** Calls when heights that were told may be others now; returns what ends it. */
  follow(listener: () => void): () => void;
}

export function flatGround(height: number): Ground {
  return { at: () => height, follow: () => () => undefined };
}
