/** A box out of which solids are cut: where it is, and the six planes in which the engine cuts. */

import {
  Cartesian3,
  ClippingPlane,
  ClippingPlaneCollection,
  Color,
  HeadingPitchRoll,
  Math as CesiumMath,
  Matrix4,
  Transforms,
  type Cesium3DTileset,
} from '@cesium/engine';
import type { Place } from '../place';
import type { SectionBox } from '../state';
import { color } from '../tokens';
import type { ClippedTileset } from './internals';

const METRES_PER_DEGREE = 111_320;
/** Pixels of the line along which a solid is cut. */
const EDGE = 1.5;

/** Metres of a degree of longitude and latitude there, near enough for a box. */
const scale = (lat: number): [number, number] => [METRES_PER_DEGREE * Math.cos(CesiumMath.toRadians(lat)), METRES_PER_DEGREE];

/** A place so many metres along the width and the depth of a box from its middle. */
export function placeIn({ lon, lat, heading }: SectionBox, across: number, along: number): Place {
  const [sin, cos] = [Math.sin(CesiumMath.toRadians(heading)), Math.cos(CesiumMath.toRadians(heading))];
  const [east, north] = scale(lat);
  return [lon + (across * cos + along * sin) / east, lat + (along * cos - across * sin) / north];
}

/** How far a place is from the middle of a box, along its width and its depth (m). */
export function within({ lon, lat, heading }: SectionBox, place: Place): [across: number, along: number] {
  const [sin, cos] = [Math.sin(CesiumMath.toRadians(heading)), Math.cos(CesiumMath.toRadians(heading))];
  const [east, north] = scale(lat);
  const [x, y] = [(place[0] - lon) * east, (place[1] - lat) * north];
  return [x * cos - y * sin, x * sin + y * cos];
}

/** Inward normals of the six planes, in the frame of the box. */
const NORMALS = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]] as const;

/**
 * Cuts a tileset out of a box, or out of none: what lies outside of any of the six planes is not drawn, and so not
 * picked. `ground` is the height (m) from which the box counts. The planes of a tileset are kept and moved: the engine
 * destroys those that are taken away at once, while commands of the next frame still name their texture.
 */
export function cutOut(tileset: Cesium3DTileset, box: SectionBox | null, ground: number): void {
  const known = tileset.clippingPlanes as ClippingPlaneCollection | undefined;
  if (!box) {
    if (known) known.enabled = false;
    return;
  }
  const planes = known ?? new ClippingPlaneCollection({ planes: NORMALS.map((normal) => new ClippingPlane(new Cartesian3(...normal), 0)), unionClippingRegions: true, edgeWidth: EDGE });
  const middle = Cartesian3.fromDegrees(box.lon, box.lat, ground);
  const frame = Transforms.headingPitchRollToFixedFrame(middle, new HeadingPitchRoll(CesiumMath.toRadians(box.heading), 0, 0));
  const origin = (tileset as unknown as ClippedTileset).clippingPlanesOriginMatrix;
  const { width, depth, low, high } = box;
  for (const [i, distance] of [width / 2, width / 2, depth / 2, depth / 2, -low, high].entries()) planes.get(i).distance = distance;
  planes.modelMatrix = Matrix4.multiply(Matrix4.inverseTransformation(origin, new Matrix4()), frame, new Matrix4());
  planes.edgeColor = Color.fromCssColorString(color('selected'));
  planes.enabled = true;
  if (!known) tileset.clippingPlanes = planes;
}
