import { html, nothing, type TemplateResult } from 'lit';
import type { Word } from '../i18n';
import { explain } from '../i18n/errors';

/** An error, told in the language of the page at the time of drawing; `words` are the panel's own for some codes. */
export function message(error: unknown, words?: Readonly<Record<string, Word>>): TemplateResult | typeof nothing {
  if (error === null) return nothing;
  const { text, detail } = explain(error, words);
  return html`<p class="message" role="alert">${text}${detail ? html`<small lang="en">${detail}</small>` : nothing}</p>`;
}
