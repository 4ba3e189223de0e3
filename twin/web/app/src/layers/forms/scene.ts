/** Solids: a layer as 3D Tiles. */

import { Cesium3DTileColorBlendMode, CustomShader, Resource, type SplitDirection } from '@cesium/engine';
import type { LayerConfig } from '../../config';
import { ambientLight } from '../../map/scene';
import { Caps } from '../../map/caps';
import { openTree } from '../../map/tree';
import { onTerrain, type State } from '../../state';
import { isUnder, localUrl, type Form, type FormContext, type Look } from '../form';
import { storeyColors } from '../model-look';
import { sceneStyle } from '../style';
import { Tiled } from '../tiled';

class Solids extends Tiled {
  /** Of tubes both sides are drawn anyway, and a shader of their own makes them readable; models are small. */
  private readonly caps = this.layer.scene?.body !== 'prism' ? null : new Caps(this.tileset);

  override place(state: Readonly<State>): void {
    this.cutOut(state);
    this.caps?.show(state.section !== null);
  }

  split(direction: SplitDirection): void {
    this.tileset.splitDirection = direction;
  }

  style({ opacity, selected, unsaved, model, ...seen }: Look): void {
    // the colour of a storey is that of its legend, whatever the walls bring with them
    this.tileset.colorBlendMode = storeyColors(this.layer, model).length > 0 ? Cesium3DTileColorBlendMode.REPLACE : Cesium3DTileColorBlendMode.HIGHLIGHT;
    this.tileset.style = sceneStyle(this.layer, opacity, selected, unsaved, model, seen);
  }
}

/** A pipe is never thinner than so many pixels: a tube of 200 mm would be a broken hairline from 80 m on. */
const THINNEST = 3.5;
/** Metres: about the radius that a tube has anyway. */
const RADIUS = 0.1;

function readableTubes(): CustomShader {
  return new CustomShader({
    vertexShaderText: `
      void vertexMain(VertexInput vsInput, inout czm_modelVertexOutput vsOutput) {
        float metres = czm_metersPerPixel(czm_modelView * vec4(vsInput.attributes.positionMC, 1.0));
        float grown = max(0.0, ${(THINNEST / 2).toFixed(2)} * metres - ${RADIUS.toFixed(2)});
        vsOutput.positionMC += normalize(vsInput.attributes.normalMC) * grown;
      }`,
  });
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
  const look = {
    maximumScreenSpaceError: 16,
    imageBasedLighting: ambientLight(),
    environmentMapOptions: { enabled: false },
    cacheBytes: 128 * 1024 * 1024,
    maximumCacheOverflowBytes: 64 * 1024 * 1024,
    // a pipe seen from the other side of its own end is still a pipe
    backFaceCulling: layer.scene!.body !== 'tube',
  };
  const [tileset, choice] = await openTree(resource, look, () => context.scene.requestRender());
  if (layer.scene!.body === 'tube') tileset.customShader = readableTubes();
  return new Solids(layer, tileset, tileset, context.scene.primitives, context, choice);
}

const form: Form = {
  id: 'scene',
  folder: '3dtiles',
  offered: (layer) => layer.scene !== null,
  /** From above, and on a flattened ground, the outline stands for the layer; underground nothing stands on the street. */
  wanted(layer, state) {
    const terrain = onTerrain(state);
    if (state.mode === '2d' || terrain === false) return !layer.vector;
    // what is buried is not seen through the street, and costs its tiles all the same
    return isUnder(state) === layer.buried;
  },
  open,
};

export default form;
