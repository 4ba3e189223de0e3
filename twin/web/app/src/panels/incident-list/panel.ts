import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'incidents',
  side: 'right',
  live: true,
  title: 'incidents',
  key: 'i',
  button: true,
  tall: true,
  tag: 'twin-incidents',
  load: () => import('./incident-list'),
};

export default entry;
