/** Values along a line as a chart. */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { decimal, t, titleOf } from '../../i18n';
import type { BandValues } from '../../layers/values';
import { color } from '../../tokens';

const STROKES = ['accent', 'red', 'live'] as const;

/** Metres, or kilometres from one on. */
export function length(metres: number): string {
  return metres < 1000 ? `${decimal(metres, 0)} m` : `${decimal(metres / 1000, 2)} km`;
}

export interface Span {
  low: number;
  high: number;
  /** Metres, or units, that the way goes up and down. */
  up: number;
  down: number;
}

/** What there is to say of values in a row; null where there are none. */
export function spanOf(values: readonly (number | null)[]): Span | null {
  const there = values.filter((value): value is number => value !== null);
  if (there.length === 0) return null;
  const steps = there.slice(1).map((value, i) => value - there[i]!);
  const sum = (signed: number): number => steps.reduce((total, step) => total + Math.max(step * signed, 0), 0);
  return { low: Math.min(...there), high: Math.max(...there), up: sum(1), down: sum(-1) };
}

export function drawProfile(host: HTMLElement, distances: number[], bands: readonly BandValues[], looked: (i: number | null) => void): uPlot {
  const axis = { stroke: color('soft'), font: '11px system-ui, sans-serif', grid: { stroke: color('grid'), width: 1 } };
  const options: uPlot.Options = {
    width: Math.max(host.clientWidth, 240),
    height: 180,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { show: true, live: true },
    scales: { x: { time: false } },
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map(length) },
      { ...axis, size: 52, values: (_plot, ticks) => ticks.map((tick) => decimal(tick)) },
    ],
    series: [
      { label: t('profile.distance'), value: (_plot, at) => (at === null ? '' : length(at)) },
      ...bands.map(({ title, name, unit }, i) => ({
        label: [titleOf(title, name), unit].filter(Boolean).join(', '),
        stroke: color(STROKES[i % STROKES.length]!),
        width: 1.5,
        points: { show: false },
        value: (_plot: uPlot, value: number | null) => (value === null ? '–' : decimal(value)),
      })),
    ],
    hooks: { setCursor: [(plot) => looked(plot.cursor.idx ?? null)] },
  };
  return new uPlot(options, [distances, ...bands.map(({ values }) => values)], host);
}
