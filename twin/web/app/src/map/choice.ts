/**
 * Which tiles of a tree are asked for and which are drawn. Only tiles of the zoom that the view needs are asked
 * for, when it has needed them for a moment; until they have come, what was drawn before stays: coarser tiles when it
 * was zoomed in, finer ones when it was zoomed out. The engine would load each zoom on the way, and those around.
 * Nodes of a tree may be made when they are seen. Private parts: `internals.d.ts`.
 */

import { Cesium3DTile, Cesium3DTileRefine, Cesium3DTilesetTraversal, type Cesium3DTileset } from '@cesium/engine';
import type { ChosenTile, ChosenTileset, Frame, TileHeader } from './internals';

/** How long (ms) a moving camera must need a tile before it is asked for: a zoom passes many by. */
const NEEDED_MS = 120;
/** How many zooms finer a tile may be that stands for one that has not come. */
const FINER = 4;

const engine = Cesium3DTilesetTraversal;
const Tile = Cesium3DTile as unknown as new (tileset: unknown, resource: unknown, header: TileHeader, parent: ChosenTile) => ChosenTile;

/** What lies below a tile: headers of the next zoom, none at the last. */
export type Below = (tile: ChosenTile) => TileHeader[];

export class Choice {
  private drawn: ChosenTile[] = [];
  /** Whether a tile is needed that is not asked for yet. */
  waiting = false;
  private timer: number | undefined;
  /** Since when (ms) each is needed without a break, and the last frame that needed it. */
  private readonly needed = new WeakMap<ChosenTile, { since: number; frame: number }>();
  private readonly grown = new WeakSet<ChosenTile>();

  constructor(
    private readonly draw: () => void,
    private readonly below: Below = () => [],
  ) {}

  /** Lets the engine ask here what is drawn of a tileset. */
  governs(tileset: Cesium3DTileset): void {
    const own = tileset as unknown as ChosenTileset;
    const others = own.getTraversal.bind(own);
    // what is asked about the finest tiles there are is asked of the engine
    own.getTraversal = (pass) => (others(pass) === others({ pass: 0 }) ? this : others(pass));
  }

  selectTiles(tileset: ChosenTileset, frame: Frame): void {
    for (const list of [tileset._requestedTiles, tileset._selectedTiles, tileset._selectedTilesToStyle, tileset._emptyTiles]) list.length = 0;
    tileset.hasMixedContent = false;
    this.drawn = [];
    // what is under the pointer is a small part of the picture
    const whole = !frame.passes.pick;
    if (whole) this.waiting = false;
    const { root } = tileset;
    engine.updateTile(root, frame);
    if (!root.isVisible) return;
    this.cover(root, frame);
    for (const tile of this.drawn) {
      engine.selectTile(tile, frame);
      engine.touchTile(tile, frame);
    }
    for (const tile of tileset._requestedTiles) tile.updatePriority();
    if (!whole) return;
    // a camera at rest draws no picture by itself, in which they would be asked for
    clearTimeout(this.timer);
    if (this.waiting) this.timer = window.setTimeout(this.draw, NEEDED_MS);
  }

  /** Draws what there is of a tile that is in view; false where a part of it is missing. */
  private cover(tile: ChosenTile, frame: Frame): boolean {
    engine.visitTile(tile, frame);
    if (!this.isCoarse(tile)) return this.coverNeeded(tile, frame);
    const adds = tile.refine === Cesium3DTileRefine.ADD;
    // what is added to is drawn with what is added
    let whole = !adds || this.coverNeeded(tile, frame);
    const from = this.drawn.length;
    for (const child of tile.children) {
      engine.updateTile(child, frame);
      if (child.isVisible) whole = this.cover(child, frame) && whole;
    }
    if (adds || whole || !tile.contentAvailable) return whole;
    engine.touchTile(tile, frame);
    // finer ones that were seen a moment ago do not make way for a coarser one
    if (this.drawn.slice(from).some((one) => one._selectedFrame >= frame.frameNumber - 1)) return false;
    this.drawn.length = from;
    this.drawn.push(tile);
    return true;
  }

  private coverNeeded(tile: ChosenTile, frame: Frame): boolean {
    if (!tile.hasRenderableContent) return true;
    if (this.isNeededLong(tile, frame)) engine.loadTile(tile, frame);
    if (tile.contentUnloaded && tile._requestedFrame !== frame.frameNumber) this.waiting = true;
    engine.touchTile(tile, frame);
    if (tile.contentAvailable) {
      this.drawn.push(tile);
      return true;
    }
    return tile.contentFailed || (tile.refine === Cesium3DTileRefine.REPLACE && this.coverFiner(tile, frame, FINER));
  }

  /** Draws what has come of the zooms below. */
  private coverFiner(tile: ChosenTile, frame: Frame, deep: number): boolean {
    if (deep === 0 || tile.children.length === 0) return false;
    let whole = true;
    for (const child of tile.children) {
      engine.updateTile(child, frame);
      if (!child.isVisible) continue;
      if (child.contentAvailable) this.drawn.push(child);
      else whole = this.coverFiner(child, frame, deep - 1) && whole;
    }
    return whole;
  }

  /** Whether the view needs a finer zoom. */
  private isCoarse(tile: ChosenTile): boolean {
    if (tile.hasRenderableContent && tile._screenSpaceError <= tile.tileset.memoryAdjustedScreenSpaceError) return false;
    if (!this.grown.has(tile)) this.grow(tile);
    return tile.children.length > 0;
  }

  private grow(tile: ChosenTile): void {
    this.grown.add(tile);
    if (tile.children.length > 0) return;
    const { tileset } = tile;
    for (const header of this.below(tile)) {
      const child = new Tile(tileset, tileset.resource, header, tile);
      child._depth = tile._depth + 1;
      tile.children.push(child);
      tileset.statistics.numberOfTilesTotal += 1;
    }
  }

  private isNeededLong(tile: ChosenTile, { frameNumber, camera }: Frame): boolean {
    const now = performance.now();
    const known = this.needed.get(tile);
    const since = known && known.frame >= frameNumber - 1 ? known.since : now;
    this.needed.set(tile, { since, frame: frameNumber });
    return camera.timeSinceMoved * 1000 >= NEEDED_MS || now - since >= NEEDED_MS;
  }
}
