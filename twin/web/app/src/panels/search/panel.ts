import type { PanelEntry } from '../registry';
// not loaded late: whoever presses its key types on at once
import './search';

const entry: PanelEntry = {
  id: 'search',
  side: 'bar',
  title: 'search',
  key: '/',
  tag: 'twin-search',
  load: () => Promise.resolve(),
};

export default entry;
