/** What stands for several features of a layer, as tiles of far views have it (`tiles/levels/merged.py`). */

export interface Group {
  layer: string;
  count: number;
  /** Selects exactly its members: CQL2 text. */
  filter: string;
  /** How many of each class there are, the most first; `null` is the rest. */
  classes: readonly { value: string | null; count: number }[];
  /** Of a block in 3D: its heights (m), and where its members are listed. */
  block?: { height: number; highest: number; members: string };
}

const CLASS = /^group_count_(.+)$/;

/** Whether a feature of a tile stands for several. */
export function isGroup(properties: Readonly<Record<string, unknown>>): boolean {
  return typeof properties['group_filter'] === 'string' && properties['group_filter'] !== '' && Number(properties['group_count']) > 0;
}

export function groupOf(layer: string, properties: Readonly<Record<string, unknown>>): Group | null {
  if (!isGroup(properties)) return null;
  const classes = Object.entries(properties).flatMap(([name, count]) => {
    const value = CLASS.exec(name)?.[1];
    return value && Number(count) > 0 ? [{ value: value === 'other' ? null : value, count: Number(count) }] : [];
  });
  classes.sort((a, b) => b.count - a.count);
  return { layer, count: Number(properties['group_count']), filter: String(properties['group_filter']), classes };
}

/** The block of a 3D tile (`tiles/scene/blocks.py`) as a group of what it stands for. */
export function blockOf(layer: string, carried: Readonly<Record<string, unknown>>): Group | null {
  const [z, x, y, above, count] = ['cell_z', 'cell_x', 'cell_y', 'above', 'count'].map((name) => Number(carried[name]));
  if (!Number.isInteger(z) || !Number(count)) return null;
  const members = `3dtiles/${layer}/members/${z}/${x}/${y}.json?above=${above}`;
  const block = { height: Number(carried['height']), highest: Number(carried['highest']), members };
  return { layer, count: Number(count), filter: `middle_in_tile(${z},${x},${y})`, classes: [], block };
}

/** Corners of the cell in which the members' middles lie, in degrees; null where its filter names none. */
export function cellOf({ filter }: Group): [[west: number, south: number], [east: number, north: number]] | null {
  const [z, x, y] = (/middle_in_tile\((\d+),(\d+),(\d+)\)/.exec(filter) ?? []).slice(1).map(Number);
  if (z === undefined || x === undefined || y === undefined) return null;
  const n = 2 ** z;
  const lon = (column: number): number => (column / n) * 360 - 180;
  const lat = (row: number): number => (Math.atan(Math.sinh(Math.PI * (1 - (2 * row) / n))) * 180) / Math.PI;
  return [[lon(x), lat(y + 1)], [lon(x + 1), lat(y)]];
}

/** A number as a sign has room for it: 950, 12k, 1.2M. */
export function shortly(count: number): string {
  if (count < 1000) return String(count);
  const [value, unit] = count < 999_500 ? [count / 1000, 'k'] : [count / 1_000_000, 'M'];
  return `${value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)}${unit}`;
}

/** Where a group of points stands on the map, and what its tile says of it. */
export interface Cluster {
  lon: number;
  lat: number;
  count: number;
  properties: Readonly<Record<string, unknown>>;
}

/** A group of points as it is drawn. */
export interface Sign extends Cluster {
  color: string;
}

/** Pixels across the sign of so many points. */
export function signSize(count: number): number {
  return Math.round(18 + 2.6 * Math.min(Math.floor(Math.log10(Math.max(count, 1))), 5));
}
