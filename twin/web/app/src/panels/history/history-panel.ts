/** Who changed what and when; and of one change set, or of two moments, what is different. */

import { html, nothing, type TemplateResult } from 'lit';
import { clashingOf } from '../../clash/clashing';
import { marksOf } from '../../history/marks';
import { undoingOf } from '../../history/undo';
import { t } from '../../i18n';
import { Panel } from '../panel';
import './change-list';
import './clash-view';
import './model-list';
import './set-list';
import './undo-view';

export class HistoryPanel extends Panel {
  override connectedCallback(): void {
    super.connectedCallback();
    // they follow the state from here on
    marksOf(this.app);
    clashingOf(this.app);
  }

  protected override render(): TemplateResult {
    const { app } = this;
    const { store } = app;
    const clashes = store.get().clash !== null || clashingOf(app).asked.value !== null;
    const content = undoingOf(app).asked.value ? 'undo' : clashes ? 'clashes' : marksOf(app).question.value ? 'changes' : 'sets';
    return html`<div class="header">
        <h2>${t('history')}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null })}>×</button>
      </div>
      ${content === 'undo' ? html`<twin-undo class="scroll" tabindex="0" .app=${app}></twin-undo>` : nothing}
      ${content === 'clashes' ? html`<twin-clashes class="scroll" tabindex="0" .app=${app}></twin-clashes>` : nothing}
      ${content === 'changes' ? html`<twin-change-list class="scroll" tabindex="0" .app=${app}></twin-change-list>` : nothing}
      ${content === 'sets'
        ? html`<div class="scroll" tabindex="0">
            <twin-model-list .app=${app}></twin-model-list>
            <twin-set-list .app=${app}></twin-set-list>
          </div>`
        : nothing}`;
  }
}
customElements.define('twin-history', HistoryPanel);
