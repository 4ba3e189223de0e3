/**
 * The terrain that the city stands on: switched on and off, exaggerated, and asked how high it is. Places are
 * told as high as they are drawn now; when better tiles have come, whoever stands on it is told.
 */

import {
  Cartographic,
  CesiumTerrainProvider,
  EllipsoidTerrainProvider,
  sampleTerrainMostDetailed,
  type Globe,
  type Scene,
  type TerrainProvider,
} from '@cesium/engine';
import { signal } from '@preact/signals-core';
import type { CityConfig, TerrainConfig } from '../config';
import type { Store } from '../state';
import type { Ground } from './ground';
import type { Renderer } from './renderer';

/** How long the city waits for its terrain before it stands flat, and how long till it is asked for again. */
const PATIENCE_MS = 5000;
const RETRY_MS = 10_000;
/** Tiles come in bursts: one answer for each. */
const TOLD_AFTER_MS = 120;
/** The engine's density of fog; at 10 km it takes two pixels of detail. */
const THIN = 1.5e-4;

export class TerrainGround implements Ground {
  private readonly flat = new EllipsoidTerrainProvider();
  private readonly listeners = new Set<() => void>();
  private provider: TerrainProvider | null = null;
  /** Metres, unexaggerated: the ground where the city is looked at first, until tiles say better. */
  private home: number;
  private opening: Promise<void> | null = null;
  private timer: number | undefined;
  private retry: number | undefined;
  /** Why it is not there: the HTTP status with which it could not be opened (0: no answer), or that it is slow. */
  readonly failure = signal<number | 'slow' | null>(null);

  constructor(
    private readonly scene: Scene,
    private terrain: TerrainConfig,
    private readonly config: CityConfig,
    private readonly store: Store,
  ) {
    this.home = config.ground ?? 0;
    scene.globe.tileLoadProgressEvent.addEventListener((waiting: number) => {
      if (waiting === 0) this.tellSoon();
    });
    store.subscribe((_state, changed) => {
      if (changed.has('terrain') || changed.has('exaggeration')) void this.apply();
    });
  }

  /** Resolves when the terrain is there, is known not to come, or takes too long: then the city stands flat. */
  async apply(): Promise<void> {
    if (this.store.get().terrain && !this.provider) {
      this.opening ??= this.open();
      const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PATIENCE_MS));
      const known = await Promise.race([this.opening.then(() => true), patience]);
      if (!known) this.failure.value ??= 'slow';
    }
    this.show();
  }

  /** The server has other heights, or another layer is the ground: the old ones are drawn until these are there. */
  async renew(terrain: TerrainConfig): Promise<void> {
    await this.opening;
    this.terrain = terrain;
    if (this.store.get().terrain) {
      this.opening ??= this.open();
      await this.opening;
    } else this.provider = null;
    this.show();
  }

  private show(): void {
    const { scene } = this;
    const { terrain, exaggeration } = this.store.get();
    this.store.set({ flattened: terrain === true && !this.provider });
    const shown = terrain ? this.provider : null;
    if (scene.terrainProvider !== (shown ?? this.flat)) scene.terrainProvider = shown ?? this.flat;
    scene.verticalExaggeration = shown ? exaggeration : 1;
    scene.verticalExaggerationRelativeHeight = shown ? this.home : 0;
    scene.globe.enableLighting = shown !== null;
    // no fog is drawn, but what lies in it is coarser: a look along the ground meets the whole country
    scene.fog.enabled = shown !== null;
    scene.fog.renderable = false;
    scene.fog.density = THIN;
    this.tellSoon();
    scene.requestRender();
  }

  at(lon: number, lat: number): number {
    if (!this.provider || !this.store.get().terrain) return this.config.ground ?? 0;
    return this.scene.globe.getHeight(Cartographic.fromDegrees(lon, lat)) ?? this.home;
  }

  follow(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tellSoon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      // the coarsest tiles cut through the Earth; the last of those that are on their way tells
      if (!this.scene.globe.tilesLoaded) return;
      for (const listener of [...this.listeners]) listener();
      this.scene.requestRender();
    }, TOLD_AFTER_MS);
  }

  private async open(): Promise<void> {
    try {
      const address = new URL(this.terrain.url.replace(/^\//, ''), document.baseURI).href;
      const provider = await CesiumTerrainProvider.fromUrl(address, { requestVertexNormals: true });
      const { lon, lat } = this.store.get().view;
      const [place] = await sampleTerrainMostDetailed(provider, [Cartographic.fromDegrees(lon, lat)]);
      if (Number.isFinite(place?.height)) this.home = place!.height;
      this.provider = provider;
      this.failure.value = null;
      this.show();
    } catch (error) {
      const status = (error as { statusCode?: number }).statusCode ?? 0;
      console.warn('the terrain could not be opened', error);
      // of heights that were there before the old ones are still drawn
      if (!this.provider) this.failure.value = status;
      clearTimeout(this.retry);
      // what the server refuses it refuses again
      if (status === 0 || status >= 500) this.retry = window.setTimeout(() => void this.apply(), RETRY_MS);
    } finally {
      this.opening = null;
    }
  }
}

/** Pixels that a tile of the globe may be off: a bare ellipsoid is the same in coarser tiles, and each costs. */
const BARE = 8;
const FINE = 2;
/** A processor draws each tile with the time of the page itself. */
const FINE_SOFTWARE = 4;

export function refine(globe: Globe, fine: boolean, { software }: Renderer): void {
  globe.maximumScreenSpaceError = fine ? (software ? FINE_SOFTWARE : FINE) : BARE;
}
