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
  SplitDirection,
  type MVTDataProvider,
  type Scene,
} from '@cesium/engine';
import type { DrawCommand, FrameState } from './internals';

interface Member {
  shapes: MVTDataProvider;
  level: number;
}

const PAINTED = { blending: BlendingState.ALPHA_BLEND, depthTest: { enabled: true, func: DepthFunction.LESS_OR_EQUAL }, depthMask: false };
/** As the engine would draw them. */
const TESTED = { blending: BlendingState.ALPHA_BLEND, depthTest: { enabled: true } };

/** The same within a part of the canvas, and what was asked for to have them. */
interface Cut {
  mark: string;
  asked: object[];
  painted: object;
  tested: object;
}

/** Areas of a layer first, then lines, then points. */
const KINDS = [BufferPolygonCollection, BufferPolylineCollection, BufferPointCollection];

export class Painter {
  private members: Member[] = [];
  private readonly painted = RenderState.fromCache(PAINTED);
  private readonly tested = RenderState.fromCache(TESTED);

  /** The side of the divide on which it paints. */
  direction: SplitDirection = SplitDirection.NONE;
  private cut: Cut | null = null;

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
    const cut = this.cutOff();
    const ranks = new Map(commands.map((command) => [command, KINDS.findIndex((kind) => command.owner instanceof kind)]));
    for (const [command, rank] of ranks) {
      if (rank < 0) continue;
      // commands that are opaque to the engine are drawn in the order in which they come
      command.pass = glass ? Pass.TRANSLUCENT : Pass.OPAQUE;
      command.renderState = cut ? (glass ? cut.tested : cut.painted) : glass ? this.tested : this.painted;
    }
    return commands.sort((a, b) => ranks.get(a)! - ranks.get(b)!);
  }

  /** The engine divides models and pictures, but no shapes: they are painted within a part of the canvas. */
  private cutOff(): Cut | null {
    const { direction, scene } = this;
    const { drawingBufferWidth: width, drawingBufferHeight: height, splitPosition } = scene as Scene & Record<'drawingBufferWidth' | 'drawingBufferHeight', number>;
    const at = Math.round(splitPosition * width);
    const mark = `${direction} ${at} ${width} ${height}`;
    if (this.cut?.mark === mark) return this.cut;
    for (const old of this.cut?.asked ?? []) RenderState.removeFromCache(old);
    this.cut = null;
    if (direction === SplitDirection.NONE) return null;
    const left = direction === SplitDirection.LEFT;
    const scissorTest = { enabled: true, rectangle: { x: left ? 0 : at, y: 0, width: left ? at : width - at, height } };
    const asked = [PAINTED, TESTED].map((state) => ({ ...state, scissorTest }));
    const [painted, tested] = asked.map((state) => RenderState.fromCache(state)) as [object, object];
    this.cut = { mark, asked, painted, tested };
    return this.cut;
  }

  isDestroyed(): boolean {
    return false;
  }

  destroy(): void {
    for (const { shapes } of this.members.splice(0)) shapes.destroy();
  }
}
