/** Keys: / search, L layers, I incidents, U underground, 2 and 3, N north, + and −, Esc closes. */

import { select, type App } from './app';
import type { SearchPanel } from './panels/search/search';

function typing(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input:not([type=checkbox]):not([type=range]), textarea, select') !== null;
}

export function listenToKeys(app: App): void {
  const { store } = app;
  const actions: Record<string, () => void> = {
    '/': () => document.querySelector<SearchPanel>('twin-search')?.focus(),
    l: () => store.set({ left: store.get().left ? null : 'layers' }),
    i: () => store.set({ right: store.get().right === 'incidents' ? null : 'incidents' }),
    u: () => store.set({ underground: !store.get().underground, mode: '3d' }),
    '2': () => store.set({ mode: '2d' }),
    '3': () => store.set({ mode: '3d' }),
    n: () => app.map?.camera.north(),
    '+': () => app.map?.camera.zoom(0.6),
    '-': () => app.map?.camera.zoom(1.7),
    escape: () => {
      if (store.get().right === 'card') select(app, null);
      else if (store.get().right) store.set({ right: null });
      else store.set({ left: null });
    },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
