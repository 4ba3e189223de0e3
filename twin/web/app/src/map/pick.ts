/** What stands under a pixel: a sensor, an incident, or a feature of a layer. */

import {
  type Cartesian2,
  Cartesian3,
  Cartographic,
  Math as CesiumMath,
  PerspectiveFrustum,
  SceneTransforms,
  type Cesium3DTileFeature,
  type Scene,
} from '@cesium/engine';
import type { ClusterId } from '../live/cluster-signs';
import type { Cluster } from '../live/clusters';
import type { LayerSet } from '../layers/layers';
import type { FeatureSelection, Selection } from '../state';
import { elementOf, isElement, type SceneElement } from './element';
import { blockOf, groupOf, type Group } from './group';
import { Glb, type Surface } from './glb';
import { groundUnder } from './ground';

/** Pipes and roads are a few pixels wide; a finger is wider. */
const BOX = 9;
const FINGER_BOX = 17;
/** What lies over one another under a pixel, at most. */
const DEEPEST = 4;

interface PickedFeature {
  getProperty(name: string): unknown;
  getPropertyIds?(): string[];
}

function carriedBy(feature: PickedFeature): Record<string, unknown> {
  return Object.fromEntries((feature.getPropertyIds?.() ?? []).map((name) => [name, feature.getProperty(name)]));
}

function standsFor(layer: string, carried: Record<string, unknown>): Group | null {
  return groupOf(layer, carried) ?? blockOf(layer, carried);
}

/** The id that a symbol of the live collections carries. */
export interface SymbolId {
  kind: string;
  id: number;
}

function isSymbol(id: unknown): id is SymbolId {
  return typeof id === 'object' && id !== null && 'kind' in id && 'id' in id;
}

export class Picker {
  /** The element of registered content that was picked last, and the number of that pick. */
  element: { id: number; element: SceneElement } | null = null;
  /** What stands for several features and was picked last, and the number of that pick. */
  group: { id: number; group: Group } | null = null;
  /** Those that are picked of. */
  private layers: LayerSet;

  constructor(
    private readonly scene: Scene,
    private readonly all: LayerSet,
  ) {
    this.layers = all;
  }

  /** Exactly there first, then the nearest in a small box around; what is painted on the ground after what stands. */
  at(position: Cartesian2, touch = false): Selection | null {
    return this.sided(position, () => this.found(position, touch));
  }

  /** What is on the other side of the divide is not meant. */
  private sided<T>(position: Cartesian2, pick: () => T): T {
    return this.all.sided(position.x / Math.max(this.scene.canvas.clientWidth, 1), (layers) => {
      this.layers = layers;
      try {
        return pick();
      } finally {
        this.layers = this.all;
      }
    });
  }

  /** The cell of counted sensors whose sign is there. */
  cluster(position: Cartesian2): Cluster | null {
    const picked = this.scene.pick(position, 1, 1) as { id?: Partial<ClusterId> } | undefined;
    return picked?.id?.cluster ?? null;
  }

  private found(position: Cartesian2, touch: boolean): Selection | null {
    const box = touch ? FINGER_BOX : BOX;
    if (this.scene.globe.translucency.enabled) return this.under(position, box);
    return (
      this.read(this.scene.pick(position, 1, 1)) ??
      this.painted(position, 1) ??
      this.read(this.scene.pick(position, box, box)) ??
      this.painted(position, box)
    );
  }

  /** Under the street what lies there is meant, not the street over it. */
  private under(position: Cartesian2, box: number): Selection | null {
    for (const size of [1, box]) {
      const found = this.scene.drillPick(position, DEEPEST, size, size) as unknown[];
      const meant = found.find((one) => isSymbol((one as { id?: unknown }).id) || this.layers.layerOf(one as object)?.buried);
      const selection = this.read(meant ?? found[0]);
      if (selection && (meant || size === box)) return selection;
    }
    return this.painted(position, box);
  }

  /** Where a position on the canvas lies on the ground, in degrees. */
  ground(position: Cartesian2): { lon: number; lat: number; distance: number } | null {
    const hit = groundUnder(this.scene, position);
    if (!hit) return null;
    const { longitude, latitude } = Cartographic.fromCartesian(hit);
    const distance = Cartesian3.distance(this.scene.camera.positionWC, hit);
    return { lon: CesiumMath.toDegrees(longitude), lat: CesiumMath.toDegrees(latitude), distance };
  }

  private flat(position: Cartesian2, box: number): ReturnType<LayerSet['flatAt']> {
    const at = this.ground(position);
    if (!at) return null;
    const { camera, canvas } = this.scene;
    const { frustum } = camera;
    const wide = frustum instanceof PerspectiveFrustum ? 2 * at.distance * Math.tan((frustum.fov ?? 1) / 2) : at.distance;
    return this.layers.flatAt(at.lon, at.lat, (wide / Math.max(canvas.clientWidth, canvas.clientHeight, 1)) * (box / 2));
  }

  /** A feature, of the moment that the side of the divide is of. */
  private feature(layer: string, fid: number): Selection {
    return { type: 'feature', layer, fid, ...(this.layers === this.all ? {} : { against: true }) };
  }

  private painted(position: Cartesian2, box: number): Selection | null {
    const found = this.flat(position, box);
    if (!found) return null;
    const fid = Number(found.properties['fid']);
    return Number.isInteger(fid) && fid >= 0 ? this.feature(found.layer.id, fid) : this.merged(groupOf(found.layer.id, found.properties));
  }

  /** Attributes that the drawn feature under a pixel carries, as the tile has them. */
  attributes(position: Cartesian2): Record<string, unknown> | null {
    return this.sided(position, () => this.carried(position));
  }

  private carried(position: Cartesian2): Record<string, unknown> | null {
    const picked: unknown = this.scene.pick(position, 1, 1) ?? this.scene.pick(position, BOX, BOX);
    const feature = picked as PickedFeature | undefined;
    if (typeof feature?.getPropertyIds !== 'function') return this.flat(position, BOX)?.properties ?? null;
    return carriedBy(feature);
  }

  /** Window position of a place in the world, or null when it is behind the camera or off the canvas. */
  window(lon: number, lat: number, height: number): Cartesian2 | null {
    const world = Cartesian3.fromDegrees(lon, lat, height);
    const position = SceneTransforms.worldToWindowCoordinates(this.scene, world);
    if (!position) return null;
    const { clientWidth, clientHeight } = this.scene.canvas;
    const inside = position.x >= 0 && position.y >= 0 && position.x < clientWidth && position.y < clientHeight;
    return inside ? position : null;
  }

  /** The surface of the chosen feature that is under a pixel; null where its source names none, or it is not there. */
  async surface(position: Cartesian2, { fid }: FeatureSelection): Promise<Surface | null> {
    const picked = this.sided(position, () => this.scene.pick(position, 1, 1) as (PickedFeature & { content?: { url?: string } }) | undefined);
    const url = picked?.content?.url;
    const ray = this.scene.camera.getPickRay(position);
    if (!url || !ray || Number(picked.getProperty('fid')) !== fid || !/\.glb($|\?)/.test(url)) return null;
    // the engine fetched it, so it is at hand
    const response = await fetch(url);
    if (!response.ok) return null;
    const { origin, direction } = ray;
    return new Glb(await response.arrayBuffer()).surface(fid, [origin.x, origin.y, origin.z], [direction.x, direction.y, direction.z]);
  }

  /** Numbers of others' features are of their tile alone: a pick has one of its own. */
  private registered(layer: string, picked: Cesium3DTileFeature): Selection {
    const id = (this.element?.id ?? 0) + 1;
    this.element = { id, element: elementOf(layer, picked) };
    return { type: 'element', id };
  }

  /** A group is of its tile alone: a pick has a number of its own. */
  private merged(group: Group | null): Selection | null {
    if (!group) return null;
    const id = (this.group?.id ?? 0) + 1;
    this.group = { id, group };
    return { type: 'group', id };
  }

  private read(picked: unknown): Selection | null {
    if (typeof picked !== 'object' || picked === null) return null;
    const { id } = picked as { id?: unknown };
    if (isSymbol(id)) return { type: id.kind, id: id.id };
    const feature = picked as PickedFeature;
    if (typeof feature.getProperty !== 'function') return null;
    const layer = this.layers.layerOf(picked);
    if (layer?.registered) return isElement(picked) ? this.registered(layer.id, picked) : null;
    if (!layer) return null;
    const fid = Number(feature.getProperty('fid'));
    return Number.isInteger(fid) && fid >= 0 ? this.feature(layer.id, fid) : this.merged(standsFor(layer.id, carriedBy(feature)));
  }
}
