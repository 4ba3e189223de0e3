/** Pictures and values of places: a raster as map tiles. */

import { ImageryLayer, Rectangle, UrlTemplateImageryProvider, type Scene } from '@cesium/engine';
import type { LayerConfig, RasterLook } from '../../config';
import { coarsest, type ImageryStack } from '../../map/imagery';
import { frame } from '../../map/ready';
import type { State } from '../../state';
import { shade } from '../../tokens';
import { localUrl, type Drawn, type Form, type FormContext, type Look } from '../form';
import { colormapOf, lookOf, queryOf } from '../raster-look';

/** A picture that is drawn anew is exchanged when it is there, or after so long. */
const EXCHANGE_MS = 20_000;
const RETRY_MS = 3000;
/** The share of light that is left of light and shade. */
const NIGHT = 0.35;
/** A frame takes no longer. */
const FRAME_MS = 3000;

class Picture implements Drawn {
  readonly refreshable = false;
  private readonly scene: Scene;
  private readonly stack: ImageryStack;
  private query: string | null = null;
  private shown = true;
  private level = 0;
  private opacity = 1;
  /** The one that is wanted is the last; those before it are drawn until it is there. */
  private sheets: ImageryLayer[] = [];
  private lastFailure: number | null = null;
  private exchanging = false;

  constructor(
    private readonly layer: LayerConfig,
    private readonly context: FormContext,
  ) {
    this.scene = context.scene;
    this.stack = context.imagery;
  }

  get show(): boolean {
    return this.shown;
  }

  set show(value: boolean) {
    this.shown = value;
    for (const sheet of this.sheets) this.stack.show(sheet, value);
  }

  get settled(): boolean {
    return this.sheets.length <= 1 && this.scene.globe.tilesLoaded;
  }

  get failure(): number | null {
    return this.lastFailure;
  }

  add(): void {
    // laid when it is styled: the style is part of the addresses of its tiles
  }

  remove(): void {
    for (const sheet of this.sheets.splice(0)) this.stack.remove(sheet);
  }

  style({ opacity, raster }: Look): void {
    this.opacity = opacity;
    const query = queryOf(raster);
    if (query !== this.query) this.lay(query);
    for (const sheet of this.sheets) sheet.alpha = opacity;
    this.light(raster);
  }

  /** Light and shade say nothing by their brightness: by night they are dark, as the ground. */
  private light(chosen: RasterLook | undefined): void {
    const { layer } = this;
    const look = lookOf(layer, { visible: true, opacity: 1, ...(chosen ? { raster: chosen } : {}) });
    const isPlain = Boolean(look.hillshade) && colormapOf(layer, look) === null;
    const brightness = isPlain && shade.peek() === 'dark' ? NIGHT : 1;
    for (const sheet of this.sheets) sheet.brightness = brightness;
  }

  place(_state: Readonly<State>, level: number): void {
    this.level = level;
    for (const sheet of this.sheets) this.stack.place(sheet, level);
  }

  owns(): boolean {
    return false;
  }

  changed(): void {
    // rasters are published as a whole
  }

  refreshAll(): void {
    // opened anew instead
  }

  private lay(query: string): void {
    this.query = query;
    this.failed(null);
    const sheet = new ImageryLayer(this.provider(query), { ...this.stack.sampling, alpha: this.opacity, show: this.shown });
    this.sheets.push(sheet);
    this.stack.add(sheet, this.level);
    if (this.sheets.length > 1) void this.exchange();
  }

  private provider(query: string): UrlTemplateImageryProvider {
    const { url, minzoom, maxzoom } = this.layer.raster!;
    const { extent } = this.layer;
    const path = query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url;
    const provider = new UrlTemplateImageryProvider({
      url: decodeURI(localUrl(this.context.url(this.layer, path))),
      minimumLevel: extent ? Math.max(minzoom, coarsest(extent, maxzoom)) : minzoom,
      maximumLevel: maxzoom,
      ...(extent ? { rectangle: Rectangle.fromDegrees(...extent) } : {}),
    });
    provider.errorEvent.addEventListener(({ error }: { error?: { statusCode?: number } }) => {
      if (query === this.query) this.failed(error?.statusCode ?? 0);
    });
    return provider;
  }

  /** What is drawn under the new picture goes when this has come. */
  private async exchange(): Promise<void> {
    if (this.exchanging) return;
    this.exchanging = true;
    const end = performance.now() + EXCHANGE_MS;
    for (let calm = 0; calm < 3 && performance.now() < end; ) {
      // what is loaded is known after a frame alone; a page that is not seen draws none
      await Promise.race([frame(this.scene), new Promise((resolve) => setTimeout(resolve, FRAME_MS))]);
      calm = this.scene.globe.tilesLoaded || !this.shown ? calm + 1 : 0;
    }
    this.exchanging = false;
    for (const old of this.sheets.splice(0, this.sheets.length - 1)) this.stack.remove(old);
  }

  private failed(status: number | null): void {
    const first = this.lastFailure === null && status !== null;
    if (status !== this.lastFailure) {
      this.lastFailure = status;
      this.context.progressed();
    }
    // what the server refuses it refuses again
    if (first && (status === 0 || status >= 500)) setTimeout(() => this.retry(), RETRY_MS);
  }

  /** The engine asks for no tile again that failed: the whole sheet is laid anew. */
  private retry(): void {
    if (this.sheets.length === 0 || this.lastFailure === null) return;
    const query = this.query ?? '';
    this.lastFailure = null;
    this.lay(query);
    this.context.progressed();
  }
}

const form: Form = {
  id: 'coverage',
  folder: 'imagery',
  offered: (layer) => Boolean(layer.raster),
  wanted: () => true,
  open: (layer, context) => Promise.resolve(new Picture(layer, context)),
};

export default form;
