/**
 * The edits of the page: what is changed and not saved, over several features and layers. They are saved as one
 * transaction with one message, which is written whole or not at all.
 */

import { computed, effect, signal, type ReadonlySignal } from '@preact/signals-core';
import { ApiError, transact, type Exception } from '../api';
import type { CityConfig, LayerConfig } from '../config';
import type { FeatureSelection } from '../state';
import {
  action,
  isIdle,
  keyOf,
  keyOfChange,
  NOTHING,
  PLACE,
  placed,
  rebased,
  typed,
  unreadable,
  type Base,
  type Change,
  type Changes,
} from './change';
import { keep, readKept } from './kept';
import { theirsOf, type Theirs } from './theirs';

/** What the server said against one change. */
export interface Faults {
  /** By field; `PLACE` for the geometry. */
  fields: Readonly<Record<string, string>>;
  /** What is of no field. */
  whole: ApiError | null;
}

/** What is not saved of a layer, by fid. */
export interface Unsaved {
  changed: readonly number[];
  removed: readonly number[];
}

/** So many steps can be taken back. */
const STEPS = 200;

export class Edits {
  private readonly current = signal<Changes>(new Map());
  private readonly undone = signal<readonly Changes[]>([]);
  private readonly done = signal<readonly Changes[]>([]);
  /** The field that is being typed in: its letters are one step. */
  private typing = '';
  /** What was discarded last as a whole. */
  private discarded: { of: Changes; message: string } | null = null;
  private next = 1;
  private readonly told = signal<ReadonlyMap<string, Faults>>(new Map());
  private readonly overtaken = signal<ReadonlyMap<string, Theirs>>(new Map());
  readonly message = signal('');
  readonly saving = signal(false);
  /** Why nothing could be saved, where that is of no change. */
  readonly failure = signal<unknown>(null);
  /** How many features were saved last. */
  readonly saved = signal<number | null>(null);
  /** Called after a save, with the features that were made, by their number in the page. */
  onSaved: (layers: ReadonlySet<string>, made: ReadonlyMap<number, FeatureSelection>) => void = () => undefined;

  /** `caller` may edit, and has a name; null where nothing is edited. */
  constructor(
    private readonly config: Pick<CityConfig, 'layers'>,
    private readonly caller: string | null,
  ) {
    if (caller === null) return;
    const kept = readKept(caller);
    if (kept) {
      this.current.value = new Map(kept.changes.map((change) => [keyOfChange(change), change]));
      this.message.value = kept.message;
      this.next = Math.max(0, ...kept.changes.map(({ action: what, fid }) => (what === 'create' ? fid : 0))) + 1;
    }
    effect(() => keep(caller, { changes: [...this.current.value.values()], message: this.message.value }));
  }

  /** Whether the page edits at all. */
  get allowed(): boolean {
    return this.caller !== null;
  }

  get changes(): Changes {
    return this.current.value;
  }

  get canUndo(): boolean {
    return this.done.value.length > 0 && !this.saving.value;
  }

  get canRedo(): boolean {
    return this.undone.value.length > 0 && !this.saving.value;
  }

  readonly size: ReadonlySignal<number> = computed(() => this.current.value.size);

  of(layer: string, fid: number): Change | undefined {
    return this.current.value.get(keyOf(layer, fid));
  }

  made(number: number): Change | undefined {
    return this.current.value.get(keyOf('', number, true));
  }

  layerOf({ layer }: Change): LayerConfig | undefined {
    return this.config.layers.find(({ id }) => id === layer);
  }

  /** By layer; new features are of none. */
  readonly unsaved: ReadonlySignal<ReadonlyMap<string, Unsaved>> = computed(() => {
    const found = new Map<string, { changed: number[]; removed: number[] }>();
    for (const { layer, fid, action: what } of this.current.value.values()) {
      if (what === 'create') continue;
      const entry = found.get(layer) ?? { changed: [], removed: [] };
      entry[what === 'delete' ? 'removed' : 'changed'].push(fid);
      found.set(layer, entry);
    }
    return found;
  });

  /** What is wrong with a field of a change: the server's own words, '' for a value that is none of the field. */
  fault(change: Change, name: string): string | undefined {
    const told = this.told.value.get(keyOfChange(change))?.fields[name];
    if (told !== undefined) return told;
    return unreadable(change, this.layerOf(change)).includes(name) ? '' : undefined;
  }

  faults(change: Change): Faults | undefined {
    return this.told.value.get(keyOfChange(change));
  }

  theirs(change: Change): Theirs | undefined {
    return this.overtaken.value.get(keyOfChange(change));
  }

  /** What is typed in a field of a feature; `base` is the feature as it was read. */
  type(layer: string, fid: number, base: Base, name: string, text: string): void {
    const change = this.of(layer, fid) ?? { action: 'update', layer, fid, base, texts: {} };
    this.put(typed(change, this.layerOf(change), name, text), name);
  }

  /** What is typed in a field of a change. */
  retype(change: Change, name: string, text: string): void {
    this.put(typed(change, this.layerOf(change), name, text), name);
  }

  /** Where a point is put; of other geometries nothing happens. */
  place(layer: string, fid: number, base: Base, text: string): void {
    if ((this.of(layer, fid)?.base ?? base).point === null) return;
    this.put(placed(this.of(layer, fid) ?? { action: 'update', layer, fid, base, texts: {} }, text), PLACE);
  }

  replace(change: Change, text: string): void {
    this.put(placed(change, text), PLACE);
  }

  remove(layer: string, fid: number, base: Base): void {
    this.put({ action: 'delete', layer, fid, base: this.of(layer, fid)?.base ?? base, texts: {} });
  }

  /** A new feature; its number in the page. */
  create(layer: string, place: string): number {
    const fid = this.next;
    this.next += 1;
    this.put({ action: 'create', layer, fid, base: NOTHING, texts: {}, place });
    return fid;
  }

  discard(change: Change): void {
    const rest = new Map(this.current.peek());
    rest.delete(keyOfChange(change));
    this.step(rest);
  }

  /** The message comes back with the edits. */
  discardAll(): void {
    if (this.saving.peek()) return;
    this.discarded = { of: this.current.peek(), message: this.message.peek() };
    this.step(new Map());
    this.message.value = '';
  }

  /** After a look at both: theirs stays in the fields that are named. */
  settle(change: Change, dropped: ReadonlySet<string>): void {
    const now = this.overtaken.peek().get(keyOfChange(change))?.now;
    if (now) this.put(rebased(change, now, this.layerOf(change), dropped));
  }

  private put(change: Change, field?: string): void {
    const key = keyOfChange(change);
    const changes = new Map(this.current.peek());
    if (isIdle(change)) changes.delete(key);
    else changes.set(key, change);
    const typing = field === undefined ? '' : `${key} ${field}`;
    if (field !== undefined && this.told.peek().has(key)) this.told.value = without(this.told.peek(), key, field);
    this.step(changes, typing !== '' && typing === this.typing);
    this.typing = typing;
  }

  /** `goes` on with the last step instead of making another. */
  private step(changes: Changes, goes = false): void {
    if (this.saving.peek()) return;
    if (!goes) this.done.value = [...this.done.peek(), this.current.peek()].slice(-STEPS);
    this.undone.value = [];
    this.show(changes);
  }

  undo(): void {
    const last = this.done.peek().at(-1);
    if (!last || this.saving.peek()) return;
    this.done.value = this.done.peek().slice(0, -1);
    this.undone.value = [...this.undone.peek(), this.current.peek()];
    if (last === this.discarded?.of && this.message.peek() === '') this.message.value = this.discarded.message;
    this.show(last);
  }

  redo(): void {
    const last = this.undone.peek().at(-1);
    if (!last || this.saving.peek()) return;
    this.undone.value = this.undone.peek().slice(0, -1);
    this.done.value = [...this.done.peek(), this.current.peek()];
    this.show(last);
  }

  private show(changes: Changes): void {
    const before = this.current.peek();
    this.typing = '';
    this.failure.value = null;
    this.saved.value = null;
    this.current.value = changes;
    // what was said of a change holds as long as that is the same
    const holds = ([key]: [string, unknown]): boolean => changes.has(key) && changes.get(key)?.base === before.get(key)?.base;
    this.overtaken.value = new Map([...this.overtaken.peek()].filter(holds));
    this.told.value = new Map([...this.told.peek()].filter(holds));
  }

  /** The card has read the feature of a change anew: somebody was quicker where its ETag is another. */
  async compare(change: Change, etag: string | null): Promise<void> {
    if (etag === change.base.etag || this.saving.peek() || this.theirs(change)) return;
    try {
      await this.overtake(change);
    } catch {
      // it is found again by the save
    }
  }

  private async overtake(change: Change): Promise<void> {
    const theirs = await theirsOf(change);
    const key = keyOfChange(change);
    if (this.current.peek().get(key)?.base !== change.base) return;
    this.overtaken.value = new Map(this.overtaken.peek()).set(key, theirs);
  }

  /** Whether something stands against saving that can be seen without asking. */
  private get blocked(): boolean {
    const changes = [...this.current.peek().values()];
    return changes.some((change) => unreadable(change, this.layerOf(change)).length > 0 || this.overtaken.peek().has(keyOfChange(change)));
  }

  /** Writes everything, or nothing and tells all that is wrong. */
  async save(): Promise<void> {
    if (this.saving.peek() || this.current.peek().size === 0) return;
    this.failure.value = null;
    if (this.blocked) return;
    this.typing = '';
    this.saving.value = true;
    const changes = this.current.peek();
    try {
      const made = await transact([...changes.values()].map((change) => action(change, this.layerOf(change))), this.message.peek().trim());
      this.written(changes, made);
    } catch (error) {
      await this.refused(changes, error);
    } finally {
      this.saving.value = false;
    }
  }

  private written(changes: Changes, fids: readonly number[]): void {
    const all = [...changes.values()];
    const created = all.filter(({ action: what }) => what === 'create');
    const made = new Map(created.map(({ fid, layer }, i): [number, FeatureSelection] => [fid, { type: 'feature', layer, fid: fids[i]! }]));
    this.show(new Map());
    this.done.value = this.undone.value = [];
    this.message.value = '';
    this.saved.value = all.length;
    this.onSaved(new Set(all.map(({ layer }) => layer)), made);
  }

  private async refused(changes: Changes, error: unknown): Promise<void> {
    this.failure.value = error;
    if (!(error instanceof ApiError)) return;
    const told = new Map<string, Faults>();
    for (const exception of error.exceptions) {
      const change = changes.get(exception.actionId ?? '');
      if (!change) continue;
      if ((exception.status === 412 || exception.status === 404) && change.action !== 'create' && (await this.found(change))) continue;
      told.set(keyOfChange(change), faultsOf(exception));
    }
    this.told.value = told;
  }

  /** Whether it is known now what somebody else did to the feature. */
  private async found(change: Change): Promise<boolean> {
    try {
      await this.overtake(change);
      return true;
    } catch {
      return false;
    }
  }
}

function without(told: ReadonlyMap<string, Faults>, key: string, field: string): ReadonlyMap<string, Faults> {
  const faults = told.get(key)!;
  const { [field]: _, ...fields } = faults.fields;
  const rest = new Map(told);
  if (Object.keys(fields).length > 0) rest.set(key, { ...faults, fields });
  else rest.delete(key);
  return rest;
}

/** By the JSON pointers of an exception. */
function faultsOf({ status, code, detail, errors = [] }: Exception): Faults {
  const fields = Object.fromEntries(
    errors.flatMap(({ pointer, detail: why }): [string, string][] => {
      const path = decodeURIComponent(pointer.slice(1));
      const name = path === '/geometry' ? PLACE : path.startsWith('/properties/') ? path.slice('/properties/'.length) : null;
      return name === null ? [] : [[name.replaceAll('~1', '/').replaceAll('~0', '~'), why]];
    }),
  );
  return { fields, whole: Object.keys(fields).length > 0 ? null : new ApiError(status, code, detail) };
}
