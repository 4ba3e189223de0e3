/**
 * Terrain as glass without seams. The engine draws glass without the skirts that close the cracks between tiles
 * of two levels, as each skirt would be blended once more. Here the nearest of everything, skirts among it, is
 * found first, and only that is blended. Private parts: `internals.d.ts`.
 */

import { DepthFunction, Pass, RenderState, type Scene } from '@cesium/engine';
import type { GlassCommand, GlobeTranslucencyState } from './internals';

/** The same, drawn where something is as near already. */
function asNear(command: GlassCommand, known: Map<object, object>): object {
  const { renderState } = command;
  let state = known.get(renderState);
  if (!state) {
    state = RenderState.fromCache({ ...RenderState.getState(renderState), depthTest: { enabled: true, func: DepthFunction.LESS_OR_EQUAL } });
    known.set(renderState, state).set(state, state);
  }
  return state;
}

/** Closes the seams of the globe as glass while `isTerrain` says so. */
export function closeSeams(scene: Scene, isTerrain: () => boolean): void {
  const state = (scene as unknown as { _globeTranslucencyState: GlobeTranslucencyState })._globeTranslucencyState;
  const derive = state.updateDerivedCommands.bind(state);
  const near = new Map<object, object>();
  state.updateDerivedCommands = (command, frameState) => {
    derive(command, frameState);
    const { depthOnlyFrontFaceCommand: depth, translucentFrontFaceCommand: front, opaqueBackFaceCommand: back } =
      command.derivedCommands.globeTranslucency ?? {};
    if (!depth || !front || !back || !isTerrain()) return;
    const whole = command.owner.data.renderedMesh.indices.length;
    // after the bodies under the ground, before what is blended
    Object.assign(depth, { pass: Pass.OPAQUE, count: whole });
    Object.assign(front, { renderState: asNear(front, near), count: whole });
    // the far side of the Earth, cracks and all: the background is as dark
    back.count = 0;
  };
}
