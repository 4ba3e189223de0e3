/** Taking back: what would change is shown first, then done as new edits; the server plans and does it. */

import { signal } from '@preact/signals-core';
import { ApiError, postAction } from '../api';
import { openRight, type App } from '../app';
import { show } from '../past';
import { keyOf, type Box, type Change, type Counts } from './changes';
import { marksOf } from './marks';

/** A change set, a feature as it was, what a person did, or what was done in an area; moments as the server takes them. */
export type Undo =
  | { set: number }
  | { layer: string; feature: number; to: string }
  | { actor: string; from: string; to?: string; bbox?: Box }
  | { bbox: Box; from: string; to?: string };

/** One feature from what it is to what it would be again. */
export interface Step extends Omit<Change, 'set' | 'shape' | 'oldShape'> {
  /** The change set that has changed it since; null where nobody has. */
  conflict: { set: number; actor: string | null; via: string; at: string } | null;
}

export interface Plan {
  /** The number of the change log as of which it holds. */
  seq: number;
  summary: Counts & { conflicts: number };
  /** False where it has more steps than are told. */
  complete: boolean;
  steps: readonly Step[];
  /** A layer that comes back or goes as a whole, or is again as it was; of many features without their number. */
  layers: readonly { id: string; change: 'added' | 'removed' | 'reverted'; features: number | null; conflict: Step['conflict'] }[];
  /** Fields that stay as they are, as they are gone by now or of another type, by layer. */
  lost: Readonly<Record<string, readonly string[]>>;
  /** Layers of which nothing is taken back, and why. */
  leftOut?: readonly { layer: string; reason: string }[];
}

export interface Done {
  /** The change set that it made; null where there was nothing to do. */
  set: number | null;
  summary: Plan['summary'];
}

const ADDRESS = 'ogc/undo';

/** What is being taken back on a page. */
export class Undoing {
  readonly asked = signal<Undo | null>(null);
  readonly plan = signal<Plan | null>(null);
  readonly error = signal<unknown>(null);
  readonly busy = signal(false);
  /** Somebody was quicker than the plan that was shown: it was made anew. */
  readonly overtaken = signal(false);
  readonly done = signal<Done | null>(null);
  private turn = 0;

  constructor(private readonly app: App) {}

  /** Shows what it would change, beside the city of now. */
  async begin(undo: Undo): Promise<void> {
    const { store } = this.app;
    // one after the other: what is being done is looked at first
    if (this.busy.peek()) return openRight(this.app, 'history');
    if (store.get().at !== null) show(store, null);
    this.clear();
    this.asked.value = undo;
    openRight(this.app, 'history');
    await this.make();
  }

  async make(): Promise<void> {
    const turn = ++this.turn;
    const undo = this.asked.peek();
    if (!undo) return;
    this.error.value = null;
    try {
      const plan = await postAction<Plan>(ADDRESS, { ...undo, dryRun: true });
      if (turn !== this.turn) return;
      this.plan.value = plan;
      this.draw(plan);
    } catch (error) {
      if (turn === this.turn) this.error.value = error;
    }
  }

  /** Does what was shown. */
  async carryOut(message: string, leaveOutConflicts: boolean): Promise<void> {
    const [undo, plan] = [this.asked.peek(), this.plan.peek()];
    if (!undo || !plan || this.busy.peek()) return;
    const turn = ++this.turn;
    this.busy.value = true;
    this.error.value = null;
    this.overtaken.value = false;
    try {
      const done = await postAction<Done>(ADDRESS, { ...undo, message, leaveOutConflicts, seq: plan.seq });
      if (turn !== this.turn) return;
      this.done.value = done;
      marksOf(this.app).planned.value = null;
    } catch (error) {
      if (turn !== this.turn) return;
      this.overtaken.value = error instanceof ApiError && error.status === 409;
      if (this.overtaken.peek()) await this.make();
      else this.error.value = error;
    } finally {
      this.busy.value = false;
    }
  }

  /** Nothing is taken back any more. */
  clear(): void {
    this.turn += 1;
    for (const one of [this.asked, this.plan, this.done]) one.value = null;
    this.error.value = null;
    this.overtaken.value = false;
    marksOf(this.app).planned.value = null;
    marksOf(this.app).chosen.value = null;
  }

  /** A plan has boxes; of what is on the map already the shapes are known. */
  private draw({ steps }: Plan): void {
    const marks = marksOf(this.app);
    const known = new Map((marks.found.peek()?.changes ?? []).map((change) => [keyOf(change), change]));
    marks.planned.value = steps.map((step) => {
      const { shape = null, oldShape = null } = known.get(keyOf(step)) ?? {};
      return { ...step, set: null, shape, oldShape };
    });
  }
}

const known = new WeakMap<App, Undoing>();

export function undoingOf(app: App): Undoing {
  const undoing = known.get(app) ?? new Undoing(app);
  known.set(app, undoing);
  return undoing;
}
