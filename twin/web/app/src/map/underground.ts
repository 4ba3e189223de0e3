/** Underground mode: the ground becomes glass, so that pipes are seen where they lie. */

import { Color, type Scene } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import { onTerrain, type Store } from '../state';
import { color } from '../tokens';
import { closeSeams } from './glass';

const GROUND_ALPHA = 0.35;

export function followUnderground(scene: Scene, store: Store): void {
  const { translucency } = scene.globe;
  translucency.frontFaceAlpha = GROUND_ALPHA;
  const isGlassTerrain = (): boolean => translucency.enabled && onTerrain(store.get()) === true;
  closeSeams(scene, isGlassTerrain);
  effect(() => {
    const { underground, mode } = store.get();
    translucency.enabled = underground && mode === '3d';
    // behind a terrain as glass nothing is drawn: the dark is the background's
    scene.backgroundColor = isGlassTerrain() ? Color.BLACK : Color.fromCssColorString(color('sky'));
    scene.requestRender();
  });
}
