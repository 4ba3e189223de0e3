/** Sensors that are too many to be known one by one: how many are in each cell, by state. Their signs: `cluster-signs.ts`. */

import { signal } from '@preact/signals-core';
import { STATES, type SensorState } from './states';
import type { ClusterColumns } from './stream';

export interface Cluster {
  key: string;
  zoom: number;
  lon: number;
  lat: number;
  count: number;
  /** The worst state of any in it. */
  worst: SensorState;
}

/** What the map must follow. */
export interface ClusterView {
  /** New, or another. */
  put(cluster: Cluster): void;
  remove(key: string): void;
  settle(): void;
}

export class Clusters {
  readonly all = new Map<string, Cluster>();
  /** How many sensors there are in all of them. */
  readonly count = signal(0);
  private view: ClusterView | null = null;

  show(view: ClusterView): void {
    this.view = view;
    for (const cluster of this.all.values()) view.put(cluster);
    view.settle();
  }

  /** These and no other; null for none. */
  replace(columns: ClusterColumns | null): void {
    const rows = columns ? rowsOf(columns) : [];
    const kept = new Set(rows.map(({ key }) => key));
    for (const key of [...this.all.keys()]) if (!kept.has(key)) this.drop(key);
    this.take(rows);
  }

  /** Cells that changed. */
  merge(columns: ClusterColumns): void {
    if (columns.whole) this.replace(columns);
    else this.take(rowsOf(columns));
  }

  private take(rows: readonly Cluster[]): void {
    for (const cluster of rows) {
      const known = this.all.get(cluster.key);
      if (cluster.count === 0) this.drop(cluster.key);
      else if (known?.count !== cluster.count || known.worst !== cluster.worst || known.lon !== cluster.lon || known.lat !== cluster.lat) {
        this.all.set(cluster.key, cluster);
        this.view?.put(cluster);
      }
    }
    this.count.value = [...this.all.values()].reduce((sum, { count }) => sum + count, 0);
    this.view?.settle();
  }

  private drop(key: string): void {
    this.all.delete(key);
    this.view?.remove(key);
  }
}

function rowsOf({ zoom, x, y, lon, lat, count, states }: ClusterColumns): Cluster[] {
  return x.map((column, i) => ({
    key: `${zoom}/${column}/${y[i]}`,
    zoom,
    lon: lon[i]!,
    lat: lat[i]!,
    count: count[i]!,
    worst: STATES[Math.max(states[i]!.findLastIndex((number) => number > 0), 0)]!,
  }));
}
