/** Where the panels stand: bar above, drawers left and right, tools and strip below. */

import { signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { html as tagged, unsafeStatic, type StaticValue } from 'lit/static-html.js';
import { select } from '../app';
import type { Lang } from '../config';
import { t, titleOf } from '../i18n';
import { show } from '../past';
import { isKnown } from '../session';
import '../tools/tools';
import { Panel } from './panel';
import { isOffered, isOpen, label, openCard, openPanel, panels, toggled, type PanelEntry } from './registry';
import './edits-bar';
import './past-bar';
import './strip';
import './why';

const LANGUAGES: Record<Lang, string> = { 'zh-CN': '中文', en: 'EN' };
const tags = new Map<string, StaticValue>();

/** One value a tag: the template is made anew for another. */
function staticTag(tag: string): StaticValue {
  const known = tags.get(tag) ?? unsafeStatic(tag);
  tags.set(tag, known);
  return known;
}

export class Shell extends Panel {
  /** Chunks that could not be loaded, by tag. */
  private readonly failed = signal<ReadonlySet<string>>(new Set());
  private readonly ready = signal(0);
  /** What had the focus when a card opened: it gets it back. */
  private opener: HTMLElement | null = null;
  private hadCard = false;

  protected override render(): TemplateResult {
    const { app } = this;
    const { store } = app;
    const on = (side: PanelEntry['side']): PanelEntry[] => panels.all().filter((entry) => entry.side === side);
    return html`<header class="bar">
        ${on('left').map((entry) => this.button(entry))}
        <h1>${titleOf(app.config.title)}</h1>
        ${on('bar').map((entry) => this.element(entry, ''))}
        <span class="space"></span>
        ${isKnown() ? html`<span class="mark key" title=${t('key.present')}>${t('key')}</span>` : nothing}
        ${on('right').map((entry) => this.button(entry))} ${this.languages()}
      </header>
      <twin-past role="region" aria-label=${t('past')} .app=${app}></twin-past>
      ${this.drawer(openPanel(store.get(), 'left'), 'left')} ${this.drawer(openPanel(store.get(), 'right'), 'right')}
      ${this.drawer(openCard(store.get()), 'right card')}
      <twin-edits-bar class="edits-bar" role="region" aria-label=${t('edits.unsaved')} .app=${app}></twin-edits-bar>
      <twin-why class="notice" role="status" .app=${app}></twin-why>
      <twin-tools class="tools" role="region" aria-label=${t('tools')} .app=${app}></twin-tools>
      <twin-strip class="strip" role="region" aria-label=${t('strip')} .app=${app}></twin-strip>
      ${app.map ? nothing : html`<p class="nogl" role="status">${t('nogl')}</p>`} ${this.question()}`;
  }

  private button(entry: PanelEntry): TemplateResult | typeof nothing {
    if (!entry.button || !isOffered(entry)) return nothing;
    const { store } = this.app;
    const badge = entry.badge?.(this.app) ?? 0;
    const title = badge > 0 ? `${label(entry.title)} (${badge})` : label(entry.title);
    return html`<button
      class=${entry.icon ? 'icon' : 'text'}
      data-panel=${entry.id}
      data-badge=${badge > 0 ? badge : nothing}
      aria-label=${title}
      aria-pressed=${isOpen(store.get(), entry)}
      title=${entry.key ? `${title} (${entry.key.toUpperCase()})` : title}
      @click=${() => store.set(toggled(store.get(), entry))}
    >
      ${entry.icon
        ? html`<svg viewBox="0 0 16 16" aria-hidden="true">
            <path d=${entry.icon} fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round"></path>
          </svg>`
        : title}
    </button>`;
  }

  private languages(): TemplateResult | typeof nothing {
    const { config, store } = this.app;
    if (config.languages.length < 2) return nothing;
    const { lang } = store.get();
    return html`<select
      class="language"
      aria-label=${t('language')}
      @change=${(event: Event) => store.set({ lang: (event.target as HTMLSelectElement).value as Lang })}
    >
      ${config.languages.map((one) => html`<option value=${one} ?selected=${one === lang}>${LANGUAGES[one]}</option>`)}
    </select>`;
  }

  protected override willUpdate(_changed: PropertyValues): void {
    const hasCard = openCard(this.app.store.get()) !== undefined;
    if (hasCard && !this.hadCard) this.opener = document.activeElement as HTMLElement | null;
    this.hadCard = hasCard;
  }

  protected override updated(_changed: PropertyValues): void {
    const dialog = this.querySelector('dialog');
    if (dialog && !dialog.open) dialog.showModal();
    if (this.hadCard || document.activeElement !== document.body) return;
    if (this.opener?.isConnected && this.opener !== document.body) this.opener.focus();
    this.opener = null;
  }

  /** Before text that was not sent is dropped. */
  private question(): TemplateResult | typeof nothing {
    const { store } = this.app;
    const { draft } = store;
    if (!draft.waiting.value) return nothing;
    const drop = (): void => {
      const patch = draft.drop();
      if (patch) store.set(patch);
    };
    return html`<dialog class="question" aria-labelledby="question" @cancel=${() => draft.keep()}>
      <p id="question">${t('draft.question')}</p>
      <div class="buttons">
        <button class="action primary" data-action="keep" @click=${() => draft.keep()}>${t('draft.keep')}</button>
        <button class="action" data-action="drop" @click=${drop}>${t('draft.drop')}</button>
      </div>
    </dialog>`;
  }

  private drawer(entry: PanelEntry | undefined, side: string): TemplateResult | typeof nothing {
    if (!entry) return nothing;
    const place = `drawer ${side} ${entry.tall ? 'tall' : ''}`;
    if (entry.live && this.app.store.get().at !== null) return this.onlyNow(entry, place);
    void this.ready.value;
    if (customElements.get(entry.tag)) return this.element(entry, place);
    if (!this.failed.value.has(entry.tag)) void this.load(entry);
    return html`<section class=${place} data-loading=${entry.id}>
      <div class="header">
        <h2>${label(entry.title)}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => this.close(entry)}>×</button>
      </div>
      ${this.failed.value.has(entry.tag)
        ? html`<div class="scroll">
            <p class="message" role="alert">${t('panel.failed')}</p>
            <button class="action" @click=${() => void this.load(entry)}>${t('panel.again')}</button>
          </div>`
        : nothing}
    </section>`;
  }

  /** In place of what is told of now alone, while the city is shown as it was. */
  private onlyNow(entry: PanelEntry, place: string): TemplateResult {
    return html`<section class=${place} data-only-now=${entry.id}>
      <div class="header">
        <h2>${label(entry.title)}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => this.close(entry)}>×</button>
      </div>
      <div class="scroll">
        <p class="message">${t('past.live')}</p>
        <button class="action" @click=${() => show(this.app.store, null)}>${t('past.now')}</button>
      </div>
    </section>`;
  }

  private close(entry: PanelEntry): void {
    const { store } = this.app;
    if (entry.card) select(this.app, null);
    else store.set(toggled(store.get(), entry));
  }

  private element({ tag, card, side, title }: PanelEntry, place: string): TemplateResult {
    const { app } = this;
    const name = staticTag(tag);
    const selection = card ? app.store.get().selection : null;
    const role = side === 'bar' ? 'search' : 'region';
    return tagged`<${name} class=${place} role=${role} aria-label=${label(title)} .app=${app} .selection=${selection}></${name}>`;
  }

  private async load(entry: PanelEntry): Promise<void> {
    const mark = (failed: boolean): void => {
      const tagsFailed = new Set(this.failed.peek());
      if (failed) tagsFailed.add(entry.tag);
      else tagsFailed.delete(entry.tag);
      this.failed.value = tagsFailed;
    };
    try {
      await entry.load();
      mark(false);
      this.ready.value += 1;
    } catch (error) {
      console.warn(`the panel ${entry.id} could not be loaded`, error);
      mark(true);
    }
  }
}
customElements.define('twin-shell', Shell);
