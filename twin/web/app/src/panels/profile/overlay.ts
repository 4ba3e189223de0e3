/** The line of a profile over the picture, its corners, and the place that is looked at in the chart. */

import { Cartesian3, SceneTransforms } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import type { MapParts } from '../../app';
import type { Place } from '../../place';
import { line, looked, next, sampled } from './line';

const SVG = 'http://www.w3.org/2000/svg';
/** Pieces in which the line follows the ground. */
const PIECES = 96;

export class LineOverlay {
  private readonly svg = document.createElementNS(SVG, 'svg');
  private readonly stop: (() => void)[];

  constructor(private readonly map: MapParts) {
    this.svg.setAttribute('class', 'drawn');
    this.svg.setAttribute('aria-hidden', 'true');
    const { scene } = map;
    scene.canvas.after(this.svg);
    this.stop = [
      scene.postRender.addEventListener(() => this.draw()),
      effect(() => {
        void [line.value, next.value, looked.value];
        this.draw();
      }),
    ];
  }

  remove(): void {
    for (const stop of this.stop) stop();
    this.svg.remove();
  }

  private draw(): void {
    const corners = line.peek();
    const waiting = next.peek();
    const all = waiting && corners.length > 0 ? [...corners, waiting] : corners;
    const along = all.length > 1 ? sampled(all, PIECES) : [];
    const path = along.map((place) => this.window(place));
    let pen = 'M';
    let text = '';
    for (const at of path) {
      text += at ? `${pen}${at.x.toFixed(1)} ${at.y.toFixed(1)}` : '';
      pen = at ? 'L' : 'M';
    }
    const shapes = [shape('path', { d: text || 'M0 0', class: 'halo' }), shape('path', { d: text || 'M0 0' })];
    for (const corner of corners) shapes.push(...this.dot(corner, '4', ''));
    const place = looked.peek();
    if (place) shapes.push(...this.dot(place, '6', 'looked'));
    this.svg.replaceChildren(...shapes);
  }

  private dot(place: Place, r: string, kind: string): SVGElement[] {
    const at = this.window(place);
    return at ? [shape('circle', { cx: at.x.toFixed(1), cy: at.y.toFixed(1), r, class: kind })] : [];
  }

  private window([lon, lat]: Place): { x: number; y: number } | undefined {
    const { scene, ground } = this.map;
    return SceneTransforms.worldToWindowCoordinates(scene, Cartesian3.fromDegrees(lon, lat, ground.at(lon, lat)));
  }
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
