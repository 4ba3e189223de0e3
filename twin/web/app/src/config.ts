/** What the server says of the city: the shape of /config.json. */

import { signal } from '@preact/signals-core';

export type Lang = 'zh-CN' | 'en';
export type Titles = Partial<Record<string, string>>;
export type Severity = 'red' | 'orange' | 'yellow' | 'blue';

export type Edit = 'create' | 'update' | 'delete';

export interface FieldConfig {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date' | 'datetime' | 'array';
  title: Titles;
  unit: string | null;
  codes?: Record<string, Titles>;
  /** The store computes it. */
  readOnly?: boolean;
}

export interface LegendEntry {
  title: Titles;
  color: string;
  value?: string;
  assumed?: boolean;
}

export interface LayerStyle {
  color: { property: string | null; values: Record<string, string>; default: string };
  width?: number;
  /** By the value that tells the colour. */
  widths?: Record<string, number>;
  size?: number;
  /** The property that tells how much a feature matters: the values of each rank from the highest down, or the least number of each. */
  rank?: { property: string; values: string[][]; least: number[] } | null;
  /** Of its areas the lines around them are meant. */
  bounds?: boolean;
  legend: LegendEntry[];
  assumed?: { property: string; values: string[] } | null;
  /** The properties whose first filled one is written on the map, seen from so far to so far in metres, of each rank half as far as
   * of the one above it; only from above where it says so. */
  label?: string[];
  labelFrom?: number;
  labelWithin?: number;
  labelFlat?: boolean;
}

export interface BandConfig {
  /** As the server calls it in requests. */
  name: string;
  title: Titles | string | null;
  unit: string | null;
  /** The least and the greatest value; null where nobody counted. */
  min: number | null;
  max: number | null;
}

/** How the pixels of a raster become colours; what is left out is as the server finds it best. */
export interface RasterLook {
  colormap?: string | null;
  /** The values of the first and the last colour. */
  range?: readonly [low: number, high: number] | null;
  /** One band, or three for red, green and blue: their numbers from 1. */
  bands?: readonly number[] | null;
  hillshade?: boolean | null;
  /** One of the layer's times. */
  time?: string | null;
}

/** What a raster offers as a picture. */
export interface RasterConfig {
  url: string;
  minzoom: number;
  maxzoom: number;
  bands: BandConfig[];
  colormaps: string[];
  times: string[];
  style: RasterLook & { opacity?: number };
}

/** How opaque a layer is drawn before anybody chose. */
export function usualOpacity({ raster }: LayerConfig): number {
  return raster?.style.opacity ?? 1;
}

/** The city's ground as quantized-mesh tiles; `layer` is the DEM that they are made of. */
export interface TerrainConfig {
  url: string;
  layer: string;
}

export interface StoreyConfig {
  /** 1 stands on the ground, -1 is the first below it. */
  no: number;
  title: string;
  /** Metres over the building's zero. */
  elevation: number | null;
}

/** What is seen of a building model; what is left out is as usual. */
export interface ModelLook {
  /** The number of the storey that is looked at; null for all. */
  storey?: number | null;
  /** With those below it. */
  below?: boolean;
  /** The categories that are not shown. */
  hidden?: readonly string[];
  /** Each storey has a colour of its own. */
  byStorey?: boolean;
}

/** What can be chosen of a building model. */
export interface ModelChoices {
  /** Those of its features, from the lowest to the highest; absent where they have none. */
  storeys?: StoreyConfig[];
  /** The codes of the categories of its features. */
  categories?: string[];
}

export interface LayerConfig extends ModelChoices {
  id: string;
  kind: string;
  group: string | Titles;
  /** `features`, `coverage`, `surface`, `scene`. */
  form?: string;
  title: Titles;
  geometryType: string;
  count: number;
  extent: [number, number, number, number] | null;
  visible: boolean;
  /** It lies under the ground: seen in underground mode, hidden by the street otherwise. */
  buried: boolean;
  /** Ways to call a feature, best first: the fields of the first whose first field is filled. */
  label: string[][];
  /** What may be done to its features; nothing to those of a view, or of a table that the server may only read. */
  edits: readonly Edit[];
  fields: FieldConfig[];
  style: LayerStyle;
  vector: { url: string; minzoom: number; maxzoom: number } | null;
  /** `painted`: the bodies bring their own colours. */
  scene: { url: string; body: 'prism' | 'tube' | 'model'; painted: boolean } | null;
  /** Absent or null where it is no raster. */
  raster?: RasterConfig | null;
  /** 3D content that somebody else made: its tileset, and what is cut out of it; absent or null elsewhere. */
  registered?: { url: string; areas: string } | null;
  /** Of which layer it is a model version; absent where it is none. */
  version?: { of: string; number: number; name: string };
  /** Where to ask for a feature's parts and whole, with {fid}; null where it can have none. */
  related: string | null;
}

export interface Threshold {
  level: Severity;
  side: 'above' | 'below';
  raise: number;
  clear: number;
}

export interface ObservedPropertyConfig {
  title: Titles;
  unit: string;
  period: number;
  thresholds: Threshold[];
}

export interface CityConfig {
  title: Titles;
  languages: Lang[];
  timeZone: string;
  view: { lon: number; lat: number; height: number; heading: number; pitch: number };
  surroundings: [number, number, number, number];
  ground: number;
  /** Absent or null where the ground is a smooth ellipsoid. */
  terrain?: TerrainConfig | null;
  /** Why there is none where the city is to stand on terrain, for the log; absent where there is nothing to tell. */
  terrainMissing?: string | null;
  credits: { text: string; url?: string | null }[];
  mapApprovalNo: string | null;
  layers: LayerConfig[];
  /** The earliest instant that is kept of the city; null where that is not known. */
  kept: string | null;
  /** Why no layer can be read at this moment, for the log; absent where they can. */
  unavailable?: string;
  levels: { id: string; title?: Titles }[];
  workflow: { states: Record<string, { title: Titles; final?: boolean }>; actions: Record<string, { title: Titles; note?: string }> };
  thresholds: Record<string, ObservedPropertyConfig>;
  stream: string;
}

export async function fetchConfig(): Promise<CityConfig> {
  const response = await fetch('config.json', { headers: { Accept: 'application/json' } });
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  return (await response.json()) as CityConfig;
}

/** The same object, whose list of layers is followed by whoever reads it while drawing. */
export function followLayers(config: CityConfig): CityConfig {
  const layers = signal(config.layers);
  return Object.defineProperty(config, 'layers', {
    get: () => layers.value,
    set: (value: LayerConfig[]) => {
      layers.value = value;
    },
    enumerable: true,
  });
}
