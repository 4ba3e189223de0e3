import type { PanelEntry } from '../registry';

const entry: PanelEntry = {
  id: 'element',
  side: 'right',
  title: 'element',
  card: 'element',
  passing: true,
  tag: 'twin-element',
  load: () => import('./element-card'),
};

export default entry;
