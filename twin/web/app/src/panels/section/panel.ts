import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'section',
  side: 'right',
  title: 'section',
  key: 'b',
  tag: 'twin-section',
  load: () => import('./section-panel'),
};

export default entry;
