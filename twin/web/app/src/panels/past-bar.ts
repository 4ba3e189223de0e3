/** The bar over a city as it was: of when it is, another moment, and the way back to now. */

import { effect, signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { getMoment } from '../api';
import { t } from '../i18n';
import { explain } from '../i18n/errors';
import { choosing, instantOf, localOf, show } from '../past';
import { Panel } from './panel';

const HOUR_MS = 3_600_000;

export class PastBar extends Panel {
  /** The instant of the moment that is shown, as the server says it (ms). */
  private readonly instant = signal<number | null>(null);
  private readonly error = signal<unknown>(null);
  private unfollow: (() => void) | null = null;
  private turn = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.unfollow = effect(() => {
      const { at } = this.app.store.get();
      document.documentElement.toggleAttribute('data-past', at !== null || choosing.value);
      void this.look(at);
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
  }

  private async look(at: string | null): Promise<void> {
    const turn = ++this.turn;
    this.error.value = null;
    this.instant.value = null;
    if (at === null) return;
    try {
      const instant = await getMoment(at);
      if (turn === this.turn) this.instant.value = at.startsWith('@') ? instant : Date.parse(at);
    } catch (error) {
      if (turn === this.turn) this.error.value = error;
    }
  }

  protected override render(): TemplateResult | typeof nothing {
    const { at } = this.app.store.get();
    if (at !== null) {
      const instant = this.instant.value ?? (at.startsWith('@') ? null : Date.parse(at));
      const time = instant === null ? at : this.local(instant).replace('T', ' ');
      const told = html`<strong role="status" data-then>${t('past.then', { time })}</strong>`;
      return html`<div class="frame" data-frame></div>
        ${this.form('when then', told, instant ?? Date.now(), 'past.now')}`;
    }
    return choosing.value ? this.form('when', nothing, Date.now() - HOUR_MS, 'cancel') : nothing;
  }

  private local(instant: number): string {
    return localOf(instant, this.app.config.timeZone);
  }

  private form(kind: string, told: TemplateResult | typeof nothing, instant: number, back: 'past.now' | 'cancel'): TemplateResult {
    const { text, detail } = this.error.value ? explain(this.error.value) : { text: '', detail: null };
    const isPast = back === 'past.now';
    return html`<form class=${kind} @submit=${(event: SubmitEvent) => this.choose(event)}>
      ${told}
      <label
        ><span class=${isPast ? 'unseen' : ''}>${t('past.when')}</span
        ><input type="datetime-local" step="1" name="when" required .value=${this.local(instant)} max=${this.local(Date.now())}
      /></label>
      <button class=${isPast ? 'action' : 'action primary'} data-past="show">${t('past.show')}</button>
      <button class=${isPast ? 'action primary' : 'action'} type="button" data-past="now" @click=${() => this.back()}>${t(back)}</button>
      ${text ? html`<span role="alert" data-past="error">${[text, detail].filter(Boolean).join(' ')}</span>` : nothing}
    </form>`;
  }

  private choose(event: SubmitEvent): void {
    event.preventDefault();
    const { config, store } = this.app;
    const at = instantOf(String(new FormData(event.target as HTMLFormElement).get('when')), config.timeZone);
    if (at === null) return;
    show(store, at);
    choosing.value = false;
  }

  private back(): void {
    choosing.value = false;
    show(this.app.store, null);
  }

  protected override updated(_changed: PropertyValues): void {
    if (choosing.peek() && this.app.store.get().at === null && document.activeElement === document.body) this.querySelector('input')?.focus();
  }
}
customElements.define('twin-past', PastBar);
