import type { Cartesian2 } from '@cesium/engine';
import { expect, test } from 'vitest';
import { listenToPointer, pointerModes, type PointerMode } from '../src/map/pointer';
import { city, page } from './city';

function click(canvas: HTMLCanvasElement, x: number, y: number): void {
  for (const type of ['pointerdown', 'pointerup']) {
    canvas.dispatchEvent(new PointerEvent(type, { clientX: x, clientY: y, button: 0, pointerId: 1, pointerType: 'mouse', bubbles: true }));
  }
}

test('one mode owns the pointer: picking at rest, another while the state names it', () => {
  const heard: string[] = [];
  const mode = (id: string, more: Partial<PointerMode> = {}): PointerMode => ({
    id,
    click: (_app, { x, y }: Cartesian2) => heard.push(`${id} ${x},${y}`),
    leave: () => heard.push(`${id} ends`),
    ...more,
  });
  pointerModes.register(mode('pick'));
  pointerModes.register(mode('measure', { cursor: 'crosshair' }));
  const app = page(city());
  const canvas = document.createElement('canvas');
  document.body.append(canvas);
  listenToPointer(app, canvas);
  click(canvas, 10, 20);
  app.store.set({ pointer: 'measure' });
  expect(canvas.style.cursor).toBe('crosshair');
  click(canvas, 30, 40);
  app.store.set({ pointer: 'nobody' });
  click(canvas, 50, 60);
  expect(canvas.style.cursor).toBe('');
  expect(heard).toEqual(['pick 10,20', 'pick ends', 'measure 30,40', 'measure ends', 'pick 50,60']);
});
