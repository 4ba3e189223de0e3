/** The signs of what is new, gone, moved and changed, on the map and in lists. */

import { svg, type TemplateResult } from 'lit';
import { color } from '../tokens';
import type { Kind } from './changes';

/** The strokes of a sign, in units of its radius; new, gone, moved, changed. */
export const STROKES: Readonly<Record<Kind, readonly (readonly [number, number, number, number])[]>> = {
  added: [[-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]],
  removed: [[-0.5, 0, 0.5, 0]],
  moved: [[-0.5, 0, 0.5, 0], [0.1, -0.4, 0.5, 0], [0.1, 0.4, 0.5, 0]],
  changed: [[-0.5, -0.2, 0.5, -0.2], [-0.5, 0.25, 0.5, 0.25], [-0.25, 0.55, 0.25, -0.55]],
};

/** At text size; the word stands beside it. */
export function changeSign(kind: Kind): TemplateResult {
  const path = STROKES[kind].map(([x1, y1, x2, y2]) => `M${8 + 8 * x1} ${8 + 8 * y1}L${8 + 8 * x2} ${8 + 8 * y2}`).join('');
  return svg`<svg class="sign" viewBox="0 0 16 16" aria-hidden="true" data-change=${kind}>
    <circle cx="8" cy="8" r="8" fill=${color(kind)}></circle>
    <path d=${path} stroke=${color('halo')} stroke-width="2" stroke-linecap="round"></path>
  </svg>`;
}
