/** Paints a vector tile, or a part of one, onto a canvas, in the engine's own styling language. */

import { Color, type Cesium3DTileStyle } from '@cesium/engine';
import type { SheetFeature, VectorSheet } from './vector-sheet';

/** Which of parts × parts fields of the tile. */
export interface Field {
  left: number;
  top: number;
  parts: number;
}

/** As a style asks for properties. */
interface Asked {
  getPropertyInherited(name: string): unknown;
}

interface Expression {
  evaluate(feature: Asked): unknown;
  evaluateColor(feature: Asked, result: Color): Color;
}

/** Pixels of a painted tile for one of the screen, as the engine chooses tiles. */
const DENSITY = 1.4;
/** Pixels of the canvas beyond its edge that a line or a point may reach over it. */
const REACH = 24;
const scratch = new Color();

function colour(expression: unknown, feature: Asked, otherwise: string): string {
  return expression ? (expression as Expression).evaluateColor(feature, scratch).toCssColorString() : otherwise;
}

function size(expression: unknown, feature: Asked, otherwise: number): number {
  const value = expression ? Number((expression as Expression).evaluate(feature)) : otherwise;
  return (Number.isFinite(value) ? value : otherwise) * DENSITY;
}

/** Whether a style shows a feature at all. */
export function isShown({ show }: Cesium3DTileStyle, { properties }: Pick<SheetFeature, 'properties'>): boolean {
  return !show || (show as unknown as Expression).evaluate({ getPropertyInherited: (name) => properties[name] }) === true;
}

/** A canvas of so many pixels; of one where nothing is to be painted, which costs the graphics card nothing. */
export function paintSheet(size: number, sheet: VectorSheet, style: Cesium3DTileStyle, { left, top, parts }: Field): HTMLCanvasElement {
  const scale = (size * parts) / sheet.extent;
  const x = (unit: number): number => unit * scale - left * size;
  const y = (unit: number): number => unit * scale - top * size;
  const meets = ({ box: [west, north, east, south] }: SheetFeature): boolean =>
    x(east) >= -REACH && x(west) <= size + REACH && y(south) >= -REACH && y(north) <= size + REACH;
  const features = sheet.features.filter(meets);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = features.length > 0 ? size : 1;
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  context.lineJoin = context.lineCap = 'round';
  for (const feature of features) {
    if (isShown(style, feature)) paint(context, feature, style, x, y);
  }
  return canvas;
}

type Place = (unit: number) => number;

function paint(context: CanvasRenderingContext2D, feature: SheetFeature, style: Cesium3DTileStyle, x: Place, y: Place): void {
  const asked: Asked = { getPropertyInherited: (name) => feature.properties[name] };
  const fill = colour(style.color, asked, '#888888');
  context.beginPath();
  if (feature.type === 'Point') {
    const radius = size(style.pointSize, asked, 6) / 2;
    for (const point of feature.parts.flat()) {
      context.moveTo(x(point.x) + radius, y(point.y));
      context.arc(x(point.x), y(point.y), radius, 0, 2 * Math.PI);
    }
    context.fillStyle = fill;
    context.fill();
    context.strokeStyle = colour(style.pointOutlineColor, asked, fill);
    context.lineWidth = size(style.pointOutlineWidth, asked, 1);
    context.stroke();
    return;
  }
  for (const part of feature.parts) {
    // the first of a path begins it
    for (const [i, point] of part.entries()) context[i === 0 ? 'moveTo' : 'lineTo'](x(point.x), y(point.y));
    if (feature.type === 'Polygon') context.closePath();
  }
  if (feature.type === 'Polygon') {
    context.fillStyle = fill;
    context.fill('evenodd');
    return;
  }
  context.strokeStyle = fill;
  context.lineWidth = size((style as { lineWidth?: unknown }).lineWidth, asked, 2);
  context.stroke();
}
