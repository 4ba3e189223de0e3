/**
 * The panels of the page. Each stands in a folder of its own, whose `panel.ts` says what it is; shell,
 * keyboard and links follow from this list.
 */

import type { App } from '../app';
import type { Titles } from '../config';
import { t, titleOf, type Word } from '../i18n';
import { Registry, type Entry } from '../registry';
import { PICK, type State } from '../state';

/** A word of the page, or the words themselves. */
export type Label = Word | Titles;

export interface PanelEntry extends Entry {
  /** A drawer, or a place in the bar, where it is always open. */
  readonly side: 'left' | 'right' | 'bar';
  readonly title: Label;
  /** The path of its sign, in a box of 16; without one its button shows the title. */
  readonly icon?: string;
  /** Opens and closes it; gives a place in the bar the focus. */
  readonly key?: string;
  /** Whether the bar has a button for it. */
  readonly button?: boolean;
  /** The type of selection whose card it is: choosing such a thing opens it. */
  readonly card?: string;
  /** Whether the page alone knows what is selected: no link names it. */
  readonly passing?: boolean;
  /** The mode that owns the pointer while it is open. */
  readonly pointer?: string;
  /** Whether there is use for it: without it nothing opens it, and nothing offers to. */
  offered?(): boolean;
  /** The number that its button shows, but for 0. */
  badge?(app: App): number;
  /** Whether it tells of now alone. */
  readonly live?: boolean;
  /** Whether it takes all the height there is. */
  readonly tall?: boolean;
  /** Its element, a `Panel`, and the chunk that defines it. */
  readonly tag: string;
  load(): Promise<unknown>;
}

type Found = Record<string, { default: PanelEntry | PanelEntry[] }>;

export const panels = new Registry<PanelEntry>(
  Object.values(import.meta.glob('./*/panel.ts', { eager: true }) as Found).flatMap((module) => module.default),
);

export function label(title: Label): string {
  return typeof title === 'string' ? t(title) : titleOf(title);
}

/** The panel that is open on that side. */
export function openPanel(state: Readonly<State>, side: 'left' | 'right'): PanelEntry | undefined {
  const entry = panels.get(state[side]);
  return entry?.side === side && isOffered(entry) ? entry : undefined;
}

export const isOffered = (entry: PanelEntry): boolean => entry.offered?.() ?? true;

/** The card of what is selected. */
export function openCard(state: Readonly<State>): PanelEntry | undefined {
  return cardOf(state.selection?.type);
}

export function cardOf(type: string | undefined): PanelEntry | undefined {
  return type === undefined ? undefined : panels.all().find((entry) => entry.card === type);
}

/** The types of selection beside features that a link may name. */
export function liveTypes(): Set<string> {
  return new Set(panels.all().flatMap(({ card, passing }) => (card && card !== 'feature' && !passing ? [card] : [])));
}

/** Whether it, or another panel in the same element, is open. */
export function isOpen(state: Readonly<State>, entry: PanelEntry): boolean {
  return entry.side !== 'bar' && openPanel(state, entry.side)?.tag === entry.tag;
}

/** What opening or closing it changes. */
export function toggled(state: Readonly<State>, entry: PanelEntry): Partial<State> {
  if (entry.side === 'bar' || !isOffered(entry)) return {};
  const opens = !isOpen(state, entry);
  return { [entry.side]: opens ? entry.id : null, pointer: (opens && entry.pointer) || PICK };
}
