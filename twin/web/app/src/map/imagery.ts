/** What is laid on the globe as pictures, rasters and painted layers alike, each in its place over the others. */

import type { ImageryLayer, Scene } from '@cesium/engine';

interface Member {
  layer: ImageryLayer;
  level: number;
}

export class ImageryStack {
  private members: Member[] = [];

  constructor(
    private readonly scene: Scene,
    /** Called when the first picture is shown, and when the last one is gone. */
    private readonly changed: (some: boolean) => void,
  ) {}

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
