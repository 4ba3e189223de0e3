/** The section box: what lies outside of it is cut away. */

import { html } from 'lit';
import type { App } from '../../app';
import { panels, toggled } from '../../panels/registry';
import type { ToolEntry } from '../registry';

const panel = panels.get('section')!;

const entry: ToolEntry = {
  id: 'section',
  order: 8.5,
  title: () => 'section',
  hint: () => 'B',
  icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
    <path d="M2 5l6-3 6 3v6l-6 3-6-3zM2 5l6 3 6-3M8 8v6" fill="none" stroke="currentColor" stroke-width="1.2" stroke-linejoin="round"></path>
    <path d="M2 8l6 3 6-3" fill="none" stroke="currentColor" stroke-width="1.2" stroke-dasharray="1.5 1.3"></path>
  </svg>`,
  pressed: ({ section }) => section !== null,
  run: ({ store }: App) => store.set(toggled(store.get(), panel)),
};

export default entry;
