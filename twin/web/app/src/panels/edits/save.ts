/** The buttons under what is edited in a card. */

import { html, nothing, type TemplateResult } from 'lit';
import { ApiError } from '../../api';
import { review, type App } from '../../app';
import type { Change } from '../../editing/change';
import type { Edits } from '../../editing/edits';
import { t } from '../../i18n';
import { message } from '../message';

/** Saves what is edited where that is of one feature, else leads to the list of all. */
export function save(app: App): void {
  const { edits } = app;
  if (edits.size.peek() === 1) void edits.save();
  else if (edits.size.peek() > 1) review(app);
}

export function saveFrom(app: App, event: Event): void {
  event.preventDefault();
  save(app);
}

/** Why nothing could be saved. */
export function failed({ failure }: Edits): TemplateResult | typeof nothing {
  const error = failure.value;
  // nobody answered: it may have been written
  return error instanceof TypeError ? html`<div class="message" role="alert">${t('edits.unsure')}</div>` : message(error);
}

/** `change` is what may be discarded beside it, `more` are further buttons. */
export function saveButtons(app: App, change: Change | null, more: TemplateResult | typeof nothing = nothing): TemplateResult {
  const { edits } = app;
  const size = edits.size.value;
  const error = edits.failure.value;
  // what is wrong with single features stands at them
  const isTold = error instanceof ApiError && error.exceptions.length > 0 && size > 1;
  return html`${isTold ? nothing : failed(edits)}
    <div class="buttons">
      <button class="action primary" data-action="save" ?disabled=${edits.saving.value || size === 0} @click=${(event: Event) => saveFrom(app, event)}>
        ${size > 1 ? t('edits.review', { n: size }) : t('save')}
      </button>
      ${change
        ? html`<button class="action" type="button" data-action="discard" ?disabled=${edits.saving.value} @click=${() => edits.discard(change)}>
            ${t('edits.discard')}
          </button>`
        : nothing}
      ${more}
    </div>`;
}
