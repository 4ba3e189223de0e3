import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'sensor',
  side: 'right',
  live: true,
  title: 'live.sensor',
  card: 'sensor',
  tag: 'twin-sensor',
  load: () => import('./sensor-card'),
};

export default entry;
