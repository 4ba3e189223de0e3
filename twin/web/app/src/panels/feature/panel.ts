import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'feature',
  side: 'right',
  title: 'live.feature',
  card: 'feature',
  tag: 'twin-feature',
  load: () => import('./feature-card'),
};

export default entry;
