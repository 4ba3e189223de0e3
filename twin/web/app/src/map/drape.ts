/**
 * Vector tiles painted onto the terrain. As a picture that the globe wears, what lies flat follows every slope
 * without a gap, at any exaggeration; its tiles are the same as elsewhere, and so is its style.
 */

import {
  Cartographic,
  Cesium3DTileStyle,
  Event,
  Math as CesiumMath,
  WebMercatorTilingScheme,
  type ImageryProvider,
} from '@cesium/engine';
import { isShown, paintSheet } from './sheet-painter';
import { isOlder } from './refresher';
import { readSheet, topmost, type SheetFeature, type VectorSheet } from './vector-sheet';

/** The finest tiles that are painted; a nearer view takes a part of one. */
const FINEST = 20;
/** Pixels of a painted tile: the engine lays it as if it had half as many, so that lines stay sharp. */
const SIZE = 512;
const NOMINAL = 256;
/** Read tiles that are kept. */
const MOST_KEPT = 160;
const REPAINT_MS = 80;
const RETRIES = 4;

export class DrapeProvider {
  readonly tilingScheme = new WebMercatorTilingScheme();
  readonly rectangle;
  readonly tileWidth = NOMINAL;
  readonly tileHeight = NOMINAL;
  readonly minimumLevel = 0;
  readonly maximumLevel = FINEST;
  readonly tileDiscardPolicy = undefined;
  readonly hasAlphaChannel = true;
  readonly credit = undefined;
  readonly proxy = undefined;
  readonly errorEvent = new Event();
  /** The engine's: takes every tile anew, while the old ones stay. */
  _reload: (() => void) | undefined;
  private readonly sheets = new Map<string, Promise<VectorSheet>>();
  private readonly read = new Map<string, VectorSheet>();
  private timer: number | undefined;
  private wanted = 0;
  style = new Cesium3DTileStyle();

  constructor(
    private readonly address: (z: number, x: number, y: number) => string,
    private readonly maxzoom: number,
    private readonly outlined: boolean,
    extent: readonly [number, number, number, number],
  ) {
    this.rectangle = this.tilingScheme.rectangle.clone();
    const [west, south, east, north] = extent.map(CesiumMath.toRadians);
    Object.assign(this.rectangle, { west, south, east, north });
  }

  /** Whether any tile has come. */
  get some(): boolean {
    return this.read.size > 0;
  }

  /** Tiles that are on their way. */
  get waiting(): number {
    return this.wanted;
  }

  getTileCredits(): undefined {
    return undefined;
  }

  pickFeatures(): undefined {
    return undefined;
  }

  async requestImage(x: number, y: number, level: number): Promise<HTMLCanvasElement> {
    const z = Math.min(level, this.maxzoom);
    const parts = 2 ** (level - z);
    this.wanted += 1;
    try {
      const sheet = await this.sheet(z, Math.floor(x / parts), Math.floor(y / parts));
      return paintSheet(SIZE, sheet, this.style, { left: x % parts, top: y % parts, parts });
    } finally {
      this.wanted -= 1;
    }
  }

  /** Paints every tile again, once for many calls. */
  repaint(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this._reload?.(), REPAINT_MS);
  }

  /** One tile has new bytes, as of that ETag value. */
  async changed(z: number, x: number, y: number, version: string): Promise<void> {
    const key = `${z}/${x}/${y}`;
    if (!this.sheets.has(key)) return;
    for (let tries = 0; tries < RETRIES; tries += 1) {
      const response = await fetch(this.address(z, x, y), { cache: 'no-cache' }).catch(() => null);
      if (response?.ok && !isOlder(response.headers.get('ETag'), version)) {
        this.keep(key, response.arrayBuffer().then((bytes) => readSheet(bytes, this.outlined, z)));
        this.repaint();
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tries));
    }
  }

  /** Nothing that was read can be trusted to be the newest. */
  forget(): void {
    this.sheets.clear();
    this.read.clear();
    this.repaint();
  }

  /** What is painted at a place in degrees, or not further than so many metres from it. */
  at(lon: number, lat: number, metres: number): SheetFeature | undefined {
    const { x, y } = this.tilingScheme.projection.project(Cartographic.fromDegrees(lon, lat));
    const half = Math.PI * this.tilingScheme.ellipsoid.maximumRadius;
    const [right, down] = [(x + half) / (2 * half), (half - y) / (2 * half)];
    for (let z = this.maxzoom; z >= 0; z -= 1) {
      const n = 2 ** z;
      const sheet = this.read.get(`${z}/${Math.floor(right * n)}/${Math.floor(down * n)}`);
      if (!sheet) continue;
      const unit = (2 * half * Math.cos(CesiumMath.toRadians(lat))) / n / sheet.extent;
      const at = { x: ((right * n) % 1) * sheet.extent, y: ((down * n) % 1) * sheet.extent };
      return topmost(sheet, at, metres / unit, (feature) => isShown(this.style, feature));
    }
    return undefined;
  }

  private sheet(z: number, x: number, y: number): Promise<VectorSheet> {
    const key = `${z}/${x}/${y}`;
    const known = this.sheets.get(key);
    if (known) return known;
    return this.keep(key, this.fetched(z, x, y));
  }

  private keep(key: string, coming: Promise<VectorSheet>): Promise<VectorSheet> {
    this.sheets.delete(key);
    this.sheets.set(key, coming);
    coming.then(
      (sheet) => {
        if (this.sheets.get(key) === coming) this.read.set(key, sheet);
      },
      () => {
        if (this.sheets.get(key) === coming) this.sheets.delete(key);
      },
    );
    for (const old of this.sheets.keys()) {
      if (this.sheets.size <= MOST_KEPT) break;
      this.sheets.delete(old);
      this.read.delete(old);
    }
    return coming;
  }

  private async fetched(z: number, x: number, y: number): Promise<VectorSheet> {
    const response = await fetch(this.address(z, x, y));
    if (!response.ok) throw Object.assign(new Error(`${response.status} ${response.url}`), { statusCode: response.status });
    return readSheet(await response.arrayBuffer(), this.outlined, z);
  }
}

/** The engine asks no more of a provider than that it has these members. */
export function asProvider(provider: DrapeProvider): ImageryProvider {
  return provider as unknown as ImageryProvider;
}
