/** Where the panels stand: bar above, drawers left and right, tools and strip below. */

import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Lang } from '../config';
import { t, titleOf } from '../i18n';
import { isKnown } from '../session';
import './feature/feature-card';
import './incident/incident-card';
import './incident-list/incident-list';
import './layer-tree/layer-tree';
import { Panel } from './panel';
import './search/search';
import './sensor/sensor-card';
import './strip';
import '../tools/tools';

const LANGUAGES: Record<Lang, string> = { 'zh-CN': '中文', en: 'EN' };

export class Shell extends Panel {
  static override properties: PropertyDeclarations = { ...Panel.properties };

  protected override render(): TemplateResult {
    const { app } = this;
    const { left, right } = app.store.get();
    return html`<header class="bar">
        <button
          class="icon"
          aria-label=${t('layers')}
          title="${t('layers')} (L)"
          aria-pressed=${left !== null}
          @click=${() => app.store.set({ left: left ? null : 'layers' })}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 2l6.5 3.2L8 8.4 1.5 5.2zM1.5 8L8 11.2 14.5 8M1.5 10.8L8 14l6.5-3.2" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round"></path>
          </svg>
        </button>
        <h1>${titleOf(app.config.title)}</h1>
        <twin-search .app=${app}></twin-search>
        <span class="space"></span>
        ${isKnown() ? html`<span class="mark key" title=${t('key.present')}>${t('key')}</span>` : nothing}
        <button
          class="text"
          data-panel="incidents"
          aria-pressed=${right === 'incidents'}
          title="${t('incidents')} (I)"
          @click=${() => app.store.set({ right: right === 'incidents' ? null : 'incidents' })}
        >
          ${t('incidents')}
        </button>
        ${this.languages()}
      </header>
      ${left ? html`<twin-layers class="drawer left" .app=${app}></twin-layers>` : nothing} ${this.rightDrawer()}
      <twin-tools class="tools" .app=${app}></twin-tools>
      <twin-strip class="strip" .app=${app}></twin-strip>
      ${app.map ? nothing : html`<p class="nogl" role="alert">${t('nogl')}</p>`}`;
  }

  private languages(): TemplateResult {
    const { config, store } = this.app;
    if (config.languages.length < 2) return html`${nothing}`;
    const { lang } = store.get();
    return html`<select
      class="language"
      aria-label=${t('language')}
      @change=${(event: Event) => store.set({ lang: (event.target as HTMLSelectElement).value as Lang })}
    >
      ${config.languages.map((one) => html`<option value=${one} ?selected=${one === lang}>${LANGUAGES[one]}</option>`)}
    </select>`;
  }

  private rightDrawer(): TemplateResult {
    const { app } = this;
    const { right, selection } = app.store.get();
    if (right === 'incidents') return html`<twin-incidents class="drawer right" .app=${app}></twin-incidents>`;
    if (right !== 'card' || !selection) return html`${nothing}`;
    if (selection.type === 'sensor') {
      return html`<twin-sensor class="drawer right" .app=${app} .sensor=${selection.id}></twin-sensor>`;
    }
    if (selection.type === 'incident') {
      return html`<twin-incident class="drawer right" .app=${app} .incident=${selection.id}></twin-incident>`;
    }
    return html`<twin-feature
      class="drawer right"
      .app=${app}
      .layer=${selection.layer}
      .fid=${selection.fid}
    ></twin-feature>`;
  }
}
customElements.define('twin-shell', Shell);
