/** When the picture is complete: asked for by tests and by whoever takes a screenshot. */

import type { Scene } from '@cesium/engine';

/** Resolves after the next drawn frame. */
export function frame(scene: Scene): Promise<void> {
  return new Promise((resolve) => {
    const stop = scene.postRender.addEventListener(() => {
      stop();
      resolve();
    });
    scene.requestRender();
  });
}

/** Resolves when the globe and what is `settled` have loaded what the view needs. */
export async function sceneReady(scene: Scene, settled: () => boolean, timeout = 60_000): Promise<void> {
  const end = performance.now() + timeout;
  let calm = 0;
  // two calm frames: a tileset that was just shown has not asked for anything yet
  while (calm < 2) {
    if (performance.now() > end) throw new Error('the scene did not become ready in time');
    await frame(scene);
    const loaded = scene.globe.tilesLoaded && settled();
    calm = loaded ? calm + 1 : 0;
    if (!loaded) await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
