/** What is not chosen is seen through: a room within its building, a pipe behind a wall. */

import { html } from 'lit';
import type { App } from '../../app';
import type { ToolEntry } from '../registry';

const run = ({ store }: App): void => store.set({ xray: !store.get().xray });

const entry: ToolEntry = {
  id: 'xray',
  order: 8,
  title: () => 'xray',
  hint: () => 'X',
  icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
    <path d="M2.5 5L8 2l5.5 3v6L8 14l-5.5-3z" fill="none" stroke="currentColor" stroke-width="1.2" stroke-dasharray="1.6 1.4"></path>
    <path d="M6 7l2-1 2 1v2.2l-2 1-2-1z" fill="currentColor"></path>
  </svg>`,
  pressed: ({ xray }) => xray,
  keys: { x: run },
  run,
};

export default entry;
