/** Several edits to take back: those of a person, or of whoever made them in the view, between two times. */

import { signal } from '@preact/signals-core';
import { html, nothing, type TemplateResult } from 'lit';
import { undoingOf } from '../../history/undo';
import { t } from '../../i18n';
import { viewBox } from '../../map/view-box';
import { instantOf, localOf } from '../../past';
import { Panel } from '../panel';

const HOUR_MS = 3_600_000;

export class UndoForm extends Panel {
  private readonly wrong = signal(false);

  protected override render(): TemplateResult {
    const zone = this.app.config.timeZone;
    const time = (name: string, word: 'undo.from' | 'undo.to', value: string, required: boolean): TemplateResult =>
      html`<label><span>${t(word)}</span><input type="datetime-local" step="1" name=${name} .defaultValue=${value} ?required=${required} /></label>`;
    return html`<details class="versions">
      <summary>${t('undo.several')}</summary>
      <form class="edit" data-undo="several" @submit=${(event: SubmitEvent) => this.begin(event)}>
        <label><span>${t('history.actor')}</span><input name="actor" list="history-actors" autocomplete="off" maxlength="200" placeholder=${t('history.everybody')} /></label>
        ${time('from', 'undo.from', localOf(Date.now() - HOUR_MS, zone), true)} ${time('to', 'undo.to', '', false)}
        ${this.app.map ? html`<label class="switch wide"><input type="checkbox" name="here" />${t('history.here')}</label>` : nothing}
        ${this.wrong.value ? html`<p class="message" role="alert">${t('undo.who')}</p>` : nothing}
        <div class="buttons"><button class="action">${t('undo.show')}</button></div>
      </form>
    </details>`;
  }

  private begin(event: SubmitEvent): void {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const moment = (name: string): string | null => instantOf(String(data.get(name) ?? ''), this.app.config.timeZone);
    const actor = String(data.get('actor') ?? '').trim();
    const [from, to] = [moment('from'), moment('to')];
    const bbox = data.get('here') ? viewBox(this.app) : null;
    this.wrong.value = !actor && !bbox;
    if (from === null || this.wrong.peek()) return;
    const when = { from, ...(to === null ? {} : { to }) };
    const undoing = undoingOf(this.app);
    if (actor) void undoing.begin({ actor, ...when, ...(bbox ? { bbox } : {}) });
    else if (bbox) void undoing.begin({ bbox, ...when });
  }
}
customElements.define('twin-undo-form', UndoForm);
