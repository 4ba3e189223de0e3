/** Light or dark colours. */

import { html } from 'lit';
import { shade, switchShade } from '../../tokens';
import type { ToolEntry } from '../registry';

const entry: ToolEntry = {
  id: 'theme',
  order: 9,
  title: () => (shade.value === 'dark' ? 'theme.light' : 'theme.dark'),
  hint: () => 'D',
  icon: () => html`<svg viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5"></circle>
    <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"></path>
  </svg>`,
  keys: { d: switchShade },
  run: switchShade,
  withoutMap: true,
};

export default entry;
