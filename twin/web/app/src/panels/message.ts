import { html, nothing, type TemplateResult } from 'lit';
import { t, type Word } from '../i18n';
import { explain } from '../i18n/errors';

/** An error, told in the language of the page at the time of drawing, and the next step where there is one;
 * `words` are the panel's own for some codes. */
export function message(
  error: unknown,
  words?: Readonly<Record<string, Word>>,
  again?: () => void,
): TemplateResult | typeof nothing {
  if (error === null) return nothing;
  const { text, detail } = explain(error, words);
  return html`<div class="message" role="alert">
    ${text}${detail ? html`<small lang="en">${detail}</small>` : nothing}
    ${again ? html`<button class="action" data-action="again" @click=${again}>${t('panel.again')}</button>` : nothing}
  </div>`;
}
