/** What is edited and not saved: each feature with its fields, why, and the saving of all at once. */

import { html, nothing, type TemplateResult } from 'lit';
import { isPoint, keyOfChange } from '../../editing/change';
import { addPoint, putPoint, putting } from '../../editing/sketch';
import { t, titleOf } from '../../i18n';
import { writePlace } from '../../place';
import { PICK, PUT_POINT } from '../../state';
import { Panel } from '../panel';
import './change-view';
import { failed } from './save';

/** As the server takes it. */
const LONGEST_MESSAGE = 1000;

export class EditsPanel extends Panel {
  protected override render(): TemplateResult {
    const { store, edits } = this.app;
    const changes = [...edits.changes.values()];
    return html`<div class="header">
        <h2>${t('edits')}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null })}>×</button>
      </div>
      <div class="scroll" tabindex="0">
        ${this.state(changes.length)}
        ${changes.length > 0
          ? html`<ul class="edits">
              ${changes.map((change) => {
                const key = keyOfChange(change);
                return html`<li><twin-change .app=${this.app} .key=${key} .jumps=${true} data-change=${key}></twin-change></li>`;
              })}
            </ul>`
          : nothing}
        ${changes.length > 0 ? this.form() : nothing} ${this.steps(changes.length)} ${this.adding()}
      </div>`;
  }

  private state(size: number): TemplateResult {
    const { edits } = this.app;
    const saved = edits.saved.value;
    return html`<div role="status">
        ${saved !== null
          ? html`<p class="saved" data-saved>${t('edits.saved', { n: saved })}</p>`
          : size === 0
            ? html`<p class="empty">${t('edits.none')}</p>`
            : nothing}
      </div>
      ${failed(edits)}`;
  }

  private form(): TemplateResult {
    const { edits } = this.app;
    return html`<form
      class="saving"
      @submit=${(event: Event) => {
        event.preventDefault();
        void this.save();
      }}
    >
      <label
        ><span>${t('edits.why')}</span>
        <textarea
          name="message"
          rows="2"
          maxlength=${LONGEST_MESSAGE}
          .value=${edits.message.value}
          @input=${(event: Event) => {
            edits.message.value = (event.target as HTMLTextAreaElement).value;
          }}
        ></textarea>
      </label>
      <div class="buttons">
        <button class="action primary" data-action="save-all" ?disabled=${edits.saving.value}>${t('edits.save', { n: edits.size.value })}</button>
        <button class="action" type="button" data-action="discard-all" ?disabled=${edits.saving.value} @click=${() => edits.discardAll()}>
          ${t('edits.discardAll')}
        </button>
      </div>
    </form>`;
  }

  /** What stands against it is looked at. */
  private async save(): Promise<void> {
    await this.app.edits.save();
    await this.updateComplete;
    await Promise.all([...this.querySelectorAll<Panel>('twin-change')].map((one) => one.updateComplete));
    this.querySelector('[data-conflict], .fault, twin-change .message')?.scrollIntoView({ block: 'nearest' });
  }

  private steps(size: number): TemplateResult | typeof nothing {
    const { edits } = this.app;
    if (size === 0 && !edits.canUndo && !edits.canRedo) return nothing;
    return html`<div class="buttons">
      <button class="action" data-action="undo" title="Ctrl+Z" ?disabled=${!edits.canUndo} @click=${() => edits.undo()}>${t('edits.undo')}</button>
      <button class="action" data-action="redo" title="Ctrl+Shift+Z" ?disabled=${!edits.canRedo} @click=${() => edits.redo()}>
        ${t('edits.redo')}
      </button>
    </div>`;
  }

  /** New points of the layers that take some. */
  private adding(): TemplateResult | typeof nothing {
    const { app } = this;
    const { store } = app;
    const layers = app.config.layers.filter((layer) => layer.edits.includes('create') && isPoint(layer));
    if (layers.length === 0) return nothing;
    const chosen = (): string => this.querySelector<HTMLSelectElement>('select[name=layer]')!.value;
    const isPutting = store.get().pointer === PUT_POINT && putting.value !== null && 'layer' in putting.value;
    return html`<section class="group adding">
      <h3>${t('edits.add')}</h3>
      <label class="choice"
        ><span class="unseen">${t('edits.layer')}</span>
        <select name="layer">
          ${layers.map(({ id, title }) => html`<option value=${id}>${titleOf(title, id)}</option>`)}
        </select>
      </label>
      <div class="buttons">
        ${app.map
          ? html`<button
              class="action"
              data-action="put"
              aria-pressed=${isPutting}
              @click=${() => (isPutting ? store.set({ pointer: PICK }) : putPoint(app, { layer: chosen() }))}
            >
              ${t('place.put')}
            </button>`
          : nothing}
        <button class="action" data-action="add-here" @click=${() => addPoint(app, chosen(), this.middle())}>${t('edits.addMiddle')}</button>
      </div>
      ${isPutting ? html`<p class="told" role="status">${t('place.click')}</p>` : nothing}
    </section>`;
  }

  /** The middle of what is seen of the map. */
  private middle(): string {
    const { view } = this.app.store.get();
    return writePlace([view.lon, view.lat]);
  }
}
customElements.define('twin-edits', EditsPanel);
