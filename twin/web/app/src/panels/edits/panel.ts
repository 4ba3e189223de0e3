import { may } from '../../session';
import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'edits',
  side: 'right',
  title: 'edits',
  icon: 'M2.5 13.5l.8-3.3 7.6-7.6 2.5 2.5-7.6 7.6zM9.2 4.3l2.5 2.5',
  key: 'e',
  button: true,
  offered: () => may('edit'),
  badge: ({ edits }) => edits.size.value,
  live: true,
  tag: 'twin-edits',
  load: () => import('./edits-panel'),
};

export default entry;
