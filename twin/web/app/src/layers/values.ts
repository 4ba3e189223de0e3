/** What rasters hold at a place and along a line, asked of the server (OGC API EDR 1.1, clause 8.2). */

import { computed, type ReadonlySignal } from '@preact/signals-core';
import { getJson } from '../api';
import type { CityConfig, LayerConfig, Titles } from '../config';
import type { Place } from '../place';
import type { State } from '../state';
import { isRaster, rasterOrder } from './order';
import { drawnBands, lookOf } from './raster-look';

/** Of one band: a value for each place, null where there is none. */
export interface BandValues {
  name: string;
  title: Titles | string;
  unit: string;
  values: (number | null)[];
}

interface CoverageJson {
  domain?: { axes: { composite?: { values: [lon: number, lat: number][] } } };
  parameters: Record<string, { observedProperty?: { label?: Titles | string }; unit?: { symbol?: string | { value?: string } } }>;
  ranges: Record<string, { values: (number | null)[] }>;
}

function read({ parameters, ranges }: CoverageJson): BandValues[] {
  return Object.entries(ranges).map(([name, { values }]) => {
    const { observedProperty, unit } = parameters[name] ?? {};
    const symbol = unit?.symbol;
    return {
      name,
      title: observedProperty?.label ?? name,
      unit: (typeof symbol === 'object' ? symbol.value : symbol) ?? '',
      values,
    };
  });
}

/** What is asked of a layer wherever it is: its bands and time, not how it is drawn. */
export interface Question {
  readonly layer: LayerConfig;
  /** As a query. */
  readonly parameters: string;
}

export function questionOf(layer: LayerConfig, state: Readonly<State>): Question {
  const look = lookOf(layer, state.layers[layer.id]);
  const parameters = new URLSearchParams();
  const { raster } = layer;
  const names = raster ? drawnBands(raster, look).flatMap((number) => raster.bands[number - 1]?.name ?? []) : [];
  if (raster && raster.bands.length > 1 && names.length > 0) parameters.set('parameter-name', names.join(','));
  if (look.time) parameters.set('datetime', look.time);
  return { layer, parameters: parameters.toString() };
}

export function isSameQuestion(one: Question | null, other: Question | null): boolean {
  return one?.layer === other?.layer && one?.parameters === other?.parameters;
}

/** What is made of signals, told only where it is another than before. */
export function steady<T>(make: () => T, isSame: (one: T, other: T) => boolean): ReadonlySignal<T> {
  let last: { value: T } | null = null;
  return computed(() => {
    const value = make();
    if (last === null || !isSame(last.value, value)) last = { value };
    return last.value;
  });
}

const digits = (degrees: number): string => degrees.toFixed(7);

function query(coords: string, { parameters }: Question): string {
  return [new URLSearchParams({ coords }).toString(), parameters].filter(Boolean).join('&');
}

/** The bands that are drawn, at one place. */
export async function valuesAt(question: Question, [lon, lat]: Place, signal: AbortSignal): Promise<BandValues[]> {
  const coords = `POINT(${digits(lon)} ${digits(lat)})`;
  return read(await getJson<CoverageJson>(`ogc/collections/${question.layer.id}/position?${query(coords, question)}`, { signal }));
}

/** The bands that are drawn, at places along a line as close as the cells lie, its corners among them. */
export async function valuesAlong(
  question: Question,
  line: readonly Place[],
  signal: AbortSignal,
): Promise<{ places: Place[]; bands: BandValues[] }> {
  const coords = `LINESTRING(${line.map(([lon, lat]) => `${digits(lon)} ${digits(lat)}`).join(',')})`;
  const answer = await getJson<CoverageJson>(`ogc/collections/${question.layer.id}/trajectory?${query(coords, question)}`, { signal });
  return { places: answer.domain?.axes.composite?.values ?? [], bands: read(answer) };
}

/** The layers that can be asked: the rasters that are shown, the highest first, then the terrain. */
export function asked(config: CityConfig, state: Readonly<State>): LayerConfig[] {
  const shown = rasterOrder(config.layers, state.rasters).filter(({ id }) => state.layers[id]?.visible);
  const ground = config.layers.find((layer) => layer.id === config.terrain?.layer && isRaster(layer));
  return ground && !shown.includes(ground) ? [...shown, ground] : shown;
}
