import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'history',
  side: 'right',
  title: 'history',
  icon: 'M8 3.5V8l3 1.8M2.2 8a5.8 5.8 0 1 0 1.9-4.3M2 1.6v2.9h2.9',
  key: 'c',
  button: true,
  tall: true,
  tag: 'twin-history',
  load: () => import('./history-panel'),
};

export default entry;
