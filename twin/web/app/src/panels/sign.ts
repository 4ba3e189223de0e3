import { svg, type TemplateResult } from 'lit';
import { COLORS, LEVEL_COLORS, shapeOf, type SensorState } from '../live/symbols';

/** The sign of a sensor state at text size; the word stands beside it. */
export function sensorSign(state: SensorState): TemplateResult {
  const hollow = state === 'stale';
  return svg`<svg class="sign" viewBox="-1 -1 18 18" aria-hidden="true">
    <path d=${shapeOf(state, 16)} fill=${hollow ? '#fff' : COLORS[state]} stroke=${hollow ? COLORS.stale : 'none'} stroke-width="1.5"></path>
  </svg>`;
}

export function levelSign(level: number): TemplateResult {
  return svg`<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">
    <path d="M8 16C5.5 12.5 2.5 10 2.5 6.5a5.5 5.5 0 1 1 11 0C13.5 10 10.5 12.5 8 16Z" fill=${LEVEL_COLORS[level] ?? COLORS.ok}></path>
    <text x="8" y="9" text-anchor="middle" font-size="7" font-weight="700" fill=${level === 3 ? '#20262c' : '#fff'}>${level}</text>
  </svg>`;
}
