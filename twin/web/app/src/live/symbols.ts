/** Drawn signs of sensors and incidents: colour and shape say the same, so neither is needed alone. */

import { color, type Token } from '../tokens';
import type { SensorState } from './states';

const STATE_TOKENS: Record<SensorState, Token> = {
  red: 'red',
  orange: 'orange',
  yellow: 'yellow',
  blue: 'blue',
  ok: 'ok',
  stale: 'ok',
};
/** Incident level 1 is the worst. */
const LEVEL_TOKENS: Record<number, 'red' | 'orange' | 'yellow' | 'blue'> = { 1: 'red', 2: 'orange', 3: 'yellow', 4: 'blue' };

export function stateColor(state: SensorState): string {
  return color(STATE_TOKENS[state]);
}

export function levelColors(level: number): { fill: string; text: string } {
  const token = LEVEL_TOKENS[level] ?? 'blue';
  return { fill: color(token), text: color(`on-${token}`) };
}

const SHAPES: Record<SensorState, (size: number) => string> = {
  red: (s) => `M${s / 2} ${s * 0.08}L${s * 0.96} ${s * 0.9}H${s * 0.04}Z`,
  orange: (s) => `M${s / 2} ${s * 0.04}L${s * 0.96} ${s / 2}L${s / 2} ${s * 0.96}L${s * 0.04} ${s / 2}Z`,
  yellow: (s) => `M${s * 0.12} ${s * 0.12}H${s * 0.88}V${s * 0.88}H${s * 0.12}Z`,
  blue: (s) => circle(s, 0.4),
  ok: (s) => circle(s, 0.26),
  stale: (s) => circle(s, 0.26),
};

function circle(size: number, radius: number): string {
  const c = size / 2;
  const r = size * radius;
  return `M${c - r} ${c}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
}

/** The outline of a state's sign in a box of that size, as an SVG path. */
export function shapeOf(state: SensorState, size: number): string {
  return SHAPES[state](size);
}

function canvas(size: number): CanvasRenderingContext2D {
  const element = document.createElement('canvas');
  element.width = element.height = size;
  return element.getContext('2d')!;
}

/** A shape in the look of a state. */
function paintShape(context: CanvasRenderingContext2D, path: Path2D, state: SensorState): void {
  context.lineJoin = 'round';
  context.lineWidth = 6;
  context.strokeStyle = color('halo');
  context.stroke(path);
  context.fillStyle = state === 'stale' ? color('halo') : stateColor(state);
  context.fill(path);
  if (state !== 'stale') return;
  context.lineWidth = 3.5;
  context.strokeStyle = stateColor(state);
  context.stroke(path);
}

/** 48-pixel picture of a sensor in that state, for a billboard drawn at half that size. */
export function sensorImage(state: SensorState): HTMLCanvasElement {
  const context = canvas(48);
  const path = new Path2D(shapeOf(state, 40));
  context.translate(4, 4);
  paintShape(context, path, state);
  return context.canvas;
}

/** Pixels a side, on the map. */
export const CLUSTER_SIZE = 40;

/** 80-pixel picture of so many sensors the worst of which is in that state, for a billboard drawn at half that size. */
export function clusterImage(state: SensorState, text: string): HTMLCanvasElement {
  const context = canvas(2 * CLUSTER_SIZE);
  const path = new Path2D(shapeOf(state, 48));
  context.save();
  context.translate(16, 2);
  paintShape(context, path, state);
  context.restore();
  context.font = '700 24px system-ui, sans-serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const wide = Math.min(Math.max(context.measureText(text).width + 16, 34), 2 * CLUSTER_SIZE - 2);
  context.beginPath();
  context.roundRect(CLUSTER_SIZE - wide / 2, 48, wide, 30, 15);
  context.fillStyle = color('halo');
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = stateColor(state);
  context.stroke();
  context.fillStyle = color('ink');
  context.fillText(text, CLUSTER_SIZE, 64, 2 * CLUSTER_SIZE - 8);
  return context.canvas;
}

/** A broad line in the colour of what is chosen between two dark ones, which show on any ground. */
function outline(context: CanvasRenderingContext2D, path: Path2D): HTMLCanvasElement {
  context.lineJoin = 'round';
  for (const [width, stroke] of [[13, color('ink')], [8, color('selected')]] as const) {
    context.lineWidth = width;
    context.strokeStyle = stroke;
    context.stroke(path);
  }
  return context.canvas;
}

/** 104-pixel ring around a sensor, for a billboard drawn at half that size. */
export function ringMark(): HTMLCanvasElement {
  const ring = new Path2D();
  ring.arc(52, 52, 38, 0, 2 * Math.PI);
  return outline(canvas(104), ring);
}

/** 104-pixel outline of a pin with room for the pin in it; the foot is where the pin's is. */
export function pinMark(): HTMLCanvasElement {
  const context = canvas(104);
  context.translate(18, 40);
  return outline(context, new Path2D('M34 62C21 50 5 42 5 23a29 29 0 1 1 58 0C63 42 47 50 34 62Z'));
}

/** 64-pixel pin of an incident with its level. */
export function incidentImage(level: number): HTMLCanvasElement {
  const context = canvas(64);
  const pin = new Path2D('M32 62C22 48 11 38 11 25a21 21 0 1 1 42 0C53 38 42 48 32 62Z');
  const { fill, text } = levelColors(level);
  context.fillStyle = fill;
  context.strokeStyle = color('halo');
  context.lineWidth = 4;
  context.stroke(pin);
  context.fill(pin);
  context.fillStyle = text;
  context.font = '700 26px system-ui, sans-serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(String(level), 32, 27);
  return context.canvas;
}
