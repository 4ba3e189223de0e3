/** 3D content that somebody else made: a photo mesh, a model or a point cloud as 3D Tiles. */

import {
  Cartesian3,
  Cesium3DTileset,
  Cesium3DTileStyle,
  ClippingPolygon,
  ClippingPolygonCollection,
  Resource,
  type SplitDirection,
} from '@cesium/engine';
import type { LayerConfig } from '../../config';
import { ambientLight } from '../../map/scene';
import type { State } from '../../state';
import { isUnder, localUrl, type Form, type FormContext, type Look } from '../form';
import { Tiled } from '../tiled';

type Ring = [lon: number, lat: number][];

type Geometry = { type: 'Polygon'; coordinates: Ring[] } | { type: 'MultiPolygon'; coordinates: Ring[][] };

/** Not shown is what lies in the one, or outside of the other. */
interface Areas {
  features: { id: 'cut' | 'keep'; geometry: Geometry }[];
}

class Scene extends Tiled {
  override place(state: Readonly<State>): void {
    this.cutOut(state);
  }

  split(direction: SplitDirection): void {
    this.tileset.splitDirection = direction;
  }

  style({ opacity }: Look): void {
    this.tileset.style = opacity < 1 ? new Cesium3DTileStyle({ color: `color('#ffffff', ${opacity})` }) : undefined;
  }
}

function polygons({ type, coordinates }: Geometry): ClippingPolygon[] {
  const corners = (ring: Ring): Cartesian3[] => ring.slice(0, -1).map(([lon, lat]) => Cartesian3.fromDegrees(lon, lat));
  return (type === 'Polygon' ? [coordinates] : coordinates).flatMap(([outer, ...holes]) =>
    outer ? [new ClippingPolygon({ positions: corners(outer), holes: holes.map(corners) })] : [],
  );
}

/** What of the scene is not shown. */
async function clipped(layer: LayerConfig, context: FormContext): Promise<ClippingPolygonCollection | null> {
  const answer = await fetch(context.url(layer, localUrl(layer.registered!.areas)));
  if (!answer.ok) throw Object.assign(new Error(`areas of ${layer.id}: ${answer.status}`), { statusCode: answer.status });
  const [area] = ((await answer.json()) as Areas).features;
  if (!area || !ClippingPolygonCollection.isSupported(context.scene)) return null;
  return new ClippingPolygonCollection({ polygons: polygons(area.geometry), inverse: area.id === 'keep' });
}

async function open(layer: LayerConfig, context: FormContext): Promise<Scene> {
  const clippingPolygons = await clipped(layer, context);
  const tileset = await Cesium3DTileset.fromUrl(new Resource({ url: context.url(layer, localUrl(layer.registered!.url)) }), {
    maximumScreenSpaceError: 16,
    imageBasedLighting: ambientLight(),
    environmentMapOptions: { enabled: false },
    cacheBytes: 256 * 1024 * 1024,
    maximumCacheOverflowBytes: 128 * 1024 * 1024,
    ...(clippingPolygons ? { clippingPolygons } : {}),
  });
  return new Scene(layer, tileset, tileset, context.scene.primitives, context);
}

const form: Form = {
  id: 'registered',
  folder: '3dtiles',
  offered: (layer) => Boolean(layer.registered),
  /** Whatever one looks from: a photo of a roof is as true from above. Underground the street is in the way. */
  wanted: (_layer, state) => !isUnder(state),
  open,
};

export default form;
