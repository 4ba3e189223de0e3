/** The clashes that a page looks at: how far their job is, which of them is chosen, and both elements in the picture. */

import { effect, signal, untracked } from '@preact/signals-core';
import { covered, type App } from '../app';
import type { Highlight } from '../layers/form';
import { Lent } from '../layers/lent';
import { getClash, heightOf, isRunning, type Clash, type ClashJob } from './clashes';

const POLL_MS = 500;
/** Metres from which a clash is looked at. */
const RANGE = 30;

export class Clashing {
  /** A version that is to be looked at, before it is. */
  readonly asked = signal<{ layer: string; version: string } | null>(null);
  readonly job = signal<ClashJob | null>(null);
  readonly error = signal<unknown>(null);
  /** Which of the result's pairs is looked at. */
  readonly chosen = signal<number | null>(null);
  private request: AbortController | null = null;
  private readonly lent: Lent;
  /** They are seen in the picture. */
  private drawn = false;

  constructor(private readonly app: App) {
    this.lent = new Lent(app.store);
    let followed: string | null = null;
    effect(() => {
      const { clash, right } = app.store.get();
      const wanted = right === 'history' ? clash : null;
      if (wanted === followed) return;
      followed = wanted;
      untracked(() => this.follow(wanted));
    });
  }

  /** What is not told yet of the job is asked for again. */
  again(): void {
    this.follow(this.app.store.get().clash);
  }

  choose(index: number | null): void {
    this.chosen.value = index;
    this.show();
    const one = index === null ? undefined : this.job.peek()?.result?.pairs[index];
    if (one) this.goTo(one);
  }

  private follow(job: string | null): void {
    this.request?.abort();
    this.job.value = null;
    this.error.value = null;
    this.chosen.value = null;
    this.show();
    if (job === null) return;
    const request = new AbortController();
    this.request = request;
    void this.poll(job, request.signal);
  }

  private async poll(id: string, given: AbortSignal): Promise<void> {
    try {
      while (!given.aborted) {
        const job = await getClash(id, given);
        if (given.aborted) return;
        this.job.value = job;
        if (!isRunning(job)) return this.show();
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    } catch (error) {
      if (!given.aborted) this.error.value = error;
    }
  }

  /** All that clash in their two colours, or the two that are chosen; the rest is seen through. */
  private show(): void {
    const { app } = this;
    const job = this.job.peek();
    const pairs = job?.result?.pairs ?? [];
    if (!job || pairs.length === 0) {
      if (this.drawn) app.highlights.value = new Map();
      this.drawn = false;
      this.lent.show([]);
      return;
    }
    this.drawn = true;
    const chosen = pairs[this.chosen.peek() ?? -1];
    app.highlights.value = highlightsOf(job.input.layer, pairs, chosen);
    this.lent.show([...app.highlights.peek().keys()].filter((id) => id !== job.input.layer));
  }

  private goTo(clash: Clash): void {
    const { camera } = this.app.map ?? {};
    this.app.store.set({ mode: '3d' });
    const [lon, lat] = clash.at;
    camera?.flyTo(lon, lat, RANGE, covered(this.app) / 2, heightOf(clash));
  }
}

/** By layer; of the layer itself, whose version is seen in its place, nothing is drawn. */
export function highlightsOf(layer: string, pairs: readonly Clash[], chosen?: Clash): Map<string, Highlight> {
  const found = new Map<string, { clash: Set<number>; obstacle: Set<number> }>();
  const of = (id: string): { clash: Set<number>; obstacle: Set<number> } => {
    const known = found.get(id) ?? { clash: new Set(), obstacle: new Set() };
    found.set(id, known);
    return known;
  };
  for (const { new: fresh, other } of pairs) {
    const meant = chosen === undefined || (chosen.new === fresh && chosen.other === other);
    const [mine, theirs] = [of(fresh.layer), of(other.layer)];
    if (!meant) continue;
    mine.clash.add(fresh.id);
    theirs.obstacle.add(other.id);
  }
  const drawn = [...found].map(([id, { clash, obstacle }]): [string, Highlight] => [
    id,
    {
      kinds: { clash: [...clash], obstacle: [...obstacle].filter((one) => !clash.has(one)) },
      only: false,
      // it may be on another storey than the one that is looked at
      always: chosen !== undefined,
    },
  ]);
  return new Map([[layer, { kinds: {}, only: true }], ...drawn]);
}

const known = new WeakMap<App, Clashing>();

/** That of a page, made when first asked for. */
export function clashingOf(app: App): Clashing {
  const clashing = known.get(app) ?? new Clashing(app);
  known.set(app, clashing);
  return clashing;
}
