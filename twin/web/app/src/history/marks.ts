/** What has changed, drawn over the map: which question is asked, what is known of it, and which of it is chosen. */

import { computed, effect, signal, untracked } from '@preact/signals-core';
import { openRight, type App } from '../app';
import { Later } from '../later';
import type { Highlight } from '../layers/form';
import { Lent } from '../layers/lent';
import { isSplit } from '../past';
import { viewBox } from '../map/view-box';
import { ask, keyOf, questionOf, type Answer, type Change, type Kind, type Question } from './changes';
import { MarkOverlay } from './overlay';

/** After the camera came to rest, and after something was edited. */
const LATER_MS = 400;

export class Marks {
  /** Of all of it, but for `changes` where it is not whole: these are of the view. */
  readonly found = signal<Answer | null>(null);
  readonly error = signal<unknown>(null);
  /** Changes that are only thought of, in place of those that were found. */
  readonly planned = signal<readonly Change[] | null>(null);
  /** `layer/id` of the one that is looked at. */
  readonly chosen = signal<string | null>(null);
  readonly question = computed<Question | null>(() => questionOf(this.app.store.get()), { name: 'question' });
  /** What is drawn: nothing of two moments that stand side by side. */
  readonly shown = computed<readonly Change[]>(() => {
    if (this.planned.value) return this.planned.value;
    const hidden = isSplit(this.app.store.get()) && 'from' in (this.question.value ?? {});
    return hidden ? [] : (this.found.value?.changes ?? []);
  });
  private request: AbortController | null = null;
  private readonly looking = new Later(LATER_MS, () => void this.look());
  private readonly renewing = new Later(LATER_MS, () => this.begin(this.question.peek(), false));
  /** All of it is to be asked for, or is being asked for: what is in view of it comes with that. */
  private due = false;
  private overlay: MarkOverlay | null = null;
  private readonly lent: Lent;
  /** Two models are seen. */
  private compared = false;

  constructor(private readonly app: App) {
    this.lent = new Lent(app.store);
    const { map } = app;
    let asked = '';
    effect(() => {
      const question = this.question.value;
      const key = JSON.stringify(question);
      if (key === asked) return;
      asked = key;
      untracked(() => this.begin(question));
    });
    effect(() => {
      const some = this.shown.value.length > 0;
      untracked(() => this.draw(some));
    });
    effect(() => {
      const found = this.found.value;
      untracked(() => this.highlight(found));
    });
    map?.scene.camera.moveEnd.addEventListener(() => {
      if (this.found.peek()?.whole === false) this.looking.soon();
    });
    app.events.addEventListener('edited', this.edited);
    // what was edited while the stream was away was not told
    app.events.addEventListener('back', this.edited);
    app.over = (position) => {
      const change = this.overlay?.at(position);
      if (!change) return false;
      this.chosen.value = keyOf(change);
      openRight(app, 'history');
      return true;
    };
  }

  /** The change that is looked at. */
  chosenChange(): Change | undefined {
    return this.shown.value.find((change) => keyOf(change) === this.chosen.value);
  }

  again(): void {
    this.begin(this.question.peek());
  }

  private readonly edited = (): void => {
    const question = this.question.peek();
    // a version that is looked at does not change, but what it is compared with may
    const lasting = !question || 'set' in question || ('model' in question ? question.model.from !== null : question.to !== null);
    if (lasting) return;
    this.due = true;
    this.renewing.soon();
  };

  private begin(question: Question | null, anew = true): void {
    this.looking.stop();
    this.renewing.stop();
    this.request?.abort();
    this.due = question !== null;
    this.error.value = null;
    if (anew) {
      this.found.value = null;
      this.chosen.value = null;
    }
    if (question) void this.fetch(question);
  }

  private async fetch(question: Question): Promise<void> {
    const request = new AbortController();
    this.request = request;
    try {
      const found = await ask(question, null, request.signal);
      if (request.signal.aborted) return;
      this.found.value = found;
      this.due = false;
      if (!found.whole) await this.look();
    } catch (error) {
      if (request.signal.aborted) return;
      this.due = false;
      this.error.value = error;
    }
  }

  /** There is more than one answer holds: what is in view of it. */
  private async look(): Promise<void> {
    const question = this.question.peek();
    const known = this.found.peek();
    if (!question || !known || this.due) return;
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    try {
      const { changes } = await ask(question, viewBox(this.app), request.signal);
      if (!request.signal.aborted) this.found.value = { ...known, changes };
    } catch (error) {
      if (!request.signal.aborted) this.error.value = error;
    }
  }

  /** Of two models the bodies are seen, too: what there was in the one, over all of the other. */
  private highlight(found: Answer | null): void {
    const { app } = this;
    const { models = null, changes = [] } = found ?? {};
    if (!models && !this.compared) return;
    this.compared = models !== null;
    const of = (kind: Kind, side: 'old' | 'new'): number[] => changes.flatMap(({ change, ids }) => (change === kind ? (ids?.[side] ?? []) : []));
    app.highlights.value = models
      ? new Map<string, Highlight>([
          [models.old, { only: true, kinds: { removed: of('removed', 'old'), moved: of('moved', 'old') } }],
          [models.new, { only: false, kinds: { added: of('added', 'new'), moved: of('moved', 'new'), changed: of('changed', 'new') } }],
        ])
      : new Map();
    this.lent.show(models ? [models.old, models.new] : []);
  }

  private draw(some: boolean): void {
    const { map } = this.app;
    if (!map || some === (this.overlay !== null)) return;
    this.overlay?.remove();
    this.overlay = some ? new MarkOverlay(map, this) : null;
  }
}

const known = new WeakMap<App, Marks>();

/** Those of a page, made when first asked for. */
export function marksOf(app: App): Marks {
  const marks = known.get(app) ?? new Marks(app);
  known.set(app, marks);
  return marks;
}
