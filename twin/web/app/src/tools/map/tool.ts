/** Zoom, north, 2D/3D, underground. */

import { html } from 'lit';
import type { App } from '../../app';
import type { ToolEntry } from '../registry';

const nearer = ({ map }: App): void => map?.camera.zoom(0.6);
const farther = ({ map }: App): void => map?.camera.zoom(1.7);
const north = ({ map }: App): void => map?.camera.north();
const dive = ({ store }: App): void => store.set({ underground: !store.get().underground, mode: '3d' });

const entries: ToolEntry[] = [
  { id: 'zoom-in', order: 1, title: () => 'zoom.in', icon: () => '+', keys: { '+': nearer }, run: nearer },
  { id: 'zoom-out', order: 2, title: () => 'zoom.out', icon: () => '−', keys: { '-': farther }, run: farther },
  {
    id: 'north',
    order: 3,
    title: () => 'north',
    hint: () => 'N',
    icon: ({ view }) => html`<svg viewBox="0 0 16 16" style="transform:rotate(${-view.heading}deg)" aria-hidden="true">
      <path d="M8 1l4 7H4z" fill="var(--red)"></path><path d="M8 15l4-7H4z" fill="var(--faint)"></path>
    </svg>`,
    keys: { n: north },
    run: north,
  },
  {
    id: 'mode',
    order: 4,
    title: ({ mode }) => (mode === '3d' ? 'mode.to2d' : 'mode.to3d'),
    hint: ({ mode }) => (mode === '3d' ? '2' : '3'),
    icon: ({ mode }) => (mode === '3d' ? '2D' : '3D'),
    keys: { '2': ({ store }) => store.set({ mode: '2d' }), '3': ({ store }) => store.set({ mode: '3d' }) },
    run: ({ store }) => store.set({ mode: store.get().mode === '3d' ? '2d' : '3d' }),
  },
  {
    id: 'underground',
    order: 5,
    title: () => 'underground',
    hint: () => 'U',
    icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
      <path d="M1 5h14" stroke="currentColor" stroke-width="1.5"></path>
      <path d="M2 11h8a2.5 2.5 0 0 1 2.5 2.5V15" fill="none" stroke="currentColor" stroke-width="2.5"></path>
    </svg>`,
    pressed: ({ underground }) => underground,
    keys: { u: dive },
    run: dive,
  },
];

export default entries;
