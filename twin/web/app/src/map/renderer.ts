/** What draws the map: a graphics card, or the processor in its stead. */

export interface Renderer {
  /** As the driver calls itself; empty where the browser hides it. */
  readonly name: string;
  /** The processor draws: each sample and each pixel costs the time of the page itself. */
  readonly software: boolean;
}

const SOFTWARE = /swiftshader|llvmpipe|softpipe|basic render|software|\bwarp\b/i;

export function isSoftware(name: string): boolean {
  return SOFTWARE.test(name);
}

/** Asked of a context of its own, which is given back at once; null where there is no WebGL 2. */
export function findRenderer(): Renderer | null {
  const context = document.createElement('canvas').getContext('webgl2');
  if (!context) return null;
  const unmasked = context.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL;
  const name = String(context.getParameter(unmasked ?? context.RENDERER) ?? '');
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return { name, software: isSoftware(name) };
}

export interface Quality {
  /** Pixels drawn for each CSS pixel, along one side. */
  readonly scale: number;
  /** Samples of a pixel where edges cross it. */
  readonly samples: number;
}

/** More than two pixels for one are not seen, and each costs its square; a processor has less to give. */
const MOST_SCALE = 2;
const MOST_SCALE_SOFTWARE = 1.5;
/** From here on pixels are smaller than the steps of an edge. */
const FINE = 1.5;

/** As sharp as the screen whose pixels stand in that ratio to those of CSS; a processor draws each once. */
export function quality(ratio: number, software: boolean): Quality {
  const scale = Math.min(ratio, software ? MOST_SCALE_SOFTWARE : MOST_SCALE);
  return { scale, samples: software ? 1 : scale >= FINE ? 2 : 4 };
}
