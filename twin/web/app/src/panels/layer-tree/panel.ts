import type { PanelEntry } from '../registry';

const load = (): Promise<unknown> => import('./layer-tree');

const entries: PanelEntry[] = [
  {
    id: 'layers',
    side: 'left',
    title: 'tab.layers',
    icon: 'M8 2l6.5 3.2L8 8.4 1.5 5.2zM1.5 8L8 11.2 14.5 8M1.5 10.8L8 14l6.5-3.2',
    key: 'l',
    button: true,
    tag: 'twin-layers',
    load,
  },
  { id: 'legend', side: 'left', title: 'tab.legend', tag: 'twin-layers', load },
];

export default entries;
