import type { PanelEntry } from '../registry';
import { DRAW_LINE } from './line';

const entry: PanelEntry = {
  id: 'profile',
  side: 'right',
  title: 'profile',
  key: 'p',
  tag: 'twin-profile',
  pointer: DRAW_LINE,
  load: () => import('./profile-panel'),
};

export default entry;
