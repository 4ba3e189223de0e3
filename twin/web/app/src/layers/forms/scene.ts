/** Solids: a layer as 3D Tiles. */

import { Cesium3DTileset, Resource } from '@cesium/engine';
import type { LayerConfig } from '../../config';
import { ambientLight } from '../../map/scene';
import { isUnder, localUrl, type Form, type FormContext, type Look } from '../form';
import { sceneStyle } from '../style';
import { Tiled } from '../tiled';

class Solids extends Tiled {
  style({ opacity, selected }: Look): void {
    this.tileset.style = sceneStyle(this.layer, opacity, selected);
  }
}

async function open(layer: LayerConfig, context: FormContext): Promise<Solids> {
  const resource = new Resource({
    url: context.url(layer, localUrl(layer.scene!.url)),
    retryAttempts: 3,
    retryCallback: async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return true;
    },
  });
  const tileset = await Cesium3DTileset.fromUrl(resource, {
    maximumScreenSpaceError: 16,
    imageBasedLighting: ambientLight(),
    environmentMapOptions: { enabled: false },
    cacheBytes: 128 * 1024 * 1024,
    maximumCacheOverflowBytes: 64 * 1024 * 1024,
    // a pipe seen from the other side of its own end is still a pipe
    backFaceCulling: layer.scene!.body !== 'tube',
  });
  return new Solids(layer, tileset, tileset, context);
}

const form: Form = {
  id: 'scene',
  folder: '3dtiles',
  offered: (layer) => layer.scene !== null,
  /** From above the outline stands for the layer; underground nothing stands on the street. */
  wanted: (layer, state) => (state.mode === '2d' ? !layer.vector : layer.buried || !isUnder(state)),
  open,
};

export default form;
