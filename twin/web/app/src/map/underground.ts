/** Underground mode: the ground becomes glass, so that pipes are seen where they lie. */

import type { Scene } from '@cesium/engine';
import type { State, Store } from '../state';

const GROUND_ALPHA = 0.35;

export function followUnderground(scene: Scene, store: Store): void {
  const apply = (state: Readonly<State>): void => {
    const { translucency } = scene.globe;
    translucency.enabled = state.underground && state.mode === '3d';
    translucency.frontFaceAlpha = GROUND_ALPHA;
    scene.requestRender();
  };
  store.subscribe((state, changed) => {
    if (changed.has('underground') || changed.has('mode')) apply(state);
  });
  apply(store.get());
}
