import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'incident',
  side: 'right',
  live: true,
  title: 'live.incident',
  card: 'incident',
  tag: 'twin-incident',
  load: () => import('./incident-card'),
};

export default entry;
