/**
 * Caps of cut bodies. Through the plane that cuts a closed body one sees its inner side where the plane lies within it,
 * and nowhere else: inner sides in one flat, hatched colour are its cap, to the pixel, however the body is made.
 */

import { Cartesian3, Color, CustomShader, UniformType, type Cesium3DTileset } from '@cesium/engine';
import { color, linear, mixed } from '../tokens';

/** Pixels of the screen from one hatch to the next. */
const HATCH = 9;
const LIGHTER = 0.35;

function channels(hex: string): Cartesian3 {
  const { red, green, blue } = Color.fromCssColorString(linear(hex));
  return new Cartesian3(red, green, blue);
}

function shader(): CustomShader {
  return new CustomShader({
    uniforms: {
      u_cap: { type: UniformType.VEC3, value: new Cartesian3() },
      u_hatch: { type: UniformType.VEC3, value: new Cartesian3() },
    },
    fragmentShaderText: `
      void fragmentMain(FragmentInput fsInput, inout czm_modelMaterial material) {
        if (!gl_FrontFacing) {
          float across = mod(gl_FragCoord.x + gl_FragCoord.y, ${HATCH.toFixed(1)} * czm_pixelRatio);
          material.diffuse = vec3(0.0);
          material.specular = vec3(0.0);
          material.emissive = across < 1.5 * czm_pixelRatio ? u_hatch : u_cap;
        }
      }`,
  });
}

/** The caps of one tileset: there while it is cut. */
export class Caps {
  private readonly shader = shader();

  constructor(private readonly tileset: Cesium3DTileset) {}

  show(cut: boolean): void {
    const { tileset } = this;
    const fill = color('cap');
    this.shader.setUniform('u_cap', channels(fill));
    this.shader.setUniform('u_hatch', channels(mixed(fill, '#ffffff', LIGHTER)));
    tileset.backFaceCulling = !cut;
    (tileset as { customShader: CustomShader | undefined }).customShader = cut ? this.shader : undefined;
  }
}
