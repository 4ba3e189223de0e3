/** What every form has in common whose tiles the engine keeps as a tileset. */

import type { Cesium3DTileset, Scene } from '@cesium/engine';
import type { LayerConfig } from '../config';
import type { Choice } from '../map/choice';
import type { Ground } from '../map/ground';
import { TileRefresher } from '../map/refresher';
import { cutOut } from '../map/section';
import type { State } from '../state';
import type { Drawn, FormContext, Look } from './form';

export abstract class Tiled<Held extends object = object> implements Drawn {
  readonly refresher: TileRefresher;
  protected readonly scene: Scene;
  private readonly footing: Ground;
  /** The box out of which it is cut, as text. */
  private cut = '';
  private lastFailure: number | null = null;
  private readonly progressed: () => void;

  /** `primitive` is what `home` holds and draws: the tileset, or what made it. */
  constructor(
    protected readonly layer: LayerConfig,
    readonly tileset: Cesium3DTileset,
    private readonly primitive: Held,
    private readonly home: { add(held: Held): unknown; remove(held: Held): unknown },
    context: FormContext,
    /** What decides on its tiles, where it is not the engine. */
    private readonly choice: Choice | null = null,
  ) {
    this.scene = context.scene;
    this.footing = context.ground;
    this.progressed = () => context.progressed();
    tileset.tileFailed.addEventListener(({ message }: { message?: string }) => this.failed(statusOf(message)));
    tileset.tileLoad.addEventListener(() => this.failed(null));
    this.refresher = new TileRefresher(context.scene, tileset, { onSwap: () => context.swapped(layer) });
  }

  /** One tile that fails among others is no empty view. */
  get failure(): number | null {
    return this.refresher.loadedUrls.length === 0 ? this.lastFailure : null;
  }

  private failed(status: number | null): void {
    if (status === this.lastFailure) return;
    this.lastFailure = status;
    this.progressed();
  }

  abstract style(look: Look): void;

  /** Cuts it out of the section box of a state. */
  protected cutOut({ section }: Readonly<State>): void {
    const ground = section && this.footing.at(section.lon, section.lat);
    const cut = section ? JSON.stringify([section, ground]) : '';
    if (cut === this.cut) return;
    this.cut = cut;
    cutOut(this.tileset, section, ground ?? 0);
  }

  place(_state: Readonly<State>, _level: number): void {
    // solids stand where they are
  }

  get show(): boolean {
    return this.tileset.show;
  }

  set show(value: boolean) {
    this.tileset.show = value;
  }

  get settled(): boolean {
    return this.tileset.isDestroyed() || (this.tileset.tilesLoaded && !(this.show && this.choice?.waiting));
  }

  get refreshable(): boolean {
    return this.refresher.usable !== false;
  }

  add(): void {
    this.home.add(this.primitive);
  }

  remove(): void {
    this.scene.primitives.remove(this.refresher);
    this.home.remove(this.primitive);
  }

  owns(picked: unknown): boolean {
    const { content, tileset } = picked as { content?: { tileset: unknown }; tileset?: unknown };
    return (content?.tileset ?? tileset) === this.tileset;
  }

  changed(url: string, version: string): void {
    this.refresher.changed(url, version);
  }

  refreshAll(): void {
    this.refresher.refreshAll();
  }
}

/** The engine tells a status only within its words. */
export function statusOf(message: string | undefined): number {
  return Number(/Status Code: (\d{3})/.exec(message ?? '')?.[1] ?? 0);
}
