import { html, nothing, type TemplateResult } from 'lit';
import { t, type Word } from '../i18n';
import { explain } from '../i18n/errors';

/** What to do about it: a button, or a page to look at. */
export type Next = { word: Word; action: string; run(): void } | { word: Word; href: string };

export function again(run: () => void): Next {
  return { word: 'panel.again', action: 'again', run };
}

export function nextStep(next: Next): TemplateResult {
  return 'href' in next
    ? html`<a class="action" href=${next.href} target="_blank">${t(next.word)}</a>`
    : html`<button class="action" data-action=${next.action} @click=${next.run}>${t(next.word)}</button>`;
}

/** An error, told in the language of the page at the time of drawing, and the next step where there is one;
 * `words` are the panel's own for some codes. */
export function message(
  error: unknown,
  words?: Readonly<Record<string, Word>>,
  next?: Next,
): TemplateResult | typeof nothing {
  if (error === null) return nothing;
  const { text, detail } = explain(error, words);
  return html`<div class="message" role="alert">
    ${text}${detail ? html`<small lang="en">${detail}</small>` : nothing}
    ${next ? nextStep(next) : nothing}
  </div>`;
}
