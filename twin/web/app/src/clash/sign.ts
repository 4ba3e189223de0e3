/** The signs of the two that clash: what is new, and what it is in the way of; each has a shape beside its colour. */

import { svg, type TemplateResult } from 'lit';
import { color } from '../tokens';

const SHAPES = { clash: 'M8 1L15 8L8 15L1 8Z', obstacle: 'M2 2H14V14H2Z' } as const;

/** At text size; the word stands beside it. */
export function clashSign(as: keyof typeof SHAPES): TemplateResult {
  return svg`<svg class="sign" viewBox="0 0 16 16" aria-hidden="true" data-clash-sign=${as}>
    <path d=${SHAPES[as]} fill=${color(as)}></path>
  </svg>`;
}
