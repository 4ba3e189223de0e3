import { svg, type TemplateResult } from 'lit';
import type { SensorState } from '../live/states';
import { levelColors, shapeOf, stateColor } from '../live/symbols';
import { color } from '../tokens';

/** The sign of a sensor state at text size; the word stands beside it. */
export function sensorSign(state: SensorState): TemplateResult {
  const hollow = state === 'stale';
  return svg`<svg class="sign" viewBox="-1 -1 18 18" aria-hidden="true">
    <path d=${shapeOf(state, 16)} fill=${hollow ? color('paper') : stateColor(state)} stroke=${hollow ? stateColor(state) : 'none'} stroke-width="1.5"></path>
  </svg>`;
}

export function levelSign(level: number): TemplateResult {
  const { fill, text } = levelColors(level);
  return svg`<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">
    <path d="M8 16C5.5 12.5 2.5 10 2.5 6.5a5.5 5.5 0 1 1 11 0C13.5 10 10.5 12.5 8 16Z" fill=${fill}></path>
    <text x="8" y="9" text-anchor="middle" font-size="7" font-weight="700" fill=${text}>${level}</text>
  </svg>`;
}
