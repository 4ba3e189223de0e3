/**
 * Pictures on the globe are freed when a frame begins. The engine frees one as soon as another has taken its
 * place, at the end of a frame; a pick before the next frame draws with the commands of the last one, and so
 * with textures that are gone. Private parts: `internals.d.ts`.
 */

import { Imagery, type Scene } from '@cesium/engine';
import type { EngineImagery } from './internals';

/** In place of a layer that was taken from the globe meanwhile: it answers nothing any more. */
const NO_LAYER = { isDestroyed: () => false, removeImageryFromCache: () => undefined };

/** Holds what is let go of in one frame until the next begins, which draws without it. */
export function freeWithFrames(scene: Scene): void {
  const release = Imagery.prototype.releaseReference;
  const left: EngineImagery[] = [];
  let freeing = false;
  Imagery.prototype.releaseReference = function (this: EngineImagery): number {
    if (!freeing && this.referenceCount === 1) {
      left.push(this);
      return 1;
    }
    // freed pictures let go of coarser ones of the same layer
    if (this.imageryLayer.isDestroyed()) this.imageryLayer = NO_LAYER;
    return release.call(this);
  };
  scene.preRender.addEventListener(() => {
    freeing = true;
    for (const imagery of left.splice(0)) imagery.releaseReference();
    freeing = false;
  });
}
