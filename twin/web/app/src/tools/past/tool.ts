/** The city as it was. */

import { html } from 'lit';
import type { App } from '../../app';
import { choosing } from '../../past';
import type { ToolEntry } from '../registry';

const run = ({ store }: App): void => {
  if (store.get().at === null) choosing.value = !choosing.value;
  else document.querySelector<HTMLElement>('twin-past input')?.focus();
};

const entry: ToolEntry = {
  id: 'past',
  order: 7,
  title: () => 'past',
  hint: () => 'T',
  icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
    <path d="M3 4.5V1.8M3 4.5h2.7M3 4.5A6 6 0 1 1 2 8" fill="none" stroke="currentColor" stroke-width="1.4"></path>
    <path d="M8 4.5V8l2.5 1.5" fill="none" stroke="currentColor" stroke-width="1.4"></path>
  </svg>`,
  keys: { t: run },
  pressed: ({ at }) => at !== null || choosing.value,
  run,
};

export default entry;
