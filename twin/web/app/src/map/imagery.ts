/** What is laid on the globe as pictures, rasters and painted layers alike, each in its place over the others. */

import { Math as CesiumMath, WebMercatorProjection, type ImageryLayer, type Scene } from '@cesium/engine';

import type { Renderer } from './renderer';

interface Member {
  layer: ImageryLayer;
  level: number;
}

/**
 * The finest zoom at which not more than two by two tiles lie over a box in degrees. What lies there needs no
 * coarser ones: the engine would ask for each of them, down to that of the whole world, before it shows any.
 */
export function coarsest([west, south, east, north]: readonly [number, number, number, number], finest: number): number {
  const mercator = (lat: number): number => WebMercatorProjection.geodeticLatitudeToMercatorAngle(CesiumMath.toRadians(lat));
  const wide = (west <= east ? east - west : east - west + 360) / 360;
  const high = (mercator(north) - mercator(south)) / (2 * Math.PI);
  return Math.min(Math.max(0, Math.floor(-Math.log2(Math.max(wide, high)))), finest);
}

export class ImageryStack {
  private members: Member[] = [];
  /**
   * How pictures are read off, an option of each. Along the ground sixteen samples a pixel are sharper, and cost
   * a processor a second a frame (30 ms with one).
   */
  readonly sampling: { maximumAnisotropy?: number };

  constructor(
    private readonly scene: Scene,
    { software }: Renderer,
    /** Called when the first picture is shown, and when the last one is gone. */
    private readonly changed: (some: boolean) => void,
  ) {
    this.sampling = software ? { maximumAnisotropy: 1 } : {};
  }

  /** `level`: its place among the layers, 0 the lowest; a later one of the same level is over an earlier one. */
  add(layer: ImageryLayer, level: number): void {
    this.scene.imageryLayers.add(layer);
    this.members.push({ layer, level });
    this.arrange();
  }

  remove(layer: ImageryLayer): void {
    this.members = this.members.filter((one) => one.layer !== layer);
    this.scene.imageryLayers.remove(layer, true);
    this.tell();
  }

  place(layer: ImageryLayer, level: number): void {
    const member = this.members.find((one) => one.layer === layer);
    if (!member || member.level === level) return;
    member.level = level;
    this.arrange();
  }

  show(layer: ImageryLayer, shown: boolean): void {
    if (layer.show === shown) return;
    layer.show = shown;
    this.tell();
  }

  private arrange(): void {
    this.members.sort((a, b) => a.level - b.level);
    const { imageryLayers } = this.scene;
    this.members.forEach(({ layer }, i) => {
      for (let at = imageryLayers.indexOf(layer); at > i; at -= 1) imageryLayers.lower(layer);
    });
    this.tell();
  }

  private tell(): void {
    this.changed(this.members.some(({ layer }) => layer.show));
    this.scene.requestRender();
  }
}
