/** What a form of a layer is: how such a layer is opened, styled, shown, refreshed and picked. */

import type { Scene, SplitDirection } from '@cesium/engine';
import type { CityConfig, LayerConfig, ModelLook, RasterLook } from '../config';
import type { Unsaved } from '../editing/edits';
import type { Kind } from '../history/changes';
import type { Ground } from '../map/ground';
import type { ImageryStack } from '../map/imagery';
import type { Painter } from '../map/painter';
import type { Groups } from '../map/groups';
import type { Entry } from '../registry';
import type { State } from '../state';
import { isRaster } from './order';

export interface FormContext {
  readonly scene: Scene;
  readonly config: CityConfig;
  readonly ground: Ground;
  /** Draws what lies flat. */
  readonly painter: Painter;
  /** Lays what is a picture on the globe. */
  readonly imagery: ImageryStack;
  /**
   * The address of a layer's own path. Every address of a layer that was loaded again carries a number: while
   * the old tiles are still drawn, the engine would give their buffers to the new ones of the same address.
   */
  url(layer: LayerConfig, path: string): string;
  /** To be called after a part of the picture was exchanged. */
  swapped(layer: LayerConfig): void;
  /** To be called when parts begin or cease to fail. */
  progressed(): void;
}

/** What of a model is different from another one, or in the way of something. */
export interface Highlight {
  /** Features by the kind of their change, or as what they clash, each drawn in its colour. */
  kinds: Partial<Record<Kind | 'clash' | 'obstacle', readonly number[]>>;
  /** Nothing else of the layer is drawn. */
  only: boolean;
  /** They are drawn whichever storey and categories are. */
  always?: boolean;
}

/** How a layer looks now. */
export interface Look {
  opacity: number;
  /** The fid of the chosen feature, if it is of this layer. */
  selected: number | null;
  /** What is edited of it and not saved. */
  unsaved?: Unsaved | undefined;
  /** What is different in it from another model. */
  highlight?: Highlight | undefined;
  /** What is not chosen is seen through. */
  xray?: boolean | undefined;
  /** One looks under the street. */
  under: boolean;
  /** What was chosen for a raster. */
  raster?: RasterLook | undefined;
  /** What was chosen for a building model. */
  model?: ModelLook | undefined;
}

/** A layer that is painted onto the ground: the engine cannot tell what stands where on it. */
export interface Flat {
  /** The properties of what is painted at a place in degrees, or not further than so many metres from it. */
  at(lon: number, lat: number, metres: number): Record<string, unknown> | null;
}

export function isFlat(drawn: object): drawn is Flat {
  return 'at' in drawn;
}

/** A layer that is on the map in one form. */
export interface Drawn {
  show: boolean;
  /** Whether it shows what the view needs. */
  readonly settled: boolean;
  /** The HTTP status with which the last of it failed that was asked for (0: no answer); null where it came. */
  readonly failure: number | null;
  /** False where it must be opened anew for every change. */
  readonly refreshable: boolean;
  add(): void;
  remove(): void;
  style(look: Look): void;
  /** Shows it on one side of the divide alone; absent where it is the same on both, or its painter does it. */
  split?(direction: SplitDirection): void;
  /** Where it stands in this state; `level` is its place among the layers, 0 the lowest. */
  place(state: Readonly<State>, level: number): void;
  /** What is merged in what is shown, where anything may be. */
  readonly groups?: readonly Groups[];
  /** Whether this is what the engine says was picked. */
  owns(picked: unknown): boolean;
  /** One tile has new bytes. */
  changed(url: string, version: string): void;
  /** Nothing that is loaded can be trusted to be the newest. */
  refreshAll(): void;
}

export interface Form extends Entry {
  /** Whether the server offers the layer so. */
  offered(layer: LayerConfig): boolean;
  /** The folder of its tiles in their addresses: `/{folder}/{layer}/…`. */
  readonly folder: string;
  /** Whether a layer that is switched on is drawn so in this state. */
  wanted(layer: LayerConfig, state: Readonly<State>): boolean;
  open(layer: LayerConfig, context: FormContext): Promise<Drawn | null>;
}

export function isLine(layer: LayerConfig): boolean {
  return layer.geometryType.includes('Line');
}

/** Pictures, then what covers the ground, then what is on it, then what stands on it, what lies in it or bounds it, points. */
export function rank(layer: LayerConfig): number {
  if (isRaster(layer)) return -1;
  if (layer.geometryType.includes('Point')) return 4;
  if (isLine(layer)) return layer.buried ? 3 : 1;
  if (layer.style.bounds) return 3;
  return layer.scene || layer.registered ? 2 : 0;
}

/** Whether a line runs around its areas: those that stand on the ground, of which some are paler, or that are bounds. */
export function isOutlined(layer: LayerConfig): boolean {
  return layer.geometryType.includes('Polygon') && (layer.scene !== null || Boolean(layer.style.assumed) || layer.style.bounds === true);
}

/** Whether what it is stands in its place in 3D; of a model its sign stays, to be seen from afar. */
export function isSolid({ scene }: LayerConfig): boolean {
  return scene !== null && scene.body !== 'model';
}

export function isUnder(state: Readonly<State>): boolean {
  return state.underground && state.mode === '3d';
}

export function localUrl(path: string): string {
  return new URL(path.replace(/^\//, ''), document.baseURI).href;
}
