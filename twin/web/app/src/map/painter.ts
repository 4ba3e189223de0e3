/**
 * Flat layers over one another, as a painter lays them on: each in its turn, over what is there, whatever the
 * depth buffer holds of the others. Areas of one height, within a layer or of two, would else fight for each
 * pixel. What stands on the ground still hides them, as they are tested against it.
 */

import {
  BlendingState,
  BufferPointCollection,
  BufferPolygonCollection,
  BufferPolylineCollection,
  DepthFunction,
  Pass,
  RenderState,
  type MVTDataProvider,
  type Scene,
} from '@cesium/engine';
import type { DrawCommand, FrameState } from './internals';

interface Member {
  shapes: MVTDataProvider;
  level: number;
}

/** Areas of a layer first, then lines, then points. */
const KINDS = [BufferPolygonCollection, BufferPolylineCollection, BufferPointCollection];

export class Painter {
  private members: Member[] = [];
  private readonly painted = RenderState.fromCache({
    blending: BlendingState.ALPHA_BLEND,
    depthTest: { enabled: true, func: DepthFunction.LESS_OR_EQUAL },
    depthMask: false,
  });
  /** As the engine would draw them. */
  private readonly tested = RenderState.fromCache({ blending: BlendingState.ALPHA_BLEND, depthTest: { enabled: true } });

  constructor(private readonly scene: Scene) {
    scene.primitives.add(this);
  }

  /** Under all others until it has its place. */
  add(shapes: MVTDataProvider): void {
    this.members.unshift({ shapes, level: 0 });
  }

  remove(shapes: MVTDataProvider): void {
    this.members = this.members.filter((one) => one.shapes !== shapes);
    shapes.destroy();
  }

  /** Its place among the layers, 0 the lowest. */
  place(shapes: MVTDataProvider, level: number): void {
    const member = this.members.find((one) => one.shapes === shapes);
    if (!member || member.level === level) return;
    member.level = level;
    this.members.sort((a, b) => a.level - b.level);
  }

  prePassesUpdate(frameState: FrameState): void {
    for (const { shapes } of this.members) shapes.prePassesUpdate(frameState);
  }

  updateForPass(frameState: FrameState, passState: unknown): void {
    for (const { shapes } of this.members) shapes.updateForPass(frameState, passState);
  }

  postPassesUpdate(frameState: FrameState): void {
    for (const { shapes } of this.members) shapes.postPassesUpdate(frameState);
  }

  update(frameState: FrameState): void {
    const { commandList } = frameState;
    for (const { shapes } of this.members) {
      const from = commandList.length;
      shapes.update(frameState);
      commandList.push(...this.arranged(commandList.splice(from) as DrawCommand[]));
    }
  }

  private arranged(commands: DrawCommand[]): DrawCommand[] {
    // over glass they are sorted with it, by distance
    const glass = this.scene.globe.translucency.enabled;
    const ranks = new Map(commands.map((command) => [command, KINDS.findIndex((kind) => command.owner instanceof kind)]));
    for (const [command, rank] of ranks) {
      if (rank < 0) continue;
      // commands that are opaque to the engine are drawn in the order in which they come
      command.pass = glass ? Pass.TRANSLUCENT : Pass.OPAQUE;
      command.renderState = glass ? this.tested : this.painted;
    }
    return commands.sort((a, b) => ranks.get(a)! - ranks.get(b)!);
  }

  isDestroyed(): boolean {
    return false;
  }

  destroy(): void {
    for (const { shapes } of this.members.splice(0)) shapes.destroy();
  }
}
