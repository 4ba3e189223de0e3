import { html, nothing, type TemplateResult } from 'lit';
import { KINDS, type ChangeSet, type Counts, type Kind } from '../../history/changes';
import { changeSign } from '../../history/sign';
import { decimal, hasWord, t, type Word } from '../../i18n';

export function kindWord(kind: Kind): string {
  return t(`change.${kind}`);
}

/** What a change set came through, in words. */
export function viaOf({ via }: Pick<ChangeSet, 'via'>): string {
  const word = `versions.${via}`;
  return hasWord(word) ? t(word as Word) : via;
}

/** How many are new, gone and changed: signs with numbers, and the words for who does not see the signs. */
export function countsLine(counts: Counts): TemplateResult {
  return html`${KINDS.map((kind) =>
    !counts[kind]
      ? nothing
      : html`<span class="number" title=${kindWord(kind)}>${changeSign(kind)} ${decimal(counts[kind], 0)}<span class="unseen"> ${kindWord(kind)}</span></span>`,
  )}`;
}
