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
    const { config, store } = this.app;
    const { at } = store.get();
    if (at === null && !choosing.value) return nothing;
    const instant = this.instant.value ?? (at === null || at.startsWith('@') ? null : Date.parse(at));
    const { text, detail } = this.error.value ? explain(this.error.value) : { text: '', detail: null };
    return html`${at === null ? nothing : html`<div class="frame" data-frame></div>`}
      <form class=${at === null ? 'when' : 'when then'} @submit=${(event: SubmitEvent) => this.choose(event)}>
        ${at === null ? nothing : html`<strong role="status" data-then>${t('past.then', { time: instant === null ? at : localOf(instant, config.timeZone).replace('T', ' ') })}</strong>`}
        <label
          ><span class=${at === null ? '' : 'unseen'}>${t('past.when')}</span
          ><input type="datetime-local" step="1" name="when" required .value=${localOf(instant ?? Date.now() - HOUR_MS, config.timeZone)} max=${localOf(Date.now(), config.timeZone)}
        /></label>
        <button class="action" data-past="show">${t('past.show')}</button>
        <button class="action primary" type="button" data-past="now" @click=${() => this.back()}>${t(at === null ? 'cancel' : 'past.now')}</button>
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
