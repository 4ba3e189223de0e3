/** Keys: those that panels and tools declare, and Esc, which closes what was opened last. */

import { select, type App } from './app';
import { panels, toggled, type PanelEntry } from './panels/registry';
import { PICK } from './state';
import { tools } from './tools/registry';

type Action = (app: App) => void;

function typing(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input:not([type=checkbox]):not([type=range]), textarea, select') !== null;
}

function openByKey(entry: PanelEntry): Action {
  if (entry.side === 'bar') return () => document.querySelector<HTMLElement>(entry.tag)?.focus();
  return ({ store }) => store.set(toggled(store.get(), entry));
}

function closeLast(app: App): void {
  const { store } = app;
  const { pointer, right, selection } = store.get();
  if (pointer !== PICK) store.set({ pointer: PICK });
  else if (selection) select(app, null);
  else if (right) store.set({ right: null });
  else store.set({ left: null });
}

/** Key → what it does. Throws when two entries want the same key. */
export function bindings(): Map<string, Action> {
  const found = new Map<string, Action>([['escape', closeLast]]);
  const bind = (id: string, key: string, action: Action): void => {
    if (found.has(key)) throw new Error(`${id}: the key ${key} is taken`);
    found.set(key, action);
  };
  for (const entry of panels.all()) if (entry.key) bind(entry.id, entry.key, openByKey(entry));
  for (const tool of tools.all()) {
    for (const [key, action] of Object.entries(tool.keys ?? {})) bind(tool.id, key, action);
  }
  return found;
}

/** What is typed is taken back by the browser. */
function writing(target: EventTarget | null): boolean {
  return typing(target) && !(target instanceof HTMLSelectElement);
}

/** Ctrl+Z, Ctrl+Y, Ctrl+Shift+Z: steps of what is edited and not saved. */
function steps({ edits, store }: App, { key, shiftKey }: KeyboardEvent): boolean {
  const letter = key.toLowerCase();
  if (!edits.allowed || store.get().at !== null || (letter !== 'z' && letter !== 'y')) return false;
  if (letter === 'y' || shiftKey) edits.redo();
  else edits.undo();
  return true;
}

export function listenToKeys(app: App): void {
  const actions = bindings();
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !writing(event.target) && steps(app, event)) event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = actions.get(event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    action(app);
  });
}
