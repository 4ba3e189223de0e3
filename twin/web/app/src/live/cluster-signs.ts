/** The signs of sensors that are counted: the shape of the worst state of a cell, and how many there are. */

import { effect } from '@preact/signals-core';
import { BillboardCollection, Cartesian3, type Billboard, type Scene } from '@cesium/engine';
import { compact, language } from '../i18n';
import type { Obstacle } from '../layers/labels';
import type { Ground } from '../map/ground';
import type { Cluster, Clusters, ClusterView } from './clusters';
import { MOST_KEPT_CLEAR } from './incident-pins';
import type { LiveSigns } from './layer';
import { SENSOR_ABOVE } from './sensor-signs';
import { shade } from '../tokens';
import { clusterImage, CLUSTER_SIZE } from './symbols';

/** The id that such a sign carries: a click goes there. */
export interface ClusterId {
  cluster: Cluster;
}

export class ClusterSigns implements ClusterView, LiveSigns {
  private readonly signs = new Map<string, Billboard>();
  private readonly collection: BillboardCollection;
  /** Names the pictures to the engine, which keeps them by name. */
  private edition = 0;

  constructor(
    private readonly scene: Scene,
    private readonly ground: Ground,
    private readonly clusters: Clusters,
  ) {
    this.collection = scene.primitives.add(new BillboardCollection({ scene })) as BillboardCollection;
    effect(() => this.repaintAll());
    clusters.show(this);
    ground.follow(() => {
      for (const cluster of clusters.all.values()) this.put(cluster);
    });
  }

  get show(): boolean {
    return this.collection.show;
  }

  set show(value: boolean) {
    this.collection.show = value;
    this.scene.requestRender();
  }

  /** What no name may cover, as long as they are few. */
  places(): Obstacle[] {
    if (!this.show || this.signs.size > MOST_KEPT_CLEAR) return [];
    return [...this.signs.values()].map(({ position }) => ({ position, size: CLUSTER_SIZE }));
  }

  put(cluster: Cluster): void {
    const { key, lon, lat } = cluster;
    const position = Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + SENSOR_ABOVE);
    const sign = this.signs.get(key) ?? this.add(key, position);
    sign.position = position;
    sign.id = { cluster } satisfies ClusterId;
    this.paint(sign, cluster);
  }

  remove(key: string): void {
    const sign = this.signs.get(key);
    if (sign) this.collection.remove(sign);
    this.signs.delete(key);
  }

  settle(): void {
    this.scene.requestRender();
  }

  private add(key: string, position: Cartesian3): Billboard {
    const sign = this.collection.add({
      position,
      width: CLUSTER_SIZE,
      height: CLUSTER_SIZE,
      disableDepthTestDistance: Number.POSITIVE_INFINITY,
    });
    this.signs.set(key, sign);
    return sign;
  }

  private paint(sign: Billboard, { worst, count }: Cluster): void {
    const text = compact(count);
    sign.setImage(`cluster ${worst} ${text} ${this.edition}`, clusterImage(worst, text));
  }

  /** The pictures read the colours of the theme and the language: drawn again with them. */
  private repaintAll(): void {
    void [shade.value, language()];
    this.edition += 1;
    for (const [key, sign] of this.signs) {
      const cluster = this.clusters.all.get(key);
      if (cluster) this.paint(sign, cluster);
    }
    this.settle();
  }
}
