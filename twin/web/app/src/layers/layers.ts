/** The layers on the globe: solids as 3D Tiles, the rest as vector tiles, made when first shown. */

import {
  Cartesian3,
  Cesium3DTileset,
  Matrix4,
  MVTDataProvider,
  Rectangle,
  Resource,
  type Scene,
} from '@cesium/engine';
import type { CityConfig, LayerConfig } from '../config';
import { ambientLight } from '../map/scene';
import { frame } from '../map/ready';
import { TileRefresher } from '../map/refresher';
import type { State, Store } from '../state';
import { sceneStyle, vectorStyle } from './style';

type Form = 'scene' | 'vector';

interface Drawn {
  tileset: Cesium3DTileset;
  primitive: Cesium3DTileset | MVTDataProvider;
  refresher: TileRefresher;
}

interface Entry {
  layer: LayerConfig;
  form: Form;
  drawn: Drawn | null;
  /** While the layer is opened anew: drawn already, over the old one. */
  next: Drawn | null;
  loading: Promise<Drawn | null> | null;
  styled: string;
}

/** Metres between two vector layers, so that one is over the other and all are over the globe. */
const STEP = 0.25;
const LOWEST_VECTOR_ZOOM = 14;
const HIGHEST_VECTOR_ZOOM = 16;
/** Metres under the ground of the lines that stand for pipes from afar, over the tubes; how far afar is. */
const PIPE_DEPTH = 0.4;
const TUBES_FROM = 180;
/** Vector tiles report no memory use, so the engine never drops any by itself. */
const MAX_VECTOR_TILES = 200;
/** Changes that come together are answered by one reload. */
const RELOAD_AFTER_MS = 250;

/** Areas under lines under points. */
function rank(layer: LayerConfig): number {
  if (layer.geometryType.includes('Point')) return 2;
  if (layer.geometryType.includes('Line')) return 1;
  return 0;
}

export function localUrl(path: string): string {
  return new URL(path.replace(/^\//, ''), document.baseURI).href;
}

export class LayerSet {
  private readonly entries = new Map<string, Entry>();
  private readonly order: string[];
  private readonly generations = new Map<string, number>();
  private readonly soon = new Set<string>();
  private reloading: Promise<void> = Promise.resolve();
  /** Called after a tile was exchanged: a kept feature of it is no longer valid. */
  onSwap: (layer: string) => void = () => undefined;

  constructor(
    private readonly scene: Scene,
    private readonly config: CityConfig,
    private readonly store: Store,
  ) {
    this.order = [...config.layers].sort((a, b) => rank(a) - rank(b)).map((layer) => layer.id);
    for (const layer of config.layers) this.register(layer);
    store.subscribe(() => this.show());
    scene.camera.moveEnd.addEventListener(() => this.trim());
    this.show();
  }

  /** The layer that a picked tileset belongs to. */
  layerOf(tileset: unknown): LayerConfig | null {
    for (const entry of this.entries.values()) {
      if (entry.drawn?.tileset === tileset || entry.next?.tileset === tileset) return entry.layer;
    }
    return null;
  }

  /** Tilesets that take part in the picture now. */
  shown(): Cesium3DTileset[] {
    return [...this.entries.values()].flatMap((entry) => (entry.drawn?.tileset.show ? [entry.drawn.tileset] : []));
  }

  /** Whether every layer that should be drawn has its tileset. */
  get complete(): boolean {
    const state = this.store.get();
    return [...this.entries.values()].every((entry) => !this.wanted(entry, state) || entry.drawn !== null);
  }

  refreshers(): { layer: string; form: Form; refresher: TileRefresher; tileset: Cesium3DTileset }[] {
    return [...this.entries.values()].flatMap(({ layer, form, drawn }) =>
      drawn ? [{ layer: layer.id, form, refresher: drawn.refresher, tileset: drawn.tileset }] : [],
    );
  }

  /** From /stream: one tile has new bytes. */
  tileChanged(path: string, version: string): void {
    const url = localUrl(path);
    const match = /\/(tiles|3dtiles)\/([^/]+)\//.exec(url);
    const entry = match && this.entries.get(`${match[1] === 'tiles' ? 'vector' : 'scene'}:${match[2]}`);
    if (entry?.drawn?.refresher.usable === false) {
      this.reloadSoon(entry.layer);
      return;
    }
    entry?.drawn?.refresher.changed(url, version);
    entry?.next?.refresher.changed(url, version);
  }

  /** For an engine whose tiles cannot be exchanged one by one: the whole layer, once for many tiles. */
  private reloadSoon(layer: LayerConfig): void {
    if (this.soon.has(layer.id)) return;
    this.soon.add(layer.id);
    setTimeout(() => {
      this.soon.delete(layer.id);
      void this.reload(layer);
    }, RELOAD_AFTER_MS);
  }

  /** After a gap in the stream nothing that is loaded can be trusted to be the newest. */
  refreshAll(): void {
    for (const { drawn, layer } of this.entries.values()) {
      if (drawn?.refresher.usable === false) this.reloadSoon(layer);
      else drawn?.refresher.refreshAll();
    }
  }

  /** A layer was published as a whole; one after the other, or two would exchange the same tileset. */
  reload(layer: LayerConfig): Promise<void> {
    this.reloading = this.reloading.then(() => this.openAnew(layer));
    return this.reloading;
  }

  /** A new tileset beside the old one, exchanged when it is ready. */
  private async openAnew(layer: LayerConfig): Promise<void> {
    const { id } = layer;
    if (!this.order.includes(id)) this.order.push(id);
    this.register(layer);
    this.generations.set(id, (this.generations.get(id) ?? 0) + 1);
    for (const entry of this.entries.values()) {
      const old = entry.drawn;
      if (entry.layer.id !== id || !old) continue;
      const fresh = await this.make(entry);
      if (!fresh) continue;
      entry.next = fresh;
      this.add(fresh);
      this.dress(entry, fresh, this.store.get());
      fresh.tileset.show = old.tileset.show;
      if (old.tileset.show) await loadedOnce(this.scene, fresh.tileset);
      entry.drawn = fresh;
      entry.next = null;
      entry.styled = '';
      this.remove(old);
      this.show();
      this.onSwap(id);
    }
  }

  private register(layer: LayerConfig): void {
    for (const form of ['scene', 'vector'] as const) {
      const known = this.entries.get(`${form}:${layer.id}`);
      if (known) known.layer = layer;
      else if (layer[form]) {
        this.entries.set(`${form}:${layer.id}`, { layer, form, drawn: null, next: null, loading: null, styled: '' });
      }
    }
  }

  /**
   * In 3D a solid stands for its layer, from above its outline does. Underground nothing stands on the
   * street (only its lines stay, to find one's way), and from afar, where a tube is thinner than a pixel, the line of the pipe is drawn with it.
   */
  private wanted(entry: Entry, state: Readonly<State>): boolean {
    const { layer, form } = entry;
    if (!state.layers[layer.id]?.visible) return false;
    const under = state.underground && state.mode === '3d';
    if (!layer.scene) return !under || rank(layer) === 1;
    if (state.mode === '2d') return form === 'vector' || !layer.vector;
    if (layer.kind !== 'pipeline') return form === 'scene' && !state.underground;
    return form === 'scene' || (state.underground && state.view.height > TUBES_FROM);
  }

  private show(): void {
    const state = this.store.get();
    for (const entry of this.entries.values()) {
      const wanted = this.wanted(entry, state);
      if (wanted && !entry.drawn) this.open(entry);
      if (!entry.drawn) continue;
      entry.drawn.tileset.show = wanted;
      if (wanted && entry.form === 'vector') entry.drawn.tileset.modelMatrix = this.lift(entry.layer, state);
      if (wanted) this.dress(entry, entry.drawn, state);
    }
    this.scene.requestRender();
  }

  private open(entry: Entry): void {
    entry.loading ??= this.make(entry).then((drawn) => {
      entry.loading = null;
      if (!drawn) return null;
      entry.drawn = drawn;
      this.add(drawn);
      this.show();
      return drawn;
    });
  }

  private add(drawn: Drawn): void {
    this.scene.primitives.add(drawn.primitive);
  }

  private remove(drawn: Drawn): void {
    this.scene.primitives.remove(drawn.refresher);
    this.scene.primitives.remove(drawn.primitive);
  }

  private async make(entry: Entry): Promise<Drawn | null> {
    try {
      const primitive = entry.form === 'scene' ? await this.makeScene(entry.layer) : await this.makeVector(entry.layer);
      const tileset = primitive instanceof Cesium3DTileset ? primitive : primitive.tileset;
      if (!tileset) return null;
      const refresher = new TileRefresher(this.scene, tileset, { onSwap: () => this.onSwap(entry.layer.id) });
      return { tileset, primitive, refresher };
    } catch (error) {
      console.warn(`layer ${entry.layer.id} could not be opened; trying again`, error);
      setTimeout(() => this.show(), 2000);
      return null;
    }
  }

  private makeScene(layer: LayerConfig): Promise<Cesium3DTileset> {
    const resource = new Resource({
      url: this.versioned(layer.id, localUrl(layer.scene!.url)),
      retryAttempts: 3,
      retryCallback: async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return true;
      },
    });
    return Cesium3DTileset.fromUrl(resource, {
      maximumScreenSpaceError: 16,
      imageBasedLighting: ambientLight(),
      environmentMapOptions: { enabled: false },
      cacheBytes: 128 * 1024 * 1024,
      maximumCacheOverflowBytes: 64 * 1024 * 1024,
      // a pipe seen from the other side of its own end is still a pipe
      backFaceCulling: layer.kind !== 'pipeline',
    });
  }

  /**
   * Every URL of a layer that was loaded again carries a number: while the old tileset is still drawn,
   * the engine would give its vertex buffers to the new tiles of the same URL.
   */
  private versioned(id: string, url: string): string {
    const generation = this.generations.get(id);
    return generation ? `${url}?v=${generation}` : url;
  }

  private async makeVector(layer: LayerConfig): Promise<MVTDataProvider> {
    const { url, minzoom, maxzoom } = layer.vector!;
    const extent = layer.extent ?? this.config.surroundings;
    const maxZoom = Math.min(maxzoom, HIGHEST_VECTOR_ZOOM);
    const provider = await MVTDataProvider.fromUrl(this.versioned(layer.id, decodeURI(localUrl(url))), {
      extent: Rectangle.fromDegrees(...padded(extent)),
      minZoom: Math.min(Math.max(minzoom, LOWEST_VECTOR_ZOOM), maxZoom),
      maxZoom,
    });
    const { tileset } = provider;
    if (tileset) {
      tileset.maximumScreenSpaceError = 5;
    }
    return provider;
  }

  /** Vector tiles are built at height 0; this carries them to the ground and over each other. */
  private lift(layer: LayerConfig, state: Readonly<State>): Matrix4 {
    const { lon, lat } = this.config.view;
    const up = Cartesian3.normalize(Cartesian3.fromDegrees(lon, lat), new Cartesian3());
    const under = layer.kind === 'pipeline' && state.mode === '3d';
    const height = this.config.ground + (under ? -PIPE_DEPTH : STEP * (this.order.indexOf(layer.id) + 1));
    return Matrix4.fromTranslation(Cartesian3.multiplyByScalar(up, height, new Cartesian3()));
  }

  private dress(entry: Entry, drawn: Drawn, state: Readonly<State>): void {
    const { layer, form } = entry;
    const { selection } = state;
    const under = state.underground && state.mode === '3d';
    const opacity = state.layers[layer.id]?.opacity ?? 1;
    const selected = selection?.type === 'feature' && selection.layer === layer.id ? selection.fid : null;
    const mark = `${opacity} ${selected} ${under}`;
    if (entry.drawn === drawn && entry.styled === mark) return;
    entry.styled = mark;
    drawn.tileset.style =
      form === 'scene' ? sceneStyle(layer, opacity, selected) : vectorStyle(layer, opacity, selected, under);
  }

  private trim(): void {
    for (const { form, refresher, tileset } of this.refreshers()) {
      if (form === 'vector' && refresher.loadedUrls.length > MAX_VECTOR_TILES) tileset.trimLoadedTiles();
    }
  }
}

/** Room for features that an edit moves beyond today's extent: the tile tree cannot grow later. */
function padded([west, south, east, north]: readonly number[] & { length: 4 }): [number, number, number, number] {
  const margin = 0.01;
  return [
    Math.max(west! - margin, -180),
    Math.max(south! - margin, -85),
    Math.min(east! + margin, 180),
    Math.min(north! + margin, 85),
  ];
}

/** Some frames in a row without anything to load: the tileset shows what the view needs. */
async function loadedOnce(scene: Scene, tileset: Cesium3DTileset): Promise<void> {
  for (let calm = 0; calm < 3 && !tileset.isDestroyed(); calm = tileset.tilesLoaded ? calm + 1 : 0) {
    await frame(scene);
  }
}
