/** The buttons at the map. Each group stands in a folder of its own, whose `tool.ts` says what they are. */

import type { TemplateResult } from 'lit';
import type { App } from '../app';
import { Registry, type Entry } from '../registry';
import type { Label } from '../panels/registry';
import type { State } from '../state';

export interface ToolEntry extends Entry {
  title(state: Readonly<State>): Label;
  icon(state: Readonly<State>): TemplateResult | string;
  /** The key that its title names. */
  hint?(state: Readonly<State>): string;
  keys?: Readonly<Record<string, (app: App) => void>>;
  /** For a tool that is on or off. */
  pressed?(state: Readonly<State>): boolean;
  /** What a press does. A mode for the pointer is a patch of `pointer`; what is heavy is imported here. */
  run(app: App): void;
  /** Whether it is of use where the map cannot be drawn. */
  readonly withoutMap?: boolean;
}

type Found = Record<string, { default: ToolEntry | ToolEntry[] }>;

export const tools = new Registry<ToolEntry>(
  Object.values(import.meta.glob('./*/tool.ts', { eager: true }) as Found).flatMap((module) => module.default),
);
