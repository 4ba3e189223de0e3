/** The one state of the page. Panels and the map subscribe to it; the address bar mirrors it. */

import type { Lang } from './config';

export type Mode = '2d' | '3d';
export interface FeatureSelection {
  type: 'feature';
  layer: string;
  fid: number;
}
export type Selection =
  | FeatureSelection
  | { type: 'sensor'; id: number }
  | { type: 'incident'; id: number };

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
}

export interface State {
  lang: Lang;
  mode: Mode;
  underground: boolean;
  view: View;
  layers: Readonly<Record<string, LayerState>>;
  sensors: boolean;
  incidents: boolean;
  selection: Selection | null;
  left: 'layers' | 'legend' | null;
  right: 'card' | 'incidents' | null;
}

type Listener = (state: Readonly<State>, changed: ReadonlySet<keyof State>) => void;

export class Store {
  private readonly listeners = new Set<Listener>();

  constructor(private state: State) {}

  get(): Readonly<State> {
    return this.state;
  }

  set(patch: Partial<State>): void {
    const changed = new Set<keyof State>();
    for (const key of Object.keys(patch) as (keyof State)[]) {
      if (patch[key] !== this.state[key]) changed.add(key);
    }
    if (changed.size === 0) return;
    this.state = { ...this.state, ...patch };
    for (const listener of [...this.listeners]) listener(this.state, changed);
  }

  setLayer(id: string, patch: Partial<LayerState>): void {
    const layer = this.state.layers[id];
    if (layer) this.set({ layers: { ...this.state.layers, [id]: { ...layer, ...patch } } });
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function sameSelection(a: Selection | null, b: Selection | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
