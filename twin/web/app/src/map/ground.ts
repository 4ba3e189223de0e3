/** How high the ground is: asked at a place, so that terrain can answer where otherwise one number does. */

import { EllipsoidTerrainProvider, type Cartesian2, type Cartesian3, type Scene } from '@cesium/engine';

export interface Ground {
  /** Metres above the ellipsoid at a place in degrees, as it is drawn. */
  at(lon: number, lat: number): number;
  /** Calls when heights that were told may be others now; returns what ends it. */
  follow(listener: () => void): () => void;
}

export function flatGround(height: number): Ground {
  return { at: () => height, follow: () => () => undefined };
}

/** The place of the ground under a position on the canvas; the ellipsoid is met itself, not the tiles of it. */
export function groundUnder(scene: Scene, position: Cartesian2): Cartesian3 | undefined {
  const { camera, globe, terrainProvider } = scene;
  const ray = terrainProvider instanceof EllipsoidTerrainProvider ? undefined : camera.getPickRay(position);
  return (ray && globe.pick(ray, scene)) ?? camera.pickEllipsoid(position);
}
