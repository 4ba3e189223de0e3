import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'new',
  side: 'right',
  title: 'edits.new',
  card: 'new',
  live: true,
  tag: 'twin-new',
  load: () => import('./new-card'),
};

export default entry;
