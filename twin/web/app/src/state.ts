/**
 * The one state of the page. The address bar mirrors it, the map subscribes to it, and what a panel reads of
 * it while it is drawn is what the panel is drawn again for.
 */

import { batch, signal, type Signal } from '@preact/signals-core';
import type { Lang, ModelLook, RasterLook } from './config';
import { Draft } from './draft';

export type Mode = '2d' | '3d';
export interface FeatureSelection {
  type: 'feature';
  layer: string;
  fid: number;
  /** It is meant as it is in the moment that is compared with, not in the one that is shown. */
  against?: true;
}
/** Something of a live layer; its type names the card (`sensor`, `incident`). */
export interface LiveSelection {
  type: string;
  id: number;
}
export type Selection = FeatureSelection | LiveSelection;

/** Degrees, metres above the ellipsoid; heading clockwise from north, pitch −90 looks straight down. */
export interface View {
  lon: number;
  lat: number;
  height: number;
  heading: number;
  pitch: number;
}

export interface LayerState {
  visible: boolean;
  opacity: number;
  /** What was chosen for a raster; the rest is as its style says. */
  raster?: RasterLook;
  /** What was chosen for a building model. */
  model?: ModelLook;
}

/** A box: its middle in degrees, sides in metres, degrees clockwise from north, floor and lid in metres above the ground. */
export interface SectionBox {
  lon: number;
  lat: number;
  width: number;
  depth: number;
  heading: number;
  low: number;
  high: number;
}

/** A version of a layer by its name, and the one that it is compared with; null for what is there. */
export interface ModelChoice {
  layer: string;
  to: string;
  from: string | null;
}

export interface State {
  lang: Lang;
  mode: Mode;
  underground: boolean;
  view: View;
  layers: Readonly<Record<string, LayerState>>;
  /** The rasters that were moved, from the highest to the lowest (`layers/order.ts`). */
  rasters: readonly string[];
  /** Whether the city is to stand on its terrain, or flat; null where it has none. */
  terrain: boolean | null;
  /** It stands flat whatever it is to, as the terrain has not come; no part of a link. */
  flattened?: boolean;
  /** By how much heights are drawn larger than they are. */
  exaggeration: number;
  /** The moment that is shown (`past.ts`); null for now. */
  at: string | null;
  /** With what it is compared: another moment, or `now`; null where nothing is compared. */
  against: string | null;
  /** Where the two are divided that are compared, as a share of the width; null where they are compared as colours. */
  split: number | null;
  /** The change set of which is told what it changed (`history/`). */
  set: number | null;
  /** The model version that is looked at, and with what it is compared; null for none. */
  version: ModelChoice | null;
  /** The job of the clashes that are looked at (`clash/`). */
  clash: string | null;
  /** What is not chosen is seen through. */
  xray: boolean;
  /** Solids are cut out of this box; null where they are whole. */
  section: SectionBox | null;
  /** Which live layers are shown, by id; those that are not named are. */
  live: Readonly<Record<string, boolean>>;
  selection: Selection | null;
  /** The mode that owns the pointer: `map/pointer.ts`. */
  pointer: string;
  /** Ids of the open panels; the card of what is selected stands beside them. */
  left: string | null;
  right: string | null;
}

export const PICK = 'pick';
/** The mode that owns the pointer while a point is put somewhere. */
export const PUT_POINT = 'put-point';

/** Whether the city stands on its terrain now, or flat; null where it has none. */
export function onTerrain({ terrain, flattened }: Pick<State, 'terrain' | 'flattened'>): boolean | null {
  return terrain === null ? null : terrain && !flattened;
}

type Listener = (state: Readonly<State>, changed: ReadonlySet<keyof State>) => void;

export class Store {
  private readonly listeners = new Set<Listener>();
  private readonly signals = new Map<keyof State, Signal<unknown>>();
  private readonly tracked: Readonly<State>;
  /** Holds back a change of what is selected while something is typed. */
  readonly draft = new Draft<Partial<State>>();

  constructor(asked: State) {
    const state: State = { flattened: false, ...asked };
    const descriptors: PropertyDescriptorMap = {};
    for (const name of Object.keys(state) as (keyof State)[]) {
      const held = signal<unknown>(state[name]);
      this.signals.set(name, held);
      descriptors[name] = { get: () => held.value, enumerable: true };
    }
    this.tracked = Object.defineProperties({}, descriptors) as State;
  }

  /** The state as it is at each reading; a panel follows the members that it reads. */
  get(): Readonly<State> {
    return this.tracked;
  }

  set(patch: Partial<State>): void {
    const { selection = null } = this.tracked;
    if (patch.selection !== undefined && !sameSelection(selection, patch.selection) && this.draft.stops(patch)) return;
    const changed = new Set<keyof State>();
    batch(() => {
      for (const name of Object.keys(patch) as (keyof State)[]) {
        const held = this.signals.get(name);
        if (!held || held.peek() === patch[name]) continue;
        changed.add(name);
        held.value = patch[name];
      }
    });
    if (changed.size === 0) return;
    for (const listener of [...this.listeners]) listener(this.tracked, changed);
  }

  setLayer(id: string, patch: Partial<LayerState>): void {
    const { layers } = this.tracked;
    const layer = layers[id];
    if (layer) this.set({ layers: { ...layers, [id]: { ...layer, ...patch } } });
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function isFeature(selection: Selection | null): selection is FeatureSelection {
  return selection?.type === 'feature';
}

export function sameSelection(a: Selection | null, b: Selection | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
