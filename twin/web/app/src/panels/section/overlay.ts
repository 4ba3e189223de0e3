/** The section box over the picture: its edges, and handles by which its sides, its middle, floor and lid are dragged. */

import { BoundingSphere, Cartesian2, Cartesian3, SceneTransforms } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import type { App, MapParts } from '../../app';
import { placeIn, within } from '../../map/section';
import type { SectionBox } from '../../state';
import { kept } from './box';

const SVG = 'http://www.w3.org/2000/svg';
const HANDLES = ['middle', 'east', 'west', 'north', 'south', 'high', 'low'] as const;
type Handle = (typeof HANDLES)[number];

/** Where a handle stands in a box: metres across, along and up. */
function standing({ width, depth, low, high }: SectionBox, handle: Handle): [number, number, number] {
  const level = (low + high) / 2;
  const at: Record<Handle, [number, number, number]> = {
    middle: [0, 0, level],
    east: [width / 2, 0, level],
    west: [-width / 2, 0, level],
    north: [0, depth / 2, level],
    south: [0, -depth / 2, level],
    high: [0, 0, high],
    low: [0, 0, low],
  };
  return at[handle];
}

/** The box after a handle was dragged to a place (m across and along), the other side stays where it is. */
export function dragged(box: SectionBox, handle: Handle, across: number, along: number): SectionBox {
  const moved = (x: number, y: number): Pick<SectionBox, 'lon' | 'lat'> => {
    const [lon, lat] = placeIn(box, x, y);
    return { lon, lat };
  };
  const side = (reach: number): number => Math.max(reach + box.width / 2, 1);
  const end = (reach: number): number => Math.max(reach + box.depth / 2, 1);
  switch (handle) {
    case 'middle':
      return { ...box, ...moved(across, along) };
    case 'east':
      return { ...box, width: side(across), ...moved((side(across) - box.width) / 2, 0) };
    case 'west':
      return { ...box, width: side(-across), ...moved(-(side(-across) - box.width) / 2, 0) };
    case 'north':
      return { ...box, depth: end(along), ...moved(0, (end(along) - box.depth) / 2) };
    case 'south':
      return { ...box, depth: end(-along), ...moved(0, -(end(-along) - box.depth) / 2) };
    default:
      return box;
  }
}

export class SectionOverlay {
  private readonly svg = document.createElementNS(SVG, 'svg');
  private readonly edges = document.createElementNS(SVG, 'path');
  private readonly halo = document.createElementNS(SVG, 'path');
  private readonly dots = new Map<Handle, SVGCircleElement>();
  private readonly stop: (() => void)[];

  constructor(
    private readonly app: App,
    private readonly map: MapParts,
  ) {
    this.svg.setAttribute('class', 'drawn section');
    this.svg.setAttribute('aria-hidden', 'true');
    this.halo.setAttribute('class', 'halo');
    this.svg.append(this.halo, this.edges);
    for (const handle of HANDLES) this.svg.append(this.dot(handle));
    map.scene.canvas.after(this.svg);
    this.stop = [
      map.scene.postRender.addEventListener(() => this.draw()),
      effect(() => {
        void app.store.get().section;
        this.draw();
      }),
    ];
  }

  remove(): void {
    for (const stop of this.stop) stop();
    this.svg.remove();
  }

  private dot(handle: Handle): SVGCircleElement {
    const dot = document.createElementNS(SVG, 'circle');
    dot.setAttribute('r', handle === 'middle' ? '9' : '7');
    dot.dataset['handle'] = handle;
    dot.addEventListener('pointerdown', (event) => {
      dot.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    dot.addEventListener('pointermove', (event) => {
      if (dot.hasPointerCapture(event.pointerId)) this.drag(handle, event);
    });
    this.dots.set(handle, dot);
    return dot;
  }

  private drag(handle: Handle, event: PointerEvent): void {
    const { store } = this.app;
    const box = store.get().section;
    if (!box) return;
    if (handle === 'high' || handle === 'low') {
      const metres = -event.movementY * this.metresPerPixel(box, handle);
      store.set({ section: kept({ ...box, [handle]: box[handle] + metres }) });
      return;
    }
    const from = this.window(box, standing(box, handle));
    if (!from) return;
    // the pointer is on the level of the handle, and the ground is asked below it
    const base = this.window(box, [standing(box, handle)[0], standing(box, handle)[1], 0]);
    const { left, top } = this.map.scene.canvas.getBoundingClientRect();
    const shift = base ? base.y - from.y : 0;
    const at = this.map.picker.ground(new Cartesian2(event.clientX - left, event.clientY - top + shift));
    if (at) store.set({ section: kept(dragged(box, handle, ...within(box, [at.lon, at.lat]))) });
  }

  private metresPerPixel(box: SectionBox, handle: Handle): number {
    const { scene } = this.map;
    const sphere = new BoundingSphere(this.world(box, standing(box, handle)), 1);
    return scene.camera.getPixelSize(sphere, scene.drawingBufferWidth, scene.drawingBufferHeight) * devicePixelRatio;
  }

  private world(box: SectionBox, [across, along, up]: readonly [number, number, number]): Cartesian3 {
    const [lon, lat] = placeIn(box, across, along);
    return Cartesian3.fromDegrees(lon, lat, this.map.ground.at(box.lon, box.lat) + up);
  }

  private window(box: SectionBox, at: readonly [number, number, number]): Cartesian2 | undefined {
    return SceneTransforms.worldToWindowCoordinates(this.map.scene, this.world(box, at));
  }

  private draw(): void {
    const box = this.app.store.get().section;
    this.svg.style.display = box ? '' : 'none';
    if (!box) return;
    const { width, depth, low, high } = box;
    const corner = (i: number, up: number): Cartesian2 | undefined =>
      this.window(box, [(i === 0 || i === 3 ? -1 : 1) * (width / 2), (i < 2 ? -1 : 1) * (depth / 2), up]);
    const rings = [low, high].map((up) => [0, 1, 2, 3].map((i) => corner(i, up)));
    const text = ([a, b]: readonly (Cartesian2 | undefined)[]): string => (a && b ? `M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}` : '');
    const lines = [
      ...rings.flatMap((ring) => ring.map((at, i) => text([at, ring[(i + 1) % 4]]))),
      ...[0, 1, 2, 3].map((i) => text([rings[0]![i], rings[1]![i]])),
    ].join('');
    for (const path of [this.halo, this.edges]) path.setAttribute('d', lines || 'M0 0');
    for (const [handle, dot] of this.dots) {
      const at = this.window(box, standing(box, handle));
      dot.style.display = at ? '' : 'none';
      if (at) {
        dot.setAttribute('cx', at.x.toFixed(1));
        dot.setAttribute('cy', at.y.toFixed(1));
      }
    }
  }
}
