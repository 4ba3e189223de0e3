/** Who gets the pointer on the map: the mode that `state.pointer` names. Picking is the mode of rest. */

import { ScreenSpaceEventHandler, ScreenSpaceEventType, type Cartesian2 } from '@cesium/engine';
import type { App } from '../app';
import { Registry, type Entry } from '../registry';
import { PICK } from '../state';

export interface PointerMode extends Entry {
  /** The CSS cursor over the map. */
  readonly cursor?: string;
  /** At a position on the canvas, in CSS pixels; `touch` where a finger did it. */
  click?(app: App, position: Cartesian2, touch: boolean): void;
  move?(app: App, position: Cartesian2): void;
  /** The pointer goes to another mode: what is half done ends. */
  leave?(app: App): void;
}

export const pointerModes = new Registry<PointerMode>();

function modeOf(app: App): PointerMode | undefined {
  return pointerModes.get(app.store.get().pointer) ?? pointerModes.get(PICK);
}

export function listenToPointer(app: App, canvas: HTMLCanvasElement): void {
  const handler = new ScreenSpaceEventHandler(canvas);
  let mode = modeOf(app);
  const coarse = window.matchMedia('(pointer: coarse)');
  handler.setInputAction(
    (event: { position: Cartesian2 }) => mode?.click?.(app, event.position, coarse.matches),
    ScreenSpaceEventType.LEFT_CLICK,
  );
  handler.setInputAction(
    (event: { endPosition: Cartesian2 }) => mode?.move?.(app, event.endPosition),
    ScreenSpaceEventType.MOUSE_MOVE,
  );
  canvas.style.cursor = mode?.cursor ?? '';
  app.store.subscribe((_state, changed) => {
    if (!changed.has('pointer')) return;
    mode?.leave?.(app);
    mode = modeOf(app);
    canvas.style.cursor = mode?.cursor ?? '';
  });
}
