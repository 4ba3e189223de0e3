/** The card of a feature that is not saved yet. */

import { html, nothing, type TemplateResult } from 'lit';
import { select } from '../../app';
import { placeText, type Change } from '../../editing/change';
import { t, titleOf } from '../../i18n';
import type { LiveSelection } from '../../state';
import { fieldsForm } from '../feature/form';
import { saveButtons, saveFrom } from '../edits/save';
import { message } from '../message';
import { Panel } from '../panel';

export class NewCard extends Panel {
  protected override render(): TemplateResult {
    const { app } = this;
    const { edits } = app;
    const { id } = this.selection as LiveSelection;
    const change = edits.made(id);
    const layer = change && edits.layerOf(change);
    return html`<div class="header">
        <div>
          <small>${layer ? titleOf(layer.title, layer.id) : nothing}</small>
          <h2>${t('edits.newOne', { n: id })} ${change ? html`<span class="mark unsaved">${t('edits.unsaved')}</span>` : nothing}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0" data-new=${id}>
        ${change && layer
          ? html`${message(edits.faults(change)?.whole ?? null)}
            <form @submit=${(event: Event) => saveFrom(app, event)}>
              ${fieldsForm({
                app,
                layer,
                change,
                properties: {},
                place: placeText(change),
                within: this,
                typing: {
                  type: (name, text) => this.current((one) => edits.retype(one, name, text)),
                  place: (text) => this.current((one) => edits.replace(one, text)),
                },
              })}
              ${saveButtons(app, change)}
            </form>`
          : html`<p class="empty">${t('edits.noneSuch')}</p>`}
      </div>`;
  }

  /** With the change as it is by then. */
  private current(run: (change: Change) => void): void {
    const change = this.app.edits.made((this.selection as LiveSelection).id);
    if (change) run(change);
  }
}
customElements.define('twin-new', NewCard);
