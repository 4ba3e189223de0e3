/** The last 24 hours of a datastream as a line, with its thresholds. */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { getJson } from '../../api';
import type { Threshold } from '../../config';
import { clock, dateTime, decimal, t } from '../../i18n';
import { stateColor } from '../../live/symbols';
import { color } from '../../tokens';

export const DAY_MS = 86_400_000;
const PAGE = 1000;
const MAX_PAGES = 50;

export interface Series {
  times: number[];
  values: (number | null)[];
}

interface DataArray {
  value: { components: string[]; dataArray: unknown[][] }[];
  '@iot.nextLink'?: string;
}

/** SensorThings writes an interval as start/end. */
function milliseconds(time: unknown): number {
  return Date.parse(String(time).split('/')[0]!);
}

/** Observations since a time, ascending; seconds and values as the chart takes them. */
export async function observations(datastream: number, since: number, signal: AbortSignal): Promise<Series> {
  const query = new URLSearchParams({
    $filter: `phenomenonTime ge ${new Date(since).toISOString()}`,
    $orderby: 'phenomenonTime asc',
    $select: 'phenomenonTime,result',
    $top: String(PAGE),
    resultFormat: 'dataArray',
  });
  const series: Series = { times: [], values: [] };
  let url: string | undefined = `sta/v1.1/Datastreams(${datastream})/Observations?${query}`;
  for (let page = 0; url && page < MAX_PAGES; page += 1) {
    const answer: DataArray = await getJson<DataArray>(url, { signal });
    for (const { components, dataArray } of answer.value) {
      const at = components.indexOf('phenomenonTime');
      const result = components.indexOf('result');
      for (const row of dataArray) {
        series.times.push(milliseconds(row[at]) / 1000);
        series.values.push(typeof row[result] === 'number' ? row[result] : null);
      }
    }
    const next: string | undefined = answer['@iot.nextLink'];
    // the public address of the server may be another than the one this page was opened at
    url = next && `sta/v1.1${next.slice(next.indexOf('/sta/v1.1') + 9)}`;
  }
  return series;
}

/** Breaks the line where the sensor was silent: a straight line would claim values that nobody measured. */
export function withGaps(series: Series, period: number): Series {
  const out: Series = { times: [], values: [] };
  series.times.forEach((time, i) => {
    const before = series.times[i - 1];
    if (before !== undefined && period > 0 && time - before > 3 * period) {
      out.times.push((time + before) / 2);
      out.values.push(null);
    }
    out.times.push(time);
    out.values.push(series.values[i] ?? null);
  });
  return out;
}

function range(values: (number | null)[], thresholds: Threshold[]): [number, number] {
  const all = [...values.filter((v): v is number => v !== null), ...thresholds.map((one) => one.raise)];
  if (all.length === 0) return [0, 1];
  const low = Math.min(...all);
  const high = Math.max(...all);
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - margin, high + margin];
}

function drawThresholds(plot: uPlot, thresholds: Threshold[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const threshold of thresholds) {
    const y = Math.round(plot.valToPos(threshold.raise, 'y', true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = stateColor(threshold.level);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

export function drawChart(host: HTMLElement, series: Series, unit: string, thresholds: Threshold[]): uPlot {
  const axis = { stroke: color('soft'), font: '11px system-ui, sans-serif', grid: { stroke: color('grid'), width: 1 } };
  const options: uPlot.Options = {
    width: Math.max(host.clientWidth, 240),
    height: 190,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { show: true, live: true },
    scales: {
      x: { time: true },
      y: { range: () => range(series.values, thresholds) },
    },
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1000)) },
      { ...axis, size: 46, values: (_plot, ticks) => ticks.map((tick) => decimal(tick)) },
    ],
    series: [
      { value: (_plot, at) => (at === null ? '' : dateTime(at * 1000)), label: t('chart.time') },
      {
        label: unit || t('chart.value'),
        stroke: color('accent'),
        width: 1.5,
        points: { show: false },
        value: (_plot, value) => (value === null ? '–' : decimal(value, 3)),
      },
    ],
    hooks: { draw: [(plot) => drawThresholds(plot, thresholds)] },
  };
  return new uPlot(options, [series.times, series.values], host);
}
