/**
 * Changed features over the picture: each with the colour, the hatching and the sign of its kind. They are drawn
 * over whatever stands there: what is gone stands nowhere, and what is new may stand behind something.
 */

import { Cartesian3, Matrix4, type Cartesian2 } from '@cesium/engine';
import { effect, type ReadonlySignal } from '@preact/signals-core';
import type { MapParts } from '../app';
import type { TilePoint } from '../map/outlines';
import { topmost, type SheetFeature } from '../map/vector-sheet';
import { color } from '../tokens';
import { KINDS, keyOf, type Change, type Kind } from './changes';
import { STROKES } from './sign';
import { asFeature, beforeCamera, partsOf, pointsBefore, type Clip } from './shapes';

/** Pixels from one hatch to the next, and from the middle of a sign to its rim. */
const HATCH = 8;
const SIGN = 8;
/** Pixels that a click may be off. */
const REACH = 8;
const ORDER: Kind[] = ['changed', 'moved', 'added', 'removed'];

/** A change with its places in the world. */
interface Placed {
  change: Change;
  areas: Cartesian3[][];
  lines: Cartesian3[][];
  points: Cartesian3[];
}

/** The parts of a change, in CSS pixels. */
interface OnCanvas {
  area: TilePoint[][];
  line: TilePoint[][];
  point: TilePoint[];
}

/** What of the world is on the canvas, in CSS pixels. */
interface Window {
  part(part: readonly Cartesian3[], closed: boolean): TilePoint[][];
  points(points: readonly Cartesian3[]): TilePoint[];
}

/** What of a change is drawn: where it is, where it was, or the box of either where nothing else is known. */
function shapesOf({ shape, oldShape, bbox }: Change): ReturnType<typeof partsOf>[] {
  if (shape || oldShape) return [partsOf(shape), partsOf(oldShape)];
  const box = bbox.new ?? bbox.old;
  if (!box) return [];
  const [west, south, east, north] = box;
  return [partsOf({ type: 'Polygon', coordinates: [[[west, south], [east, south], [east, north], [west, north], [west, south]]] })];
}

/** What is drawn, and which of it (`layer/id`) is looked at. */
export interface Marked {
  readonly shown: ReadonlySignal<readonly Change[]>;
  readonly chosen: ReadonlySignal<string | null>;
}

export class MarkOverlay {
  private readonly canvas = document.createElement('canvas');
  private readonly stop: (() => void)[];
  private placed: Placed[] = [];
  private drawn: SheetFeature[] = [];
  private hatches = new Map<Kind, CanvasPattern | null>();

  constructor(
    private readonly map: MapParts,
    private readonly marks: Marked,
  ) {
    const { canvas } = this;
    canvas.className = 'names marks';
    canvas.setAttribute('aria-hidden', 'true');
    const { scene, ground } = map;
    scene.canvas.after(canvas);
    this.stop = [
      scene.postRender.addEventListener(() => this.draw()),
      ground.follow(() => this.place()),
      effect(() => {
        void marks.shown.value;
        this.place();
      }),
      effect(() => {
        void marks.chosen.value;
        this.hatches = new Map(KINDS.map((kind) => [kind, hatch(kind, color(kind))]));
        this.draw();
      }),
    ];
  }

  remove(): void {
    for (const stop of this.stop) stop();
    this.canvas.remove();
  }

  /** The change that is drawn at a position on the canvas. */
  at({ x, y }: Cartesian2): Change | undefined {
    const found = topmost({ extent: 1, features: this.drawn }, { x, y }, REACH);
    return found?.properties['change'] as Change | undefined;
  }

  private place(): void {
    const { ground } = this.map;
    const world = ([lon, lat]: readonly [number, number, number?]): Cartesian3 => Cartesian3.fromDegrees(lon, lat, ground.at(lon, lat));
    const sorted = [...this.marks.shown.peek()].sort((a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change));
    this.placed = sorted.map((change) => {
      const all = shapesOf(change);
      return {
        change,
        areas: all.flatMap(({ areas }) => areas.map((part) => part.map(world))),
        lines: all.flatMap(({ lines }) => lines.map((part) => part.map(world))),
        points: all.flatMap(({ points }) => points.map(world)),
      };
    });
    this.map.scene.requestRender();
  }

  private draw(): void {
    const { canvas } = this;
    const { clientWidth: wide, clientHeight: high } = this.map.scene.canvas;
    const scale = devicePixelRatio;
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.round(high * scale);
    const context = canvas.getContext('2d');
    if (!context) return;
    context.scale(scale, scale);
    context.lineJoin = context.lineCap = 'round';
    const { camera } = this.map.scene;
    const matrix = Matrix4.multiply(camera.frustum.projectionMatrix, camera.viewMatrix, new Matrix4());
    const window: Window = {
      part: (part, closed) => beforeCamera(part.map((at) => clip(matrix, at)), closed, wide, high),
      points: (points) => pointsBefore(points.map((at) => clip(matrix, at)), wide, high),
    };
    const chosen = this.marks.chosen.peek();
    const signs = new Set<string>();
    this.drawn = this.placed.flatMap((placed) => this.one(context, placed, window, keyOf(placed.change) === chosen, signs));
  }

  private one(
    context: CanvasRenderingContext2D,
    { change, areas, lines, points }: Placed,
    window: Window,
    isChosen: boolean,
    signs: Set<string>,
  ): SheetFeature[] {
    const own = { area: areas.flatMap((part) => window.part(part, true)), line: lines.flatMap((part) => window.part(part, false)), point: window.points(points) };
    const parts = [...own.area, ...own.line];
    if (parts.length === 0 && own.point.length === 0) return [];
    this.paint(context, change.change, own, isChosen);
    const at = own.point[0] ?? middle(parts);
    // of signs that would cover one another the first is drawn
    const cell = `${Math.round(at.x / (3 * SIGN))}/${Math.round(at.y / (3 * SIGN))}`;
    if (!signs.has(cell) || isChosen) sign(context, change.change, at);
    signs.add(cell);
    const meant = { change };
    return [
      ...(own.area.length > 0 ? [asFeature('Polygon', own.area, meant)] : []),
      ...(own.line.length > 0 ? [asFeature('LineString', own.line, meant)] : []),
      ...own.point.map((one) => asFeature('Point', [[one]], meant)),
    ];
  }

  private paint(context: CanvasRenderingContext2D, kind: Kind, { area, line, point }: OnCanvas, isChosen: boolean): void {
    context.beginPath();
    for (const part of area) trace(context, part, true);
    context.fillStyle = color(kind);
    context.globalAlpha = 0.16;
    context.fill('evenodd');
    context.globalAlpha = 0.75;
    context.fillStyle = this.hatches.get(kind) ?? color(kind);
    context.fill('evenodd');
    context.globalAlpha = 1;
    for (const part of line) trace(context, part, false);
    for (const { x, y } of point) {
      context.moveTo(x + SIGN + 3, y);
      context.arc(x, y, SIGN + 3, 0, 2 * Math.PI);
    }
    const [rim, wide] = isChosen ? [color('selected'), 9] : [color('halo'), 5];
    for (const [stroke, width] of [[rim, wide], [color(kind), wide / 2]] as const) {
      context.lineWidth = width;
      context.strokeStyle = stroke;
      context.stroke();
    }
  }
}

function clip(m: Matrix4, { x, y, z }: Cartesian3): Clip {
  const row = (i: number): number => m[i as 0]! * x + m[(i + 4) as 0]! * y + m[(i + 8) as 0]! * z + m[(i + 12) as 0]!;
  return { x: row(0), y: row(1), w: row(3) };
}

function trace(context: CanvasRenderingContext2D, part: readonly TilePoint[], closed: boolean): void {
  // the first of a path begins it
  for (const [i, { x, y }] of part.entries()) context[i === 0 ? 'moveTo' : 'lineTo'](x, y);
  if (closed) context.closePath();
}

/** In the middle of the box of the first part; on a line, its middle corner. */
function middle(parts: readonly TilePoint[][]): TilePoint {
  const first = parts[0]!;
  const xs = first.map(({ x }) => x);
  const ys = first.map(({ y }) => y);
  return { x: (Math.min(...xs) + Math.max(...xs)) / 2, y: (Math.min(...ys) + Math.max(...ys)) / 2 };
}

function sign(context: CanvasRenderingContext2D, kind: Kind, { x, y }: TilePoint): void {
  context.beginPath();
  context.arc(x, y, SIGN, 0, 2 * Math.PI);
  context.fillStyle = color(kind);
  context.fill();
  context.strokeStyle = color('halo');
  context.lineWidth = 1.5;
  context.stroke();
  context.beginPath();
  for (const [x1, y1, x2, y2] of STROKES[kind]) {
    context.moveTo(x + x1 * SIGN, y + y1 * SIGN);
    context.lineTo(x + x2 * SIGN, y + y2 * SIGN);
  }
  context.lineWidth = 2;
  context.stroke();
}

/** New rises, gone falls, changed does both. */
function hatch(kind: Kind, stroke: string): CanvasPattern | null {
  const tile = document.createElement('canvas');
  tile.width = tile.height = HATCH;
  const context = tile.getContext('2d');
  if (!context) return null;
  context.strokeStyle = stroke;
  context.lineWidth = 1.4;
  context.beginPath();
  for (const shift of [-HATCH, 0, HATCH]) {
    if (kind !== 'removed') line(context, shift, HATCH, shift + HATCH, 0);
    if (kind !== 'added') line(context, shift, 0, shift + HATCH, HATCH);
  }
  context.stroke();
  return context.createPattern(tile, 'repeat');
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
}
