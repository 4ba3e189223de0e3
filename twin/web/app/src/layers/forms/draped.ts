/** Points, lines and areas on a terrain: a layer as vector tiles, painted onto the ground. */

import { ImageryLayer, type Scene, type SplitDirection } from '@cesium/engine';
import type { LayerConfig } from '../../config';
import { asProvider, DrapeProvider } from '../../map/drape';
import type { ImageryStack } from '../../map/imagery';
import { onTerrain, type State } from '../../state';
import { isOutlined, isUnder, localUrl, type Drawn, type Flat, type Form, type FormContext, type Look } from '../form';
import { vectorStyle } from '../style';
import vector from './vector';

const RETRY_MS = 3000;

class Draped implements Drawn, Flat {
  readonly refreshable = true;
  private readonly scene: Scene;
  private readonly stack: ImageryStack;
  private readonly provider: DrapeProvider;
  private readonly sheet: ImageryLayer;
  private painted = '';
  private lastFailure: number | null = null;
  private timer: number | undefined;

  constructor(
    private readonly layer: LayerConfig,
    context: FormContext,
  ) {
    this.scene = context.scene;
    this.stack = context.imagery;
    const { url, maxzoom } = layer.vector!;
    // with the margins that the globe's own shapes go without: a line and a point run on over the edge of a tile
    const template = decodeURI(localUrl(context.url(layer, url.replace(/[?&]clip=exact/, ''))));
    const address = (z: number, x: number, y: number): string =>
      template.replace('{z}', String(z)).replace('{x}', String(x)).replace('{y}', String(y));
    const extent = layer.extent ?? context.config.surroundings;
    this.provider = new DrapeProvider(address, maxzoom, isOutlined(layer), padded(extent));
    this.sheet = new ImageryLayer(asProvider(this.provider), context.imagery.sampling);
    this.provider.errorEvent.addEventListener(({ error }: { error?: { statusCode?: number } }) => {
      this.lastFailure = error?.statusCode ?? 0;
      // what the server refuses it refuses again
      if (this.lastFailure === 0 || this.lastFailure >= 500) this.repaintLater();
      context.progressed();
    });
  }

  /** The engine asks for no tile again that failed. */
  private repaintLater(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.provider.repaint(), RETRY_MS);
  }

  get show(): boolean {
    return this.sheet.show;
  }

  set show(value: boolean) {
    this.stack.show(this.sheet, value);
  }

  get settled(): boolean {
    return this.provider.waiting === 0 && this.scene.globe.tilesLoaded;
  }

  get failure(): number | null {
    return this.provider.some ? null : this.lastFailure;
  }

  add(): void {
    this.stack.add(this.sheet, 0);
  }

  remove(): void {
    clearTimeout(this.timer);
    this.stack.remove(this.sheet);
  }

  style({ opacity, selected, under, unsaved, model }: Look): void {
    this.sheet.alpha = opacity;
    const style = vectorStyle(this.layer, 1, selected, under, unsaved, model);
    const mark = JSON.stringify(style.style);
    if (mark === this.painted) return;
    this.provider.style = style;
    if (this.painted) this.provider.repaint();
    this.painted = mark;
  }

  split(direction: SplitDirection): void {
    this.sheet.splitDirection = direction;
  }

  place(_state: Readonly<State>, level: number): void {
    this.stack.place(this.sheet, level);
  }

  owns(): boolean {
    return false;
  }

  at(lon: number, lat: number, metres: number): Record<string, unknown> | null {
    return this.provider.at(lon, lat, metres)?.properties ?? null;
  }

  changed(url: string, version: string): void {
    const [z, x, y] = (/\/(\d+)\/(\d+)\/(\d+)\.mvt$/.exec(url) ?? []).slice(1).map(Number);
    if (z !== undefined && x !== undefined && y !== undefined) void this.provider.changed(z, x, y, version);
  }

  refreshAll(): void {
    this.provider.forget();
  }
}

/** Room for features that an edit moves beyond today's extent. */
function padded([west, south, east, north]: readonly [number, number, number, number]): [number, number, number, number] {
  const margin = 0.004;
  return [Math.max(west - margin, -180), Math.max(south - margin, -85), Math.min(east + margin, 180), Math.min(north + margin, 85)];
}

const form: Form = {
  id: 'draped',
  folder: 'tiles',
  offered: (layer) => layer.vector !== null,
  /** Where the globe's own shapes would be, and what is buried only where one sees through the ground. */
  wanted: (layer, state) =>
    onTerrain(state) === true && (!layer.buried || isUnder(state) || state.mode === '2d') && vector.wanted(layer, { ...state, terrain: null }),
  open: (layer, context) => Promise.resolve(new Draped(layer, context)),
};

export default form;
