/** Over the map: that something is edited and not saved, and what the next click does while a point is put there. */

import { html, nothing, type TemplateResult } from 'lit';
import { beside, review } from '../app';
import { t } from '../i18n';
import { PICK, PUT_POINT } from '../state';
import { Panel } from './panel';

export class EditsBar extends Panel {
  protected override render(): TemplateResult | typeof nothing {
    const { edits, store } = this.app;
    const { at, pointer, right, selection } = store.get();
    if (at !== null) return nothing;
    if (pointer === PUT_POINT) {
      return html`<div class="pill">
        <span role="status">${t('place.click')}</span>
        <button class="action" data-action="cancel-put" @click=${() => store.set({ pointer: PICK })}>${t('cancel')}</button>
      </div>`;
    }
    const isListed = right === 'edits' && (selection === null || beside());
    if (edits.size.value === 0 || isListed) return nothing;
    return html`<div class="pill" data-unsaved=${edits.size.value}>
      <span role="status">${t('edits.bar', { n: edits.size.value })}</span>
      <button class="action primary" data-action="review" @click=${() => review(this.app)}>${t('edits.show')}</button>
    </div>`;
  }
}
customElements.define('twin-edits-bar', EditsBar);
