import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'merged',
  side: 'right',
  title: 'merged',
  card: 'group',
  passing: true,
  tag: 'twin-merged',
  load: () => import('./merged-card'),
};

export default entry;
