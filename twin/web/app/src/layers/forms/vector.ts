/** Points, lines and areas: a layer as vector tiles. */

import { Cartesian3, Matrix4, Rectangle, type Cesium3DTileset } from '@cesium/engine';
import type { LayerConfig } from '../../config';
import type { Ground } from '../../map/ground';
import type { Groups } from '../../map/groups';
import type { Painter } from '../../map/painter';
import { ShapeTiles } from '../../map/shapes';
import { onTerrain, type State } from '../../state';
import { isLine, isOutlined, isSolid, isUnder, localUrl, type Form, type FormContext, type Look } from '../form';
import { vectorStyle } from '../style';
import { Tiled } from '../tiled';

/** Metres between two vector layers, so that one is over the other and all are over the globe. */
const STEP = 0.25;
/** Pixels: a tile of zoom 14 knows a place to 0.3 m, and each tile costs requests, buffers and draws. */
const MOST_ERROR = 9;
/** The lowest zoom of a layer that lies within few tiles of it. */
const LOWEST_ZOOM = 14;
/** A layer of so few features that lies within a tile so many zooms over the lowest one is small. */
const FEW = 20_000;
const FEW_ZOOMS = 3;
/** By how much of the camera's height they are raised: the sides of what is merged for a far view are so long that the ground
 * is curved under them. */
const RAISED = 0.0004;
const RAISED_FROM = 2000;
/** Metres under the ground of the lines that stand for pipes from afar, over the tubes; how far afar is. */
const BURIED_DEPTH = 0.4;
const TUBES_FROM = 450;
/** Bytes of tiles that are kept of a layer, and those more that a view may need before it is drawn coarser. */
const CACHED = 48 * 1024 * 1024;
const MORE = 48 * 1024 * 1024;

class Shapes extends Tiled<ShapeTiles> {
  private readonly ground: Ground;
  private readonly painter: Painter;
  /** The tiles of the last picture. */
  private seen: object[] = [];
  private readonly unfollow: () => void;
  private readonly middle: [lon: number, lat: number];

  constructor(
    layer: LayerConfig,
    tileset: Cesium3DTileset,
    private readonly provider: ShapeTiles,
    context: FormContext,
  ) {
    super(layer, tileset, provider, context.painter, context, provider.choice);
    this.painter = context.painter;
    const { lon, lat } = context.config.view;
    const [west, south, east, north] = layer.extent ?? [lon, lat, lon, lat];
    this.ground = context.ground;
    this.middle = [(west + east) / 2, (south + north) / 2];
    this.unfollow = context.scene.preRender.addEventListener(() => {
      this.seen = [];
    });
    tileset.tileVisible.addEventListener((tile: object) => this.seen.push(tile));
  }

  get groups(): Groups[] {
    return this.show ? this.seen.flatMap((tile) => this.provider.groups.get(tile) ?? []) : [];
  }

  style({ opacity, selected, under, unsaved, model }: Look): void {
    this.tileset.style = vectorStyle(this.layer, opacity, selected, under, unsaved, model);
  }

  /** The tiles are built at height 0; this carries them to the ground and over each other. */
  override place(state: Readonly<State>, level: number): void {
    this.painter.place(this.provider, level);
    const [lon, lat] = this.middle;
    const up = Cartesian3.normalize(Cartesian3.fromDegrees(lon, lat), new Cartesian3());
    const under = this.layer.buried && state.mode === '3d';
    const raised = Math.max(state.view.height - RAISED_FROM, 0) * RAISED;
    const height = this.ground.at(lon, lat) + (under ? -BURIED_DEPTH : STEP * (level + 1) * (1 + raised));
    this.tileset.modelMatrix = Matrix4.fromTranslation(Cartesian3.multiplyByScalar(up, height, new Cartesian3()));
  }

  override remove(): void {
    this.unfollow();
    super.remove();
  }
}

async function open(layer: LayerConfig, context: FormContext): Promise<Shapes | null> {
  const { url, minzoom, maxzoom } = layer.vector!;
  const extent = layer.extent ?? context.config.surroundings;
  const provider = (await ShapeTiles.fromUrl(context.url(layer, decodeURI(localUrl(url))), {
    extent: Rectangle.fromDegrees(...padded(extent)),
    minZoom: Math.min(Math.max(minzoom, lowestZoom(extent, layer)), maxzoom),
    maxZoom: maxzoom,
  })) as ShapeTiles;
  provider.outlined = isOutlined(layer);
  provider.scene = context.scene;
  const { tileset } = provider;
  if (!tileset) return null;
  tileset.maximumScreenSpaceError = MOST_ERROR;
  tileset.cacheBytes = CACHED;
  tileset.maximumCacheOverflowBytes = MORE;
  return new Shapes(layer, tileset, provider, context);
}

/**
 * The zoom at which a layer lies within four tiles: from farther away there is nothing to see in fewer. Of a small layer all is seen at
 * once. A sign of merged points is as large from anywhere: only in a coarser tile are there fewer.
 */
function lowestZoom([west, south, east, north]: readonly number[] & { length: 4 }, { count, geometryType }: LayerConfig): number {
  const wide = Math.max(east! - west!, (north! - south!) / Math.max(Math.cos((south! * Math.PI) / 180), 0.1), 1e-6);
  const zoom = Math.max(Math.floor(Math.log2(360 / wide)), 0);
  if (count <= FEW && zoom >= LOWEST_ZOOM - FEW_ZOOMS) return LOWEST_ZOOM;
  return /Line|Polygon/.test(geometryType) ? Math.min(zoom, LOWEST_ZOOM) : 0;
}

/** Room for features that an edit moves beyond today's extent: the tile tree cannot grow later. */
function padded([west, south, east, north]: readonly number[] & { length: 4 }): [number, number, number, number] {
  const margin = 0.004;
  return [
    Math.max(west! - margin, -180),
    Math.max(south! - margin, -85),
    Math.min(east! + margin, 180),
    Math.min(north! + margin, 85),
  ];
}

const form: Form = {
  id: 'vector',
  folder: 'tiles',
  offered: (layer) => layer.vector !== null,
  /**
   * Where there are solids, only from above; and from afar underground, where a tube is thinner than a pixel.
   * Of what is on the street only lines stay there, to find one's way.
   */
  wanted(layer, state) {
    // on a terrain they are painted onto it
    const terrain = onTerrain(state);
    if (terrain) return false;
    // bodies stand as high as the terrain that is switched off
    if (terrain === false && isSolid(layer)) return !isUnder(state) || layer.buried;
    if (!isSolid(layer)) return !isUnder(state) || layer.buried || isLine(layer);
    return state.mode === '2d' || (layer.buried && state.underground && state.view.height > TUBES_FROM);
  },
  open,
};

export default form;
