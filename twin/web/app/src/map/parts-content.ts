/**
 * A vector tile of several parts as the engine's content: made ready, painted and put on the graphics card part by
 * part, between frames. The engine would do all of it within one. Private parts: `internals.d.ts`.
 */

import type { Cesium3DTileStyle, Scene } from '@cesium/engine';
import type { EngineTile, EngineTileset, FrameState, FramedScene, VectorContent } from './internals';
import { later, Slice } from './work';

/** About what a feature takes of the page's memory beside its bytes: objects to pick and to paint it. */
const FEATURE_BYTES = 500;

interface Part {
  readonly content: VectorContent;
  readonly features: number;
  readonly bytes: number;
}

/** In another style than the one that is wanted. */
type Stale = Set<Part>;

export class PartsContent {
  readonly ready = true;
  featurePropertiesDirty = false;
  metadata: unknown;
  group: unknown;
  readonly innerContents = undefined;
  readonly texturesByteLength = 0;
  private style: Cesium3DTileStyle | undefined;
  private readonly stale: Stale = new Set();
  private destroyed = false;

  private constructor(
    readonly tileset: EngineTileset,
    readonly tile: EngineTile,
    readonly url: string,
    private readonly parts: Part[],
  ) {}

  /** Resolves when all of it can be drawn at once. */
  static async made(scene: Scene, tileset: EngineTileset, tile: EngineTile, url: string, parts: Part[]): Promise<PartsContent> {
    const content = new PartsContent(tileset, tile, url, parts);
    content.style = tileset.style;
    const steps = [content.loaded, content.painted, content.loaded];
    let slice = new Slice();
    for (const part of parts) {
      for (const step of steps) {
        while (!content.destroyed && !tile.isDestroyed() && !(slice.free && step.call(content, part, scene))) {
          await later();
          slice = new Slice();
        }
        slice.add(part.features);
      }
    }
    // the engine forgets what is made for a tile that is gone
    if (tile.isDestroyed()) content.destroy();
    return content;
  }

  /** Lets a part make what it draws with, without drawing it. */
  private loaded({ content }: Part, scene: Scene): boolean {
    const { frameState } = scene as unknown as FramedScene;
    const { commandList, passes } = frameState;
    const { render } = passes;
    frameState.commandList = [];
    passes.render = true;
    try {
      content.update(this.tileset, frameState);
    } finally {
      frameState.commandList = commandList;
      passes.render = render;
    }
    return content.ready;
  }

  private painted({ content }: Part): boolean {
    if (this.style) content.applyStyle(this.style);
    return true;
  }

  private sum(of: (part: Part) => number): number {
    return this.parts.reduce((sum, part) => sum + of(part), 0);
  }

  get featuresLength(): number {
    return this.sum(({ features }) => features);
  }

  get pointsLength(): number {
    return this.sum(({ content }) => content.pointsLength);
  }

  get trianglesLength(): number {
    return this.sum(({ content }) => content.trianglesLength);
  }

  get geometryByteLength(): number {
    return this.sum(({ content }) => content.geometryByteLength);
  }

  get batchTableByteLength(): number {
    return this.sum(({ bytes, features }) => bytes + features * FEATURE_BYTES);
  }

  get batchTables(): unknown[] {
    return this.parts.flatMap(({ content }) => content.batchTables);
  }

  /** A feature is asked of the part that was picked. */
  getFeature(): undefined {
    return undefined;
  }

  hasProperty(): boolean {
    return false;
  }

  applyDebugSettings(): void {
    // tiles are not debugged by the engine's means
  }

  pick(): undefined {
    return undefined;
  }

  /** What is painted otherwise stays so until it is its turn. */
  applyStyle(style: Cesium3DTileStyle | undefined): void {
    if (!style || style === this.style) return;
    this.style = style;
    for (const part of this.parts) this.stale.add(part);
  }

  update(tileset: EngineTileset, frameState: FrameState): void {
    const slice = new Slice();
    for (const part of this.stale) {
      if (!slice.free) break;
      this.painted(part);
      this.stale.delete(part);
      slice.add(part.features);
    }
    if (this.stale.size > 0) frameState.afterRender.push(() => true);
    for (const { content } of this.parts) content.update(tileset, frameState);
  }

  isDestroyed(): boolean {
    return this.destroyed;
  }

  destroy(): void {
    this.destroyed = true;
    for (const { content } of this.parts) content.destroy();
    this.parts.length = 0;
  }
}
