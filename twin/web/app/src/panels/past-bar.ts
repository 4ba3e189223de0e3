/** The bar over a city as it was: of when it is, with what it is compared, another moment, and the way back to now. */

import { effect, signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { getMoment } from '../api';
import type { Marks } from '../history/marks';
import { decimal, t } from '../i18n';
import { explain } from '../i18n/errors';
import { ALONE, choosing, instantOf, isSplit, localOf, NOW, show } from '../past';
import type { State } from '../state';
import { Panel } from './panel';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const MIDDLE = 0.5;

export class PastBar extends Panel {
  /** The instants (ms) of moments, as the server says them. */
  private readonly instants = signal<ReadonlyMap<string, number | null>>(new Map());
  private readonly error = signal<unknown>(null);
  private readonly marks = signal<Marks | null>(null);
  private unfollow: (() => void) | null = null;
  private turn = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('pointerdown', this.pressed);
    this.unfollow = effect(() => {
      const { at, against } = this.app.store.get();
      document.documentElement.toggleAttribute('data-past', at !== null || choosing.value);
      document.documentElement.toggleAttribute('data-compare', against !== null);
      void this.look([at, against].filter((one) => one !== null && one !== NOW) as string[]);
      if (against !== null) void this.follow();
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
    document.removeEventListener('pointerdown', this.pressed);
  }

  private async look(moments: readonly string[]): Promise<void> {
    const turn = ++this.turn;
    this.error.value = null;
    const known = new Map<string, number | null>();
    this.instants.value = known;
    for (const at of moments) {
      try {
        const instant = await getMoment(at);
        if (turn !== this.turn) return;
        known.set(at, at.startsWith('@') ? instant : Date.parse(at));
      } catch (error) {
        if (turn === this.turn) this.error.value = error;
        return;
      }
    }
    this.instants.value = new Map(known);
  }

  /** What is drawn of a comparison comes with it. */
  private async follow(): Promise<void> {
    try {
      const [{ marksOf }] = await Promise.all([import('../history/marks'), import('./compare/divide')]);
      this.marks.value = marksOf(this.app);
    } catch (error) {
      this.error.value = error;
    }
  }

  private instant(at: string): number | null {
    return this.instants.value.get(at) ?? (at.startsWith('@') ? null : Date.parse(at));
  }

  /** A moment in words, by the clock of the city. */
  private told(at: string): string {
    if (at === NOW) return t('compare.now');
    const instant = this.instant(at);
    return instant === null ? at : this.local(instant).replace('T', ' ');
  }

  protected override render(): TemplateResult | typeof nothing {
    const state = this.app.store.get();
    const { at, against } = state;
    if (at === null) return choosing.value ? this.choice() : nothing;
    return html`<div class=${against === null || against === NOW ? 'frame' : 'frame both'} data-frame></div>
      ${this.bar(at, against)}
      ${this.isDivided(state) ? html`<twin-divide .app=${this.app} .left=${this.told(at)} .right=${this.told(against!)}></twin-divide>` : nothing}`;
  }

  /** Without a map there are no sides. */
  private isDivided(state: Readonly<State>): boolean {
    return this.app.map !== null && isSplit(state);
  }

  private local(instant: number): string {
    return localOf(instant, this.app.config.timeZone);
  }

  /** The first second (ms) of which the city is known; fields have whole seconds. */
  private get begin(): number {
    const { kept } = this.app.config;
    return kept === null ? 0 : Math.ceil(Date.parse(kept) / SECOND_MS) * SECOND_MS;
  }

  /** Where a moment is chosen. */
  private choice(): TemplateResult {
    return html`<form class="when" @submit=${(event: SubmitEvent) => this.choose(event)}>
      ${this.field('when', 'past.when', Math.max(Date.now() - HOUR_MS, this.begin))}
      <button class="action primary" data-past="show">${t('past.show')}</button>
      <button class="action" type="button" data-past="now" @click=${() => this.back()}>${t('cancel')}</button>
    </form>`;
  }

  private bar(at: string, against: string | null): TemplateResult {
    const { text, detail } = this.error.value ? explain(this.error.value) : { text: '', detail: null };
    const told = against === null ? t('past.then', { time: this.told(at) }) : t('compare.told', { left: this.told(at), right: this.told(against) });
    return html`<form class=${against === null ? 'when then' : 'when then comparing'} @submit=${(event: SubmitEvent) => this.choose(event)}>
      <strong role="status" data-then>${told}</strong>
      ${against === null
        ? html`${this.field('when', 'past.when', this.instant(at) ?? Date.now())} ${this.showButton()}
            <button class="action" type="button" data-past="compare" @click=${() => this.compare()}>${t('compare')}</button>`
        : html`<details class="moments" @keydown=${(event: KeyboardEvent) => this.escape(event)}>
              <summary class="action" data-compare="moments">${t('compare.moments')}</summary>
              <div>
                ${this.field('when', 'past.when', this.instant(at) ?? Date.now())}
                ${this.field('against', 'compare.with', against === NOW ? null : this.instant(against))} ${this.showButton()}
              </div>
            </details>
            ${this.ways()}`}
      <button class="action primary" type="button" data-past="now" @click=${() => this.back()}>${t('past.now')}</button>
      ${text ? html`<span role="alert" data-past="error">${[text, detail].filter(Boolean).join(' ')}</span>` : nothing}
    </form>`;
  }

  private showButton(): TemplateResult {
    return html`<button class="action" data-past="show">${t('past.show')}</button>`;
  }

  /** As colours, or side by side; how much is different; the end of it. */
  private ways(): TemplateResult {
    const { store } = this.app;
    const split = this.isDivided(store.get());
    const way = (name: 'colours' | 'sides', on: boolean, value: number | null): TemplateResult =>
      html`<button class="action" type="button" data-compare=${name} aria-pressed=${on} @click=${() => store.set({ split: value })}>${t(`compare.${name}`)}</button>`;
    // of a change set that is open it is told in the list
    const question = this.marks.value?.question.value;
    const found = question && 'from' in question ? (this.marks.value?.found.value ?? null) : null;
    const all = Object.values(found?.counts ?? {}).reduce((sum, { added, removed, changed }) => sum + added + removed + changed, 0);
    return html`<span class="ways" role="group" aria-label=${t('compare')}>${way('colours', !split, null)}${this.app.map ? way('sides', split, MIDDLE) : nothing}</span>
      <button class="action" type="button" data-compare="list" aria-pressed=${store.get().right === 'history'} @click=${() => this.list()}>
        ${found ? t('compare.different', { n: decimal(all, 0) }) : t('history')}
      </button>
      <button class="action" type="button" data-compare="end" @click=${() => store.set(ALONE)}>${t('compare.end')}</button>`;
  }

  private field(name: string, word: 'past.when' | 'compare.with', instant: number | null): TemplateResult {
    const value = instant === null ? '' : this.local(instant);
    const { at, against } = this.app.store.get();
    const isPast = at !== null;
    return html`<label
      ><span class=${name === 'when' && isPast && against === null ? 'unseen' : ''}>${t(word)}</span
      ><input type="datetime-local" step="1" name=${name} data-was=${value} ?required=${name === 'when'} .value=${value} min=${this.begin === 0 ? nothing : this.local(this.begin)} max=${this.local(Date.now())}
    /></label>`;
  }

  private list(): void {
    const { store } = this.app;
    const open = store.get().right === 'history';
    store.set({ right: open ? null : 'history', set: null });
  }

  private compare(): void {
    this.app.store.set({ against: NOW, split: null, set: null });
  }

  /** What was not touched stays as it is, to the last digit. */
  private choose(event: SubmitEvent): void {
    event.preventDefault();
    const { config, store } = this.app;
    const form = event.target as HTMLFormElement;
    const chosen = (name: string, was: string | null): string | null => {
      const input = form.elements.namedItem(name) as HTMLInputElement | null;
      if (!input || (was !== null && input.value === input.dataset['was'])) return was;
      return instantOf(input.value, config.timeZone);
    };
    const { at: before, against: other } = store.get();
    const at = chosen('when', before);
    if (at === null) return;
    const against = other === null ? null : (chosen('against', other) ?? NOW);
    choosing.value = false;
    // the earlier one stands on the left
    const turned = against !== null && against !== NOW && (this.instantOf(against) ?? 0) < (this.instantOf(at) ?? 0);
    this.shut();
    if (turned) show(store, against, at);
    else show(store, at, against);
  }

  private instantOf(at: string): number | null {
    return this.instants.peek().get(at) ?? (at.startsWith('@') ? null : Date.parse(at));
  }

  /** The other moments are closed as everything that lies over the map is. */
  private shut(): HTMLElement | null {
    const details = this.querySelector<HTMLDetailsElement>('details[open]');
    details?.removeAttribute('open');
    return details?.querySelector('summary') ?? null;
  }

  private escape(event: KeyboardEvent): void {
    const summary = event.key === 'Escape' ? this.shut() : null;
    if (!summary) return;
    event.stopPropagation();
    summary.focus();
  }

  private readonly pressed = ({ target }: Event): void => {
    if (target instanceof Node && !this.querySelector('details')?.contains(target)) this.shut();
  };

  private back(): void {
    choosing.value = false;
    show(this.app.store, null);
  }

  protected override updated(_changed: PropertyValues): void {
    if (choosing.peek() && this.app.store.get().at === null && document.activeElement === document.body) this.querySelector('input')?.focus();
  }
}
customElements.define('twin-past', PastBar);
