/**
 * Redraws exactly the tiles that changed, in an open page, for GLB and vector tilesets alike.
 *
 * The engine's own expiry keeps the old shapes (its buffers are cached by URL) and can stop the
 * rendering, so the new content is fetched first, built beside the old one, and exchanged within
 * one frame; the old one is destroyed after that frame. Everything that touches private members of
 * the pinned engine stands in this file.
 */

import {
  Cesium3DTileContentFactory,
  Empty3DTileContent,
  type Cesium3DTile,
  type Cesium3DTileset,
  type Scene,
} from '@cesium/engine';
import type { EngineTile, EngineTileset, FrameState, TileContent } from './internals';

const PARALLEL = 6;
const FIRST_BACK_OFF = 250;
const LONGEST_BACK_OFF = 30_000;
/** How long a change of a tile that is not loaded is remembered: it may be loading from old bytes. */
const LATE_MS = 60_000;
const UNLOADED = 0;

interface Job {
  wanted: string;
}

interface Exchange {
  tile: EngineTile;
  old: TileContent;
  content: TileContent;
  done(swapped: boolean): void;
}

export interface RefresherEvents {
  onSwap?(url: string): void;
}

/** Fetches run six at a time over all tilesets: a bulk edit must not starve the rest of the page. */
const gate = {
  free: PARALLEL,
  waiting: [] as (() => void)[],
  async enter(): Promise<void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
  },
  leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free += 1;
  },
};

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const TILE_PARTS = [
  '_contentResource',
  '_content',
  '_contentState',
  '_selectedFrame',
  'lastStyleTime',
  'hasEmptyContent',
  'hasRenderableContent',
  'clippingPlanesDirty',
  'clippingPolygonsDirty',
];

/** Whether this engine has the private parts that an exchange needs. */
function fits(tile: EngineTile, tileset: EngineTileset): boolean {
  const builds = tileset._runtimeContentCodec?.createContent ?? Cesium3DTileContentFactory?.glb;
  const counts = tileset.statistics?.incrementLoadCounts;
  return TILE_PARTS.every((name) => name in tile) && typeof builds === 'function' && typeof counts === 'function';
}

function plainUrl(tile: EngineTile): string | null {
  const url = tile._contentResource?.getUrlComponent(false);
  return url ? new URL(url, document.baseURI).href : null;
}

/** As the engine asks for it, parameters too: they choose how a tile is cut. */
function fullUrl(tile: EngineTile): string | null {
  const url = tile._contentResource?.getUrlComponent(true);
  return url ? new URL(url, document.baseURI).href : null;
}

/** Whether an ETag value `epoch-n`, or `epoch-n-form`, is older than the wanted one of the same epoch. */
export function isOlder(etag: string | null, wanted: string): boolean {
  const parse = (text: string): [string, number] => {
    const [, epoch = '', number = ''] = /^(.*)-(\d+)(?:-[a-z]+)?$/.exec(text) ?? [];
    return [epoch, Number(number)];
  };
  if (!etag) return false;
  const [epoch, number] = parse(etag.replace(/^W\//, '').replaceAll('"', ''));
  const [wantedEpoch, wantedNumber] = parse(wanted);
  return epoch === wantedEpoch && number < wantedNumber;
}

export class TileRefresher {
  private readonly tiles = new Map<string, EngineTile>();
  private readonly jobs = new Map<string, Job>();
  private readonly late = new Map<string, { version: string; at: number }>();
  private readonly exchanges: Exchange[] = [];
  private readonly engine: EngineTileset;
  private readonly unsubscribe: (() => void)[];
  private readonly scratch: unknown[] = [];
  private serial = 0;
  private destroyed = false;
  /** Exchanges done so far. */
  swaps = 0;
  /** Known from the first tile on; false: the layer must be opened anew instead. */
  usable: boolean | undefined;

  /** Must be made in the task that made the tileset: a tile loaded before it is never refreshed. */
  constructor(
    private readonly scene: Scene,
    private readonly tileset: Cesium3DTileset,
    private readonly events: RefresherEvents = {},
  ) {
    this.engine = tileset as unknown as EngineTileset;
    this.unsubscribe = [
      tileset.tileLoad.addEventListener((tile: Cesium3DTile) => this.loaded(tile as unknown as EngineTile)),
      tileset.tileUnload.addEventListener((tile: Cesium3DTile) => this.forget(tile as unknown as EngineTile)),
      tileset.tileFailed.addEventListener((failure: { url: string }) => this.failed(failure.url)),
    ];
    // updated before the tileset, so that an exchange is drawn in the frame that makes it
    scene.primitives.add(this, 0);
  }

  /** URLs of the tiles that are loaded now, absolute and without query. */
  get loadedUrls(): string[] {
    return [...this.tiles.keys()];
  }

  /** True while a refresh is under way. */
  get busy(): boolean {
    return this.jobs.size > 0;
  }

  /** A tile has new bytes on the server: `version` is its ETag value there. */
  changed(url: string, version: string): void {
    const job = this.jobs.get(url);
    if (job) {
      job.wanted = version;
      return;
    }
    if (!this.tiles.has(url)) {
      this.rememberLate(url, version);
      return;
    }
    const fresh = { wanted: version };
    this.jobs.set(url, fresh);
    void this.run(url, fresh);
  }

  /** After a gap in the event stream: every loaded tile is asked for again. */
  refreshAll(): void {
    this.serial += 1;
    for (const url of this.tiles.keys()) this.changed(url, `gap${this.serial}`);
  }

  /** Called by the scene for every frame, before the tileset's own update. */
  update(frameState: FrameState): void {
    if (!frameState.passes.render || this.exchanges.length === 0) return;
    const waiting = this.exchanges.splice(0);
    for (const exchange of waiting) {
      if (!this.step(exchange, frameState)) this.exchanges.push(exchange);
    }
    frameState.afterRender.push(() => this.exchanges.length > 0);
  }

  isDestroyed(): boolean {
    return this.destroyed;
  }

  destroy(): void {
    this.destroyed = true;
    for (const stop of this.unsubscribe) stop();
    for (const exchange of this.exchanges.splice(0)) {
      exchange.content.destroy();
      exchange.done(false);
    }
    this.tiles.clear();
    this.jobs.clear();
  }

  private loaded(tile: EngineTile): void {
    this.usable ??= fits(tile, this.engine);
    if (!this.usable) return;
    const url = plainUrl(tile);
    if (!url) return;
    this.tiles.set(url, tile);
    if (tile.hasEmptyContent) {
      // the engine never asks again for a vector tile that once was empty
      tile.hasEmptyContent = false;
      tile.hasRenderableContent = true;
    }
    const late = this.late.get(url);
    this.late.delete(url);
    if (late && performance.now() - late.at < LATE_MS) this.changed(url, late.version);
  }

  private forget(tile: EngineTile): void {
    const url = plainUrl(tile);
    if (url) this.tiles.delete(url);
  }

  /** The engine gives a tile up after one failed load; a server that restarts is no reason for a hole. */
  private failed(url: string): void {
    const stack = this.tileset.root ? [this.tileset.root as unknown as EngineTile & { children: EngineTile[] }] : [];
    const wanted = new URL(url, document.baseURI).href.replace(/\?.*$/, '');
    while (stack.length > 0) {
      const tile = stack.pop()!;
      stack.push(...(tile.children as typeof stack));
      if (plainUrl(tile) !== wanted) continue;
      setTimeout(() => {
        if (this.destroyed || tile.isDestroyed()) return;
        tile._contentState = UNLOADED;
        this.scene.requestRender();
      }, 4 * FIRST_BACK_OFF);
    }
  }

  private rememberLate(url: string, version: string): void {
    const now = performance.now();
    for (const [key, entry] of this.late) {
      if (now - entry.at > LATE_MS) this.late.delete(key);
    }
    this.late.set(url, { version, at: now });
  }

  private async run(url: string, job: Job): Promise<void> {
    let wait = FIRST_BACK_OFF;
    while (!this.destroyed && this.tiles.has(url)) {
      const version = job.wanted;
      if (await this.refresh(url, version)) {
        if (job.wanted === version) break;
        wait = FIRST_BACK_OFF;
        continue;
      }
      await sleep(wait);
      wait = Math.min(wait * 2, LONGEST_BACK_OFF);
    }
    this.jobs.delete(url);
  }

  /** One attempt; false asks for another one later. The old tile stays until the new one is ready. */
  private async refresh(url: string, version: string): Promise<boolean> {
    let bytes: ArrayBuffer;
    const held = this.tiles.get(url);
    await gate.enter();
    try {
      const response = await fetch((held && fullUrl(held)) ?? url, { cache: 'no-cache' });
      if (!response.ok && response.status !== 404) return false;
      // behind several servers one may not have seen the change yet
      if (isOlder(response.headers.get('ETag'), version)) return false;
      bytes = response.ok ? await response.arrayBuffer() : new ArrayBuffer(0);
    } catch {
      return false;
    } finally {
      gate.leave();
    }
    const tile = this.tiles.get(url);
    const old = tile?._content;
    if (!tile || !old || this.destroyed) return true;
    const content = await this.build(tile, bytes, version).catch((error: unknown) => {
      console.warn('a changed tile could not be read', url, error);
      return null;
    });
    if (!content) return false;
    if (this.destroyed) {
      content.destroy();
      return true;
    }
    const swapped = await new Promise<boolean>((done) => {
      this.exchanges.push({ tile, old, content, done });
      this.scene.requestRender();
    });
    if (swapped) this.events.onSwap?.(url);
    return swapped;
  }

  private async build(tile: EngineTile, bytes: ArrayBuffer, version: string): Promise<TileContent> {
    if (bytes.byteLength === 0) return new Empty3DTileContent(this.tileset, tile) as unknown as TileContent;
    // never on the wire: it gives the new buffers a cache key of their own
    const resource = tile._contentResource!.clone();
    this.serial += 1;
    resource.setQueryParameters({ v: `${version}.${this.serial}` });
    const codec = this.engine._runtimeContentCodec;
    return codec
      ? codec.createContent(this.tileset, tile, resource, bytes)
      : Cesium3DTileContentFactory.glb(this.tileset, tile, resource, bytes, 0);
  }

  /** Returns true when the exchange is over, done or given up. */
  private step(exchange: Exchange, frameState: FrameState): boolean {
    const { tile, old, content, done } = exchange;
    if (tile.isDestroyed() || tile._content !== old || !tile.contentReady) {
      content.destroy();
      done(false);
      return true;
    }
    try {
      this.prepare(tile, content, frameState);
    } catch (error) {
      console.warn('a changed tile could not be prepared', error);
      content.destroy();
      done(false);
      return true;
    }
    if (!content.ready) return false;
    this.swap(tile, old, content);
    frameState.afterRender.push(() => {
      old.destroy();
      done(true);
      return true;
    });
    return true;
  }

  /** Lets the content make its GPU resources without drawing it, clipped as its tile is. */
  private prepare(tile: EngineTile, content: TileContent, frameState: FrameState): void {
    const { clippingPlanesDirty, clippingPolygonsDirty } = tile;
    const commands = frameState.commandList;
    frameState.commandList = this.scratch;
    tile.clippingPlanesDirty ||= tile._clippingPlanesState !== 0;
    tile.clippingPolygonsDirty ||= tile._clippingPolygonsState !== 0;
    try {
      content.update(this.tileset, frameState);
    } finally {
      Object.assign(tile, { clippingPlanesDirty, clippingPolygonsDirty });
      frameState.commandList = commands;
      this.scratch.length = 0;
    }
  }

  private swap(tile: EngineTile, old: TileContent, content: TileContent): void {
    this.engine.statistics.decrementLoadCounts(old);
    this.engine.statistics.incrementLoadCounts(content);
    tile._content = content;
    tile.hasEmptyContent = false;
    tile.hasRenderableContent = true;
    tile.lastStyleTime = 0;
    tile._selectedFrame = 0;
    tile.clippingPlanesDirty = tile._clippingPlanesState !== 0;
    tile.clippingPolygonsDirty = tile._clippingPolygonsState !== 0;
    this.swaps += 1;
  }
}
