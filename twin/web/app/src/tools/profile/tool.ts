/** Heights and values along a line: opens the panel, whose pointer mode draws the line. */

import { html } from 'lit';
import type { App } from '../../app';
import { pointerModes } from '../../map/pointer';
import { addPlace, DRAW_LINE, next } from '../../panels/profile/line';
import { isOpen, panels, toggled } from '../../panels/registry';
import type { ToolEntry } from '../registry';

pointerModes.register({
  id: DRAW_LINE,
  cursor: 'crosshair',
  click(app, position) {
    const at = app.map?.picker.ground(position);
    if (at) addPlace([at.lon, at.lat]);
  },
  move(app, position) {
    const at = app.map?.picker.ground(position);
    next.value = at ? [at.lon, at.lat] : null;
  },
  leave: () => {
    next.value = null;
  },
});

const panel = panels.get('profile')!;

const entry: ToolEntry = {
  id: 'profile',
  order: 6,
  title: () => 'profile',
  hint: () => 'P',
  icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
    <path d="M1 13l4-6 3 3 3-7 4 10z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"></path>
  </svg>`,
  pressed: (state) => isOpen(state, panel),
  run: ({ store }: App) => store.set(toggled(store.get(), panel)),
};

export default entry;
