/** What is taken back: shown first, with who has changed what since; then, with a message, done. */

import { effect, signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { layerConfig } from '../../app';
import { keyOf } from '../../history/changes';
import { marksOf } from '../../history/marks';
import { undoingOf, type Done, type Plan, type Step, type Undo, type Undoing } from '../../history/undo';
import { dateTime, decimal, listed, t, titleOf } from '../../i18n';
import { again, message } from '../message';
import { Panel } from '../panel';
import { changeRow } from './change-row';
import { countsLine, viaOf } from './counts';
import { Sight } from './sight';

const AT_ONCE = 100;
const LONGEST_MESSAGE = 500;

export class UndoView extends Panel {
  private readonly most = signal(AT_ONCE);
  private readonly leaveOut = signal(false);

  private readonly sight = new Sight();
  private unfollow: (() => void) | null = null;

  private get undoing(): Undoing {
    return undoingOf(this.app);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.unfollow = effect(() => {
      void this.undoing.asked.value;
      this.most.value = AT_ONCE;
      this.leaveOut.value = false;
    });
  }

  /** What is being done is told when the panel is opened again. */
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
    if (!this.undoing.busy.peek()) this.undoing.clear();
  }

  protected override render(): TemplateResult {
    const { asked, plan, done, error, overtaken, busy } = this.undoing;
    return html`<h3>${asked.value ? this.titleOf(asked.value) : nothing}</h3>
      ${message(error.value, undefined, again(() => void this.undoing.make()))}
      ${overtaken.value ? html`<p class="message" role="alert" data-undo="overtaken">${t('undo.overtaken')}</p>` : nothing}
      ${done.value ? this.told(done.value) : plan.value ? this.shown(plan.value) : error.value ? nothing : html`<p class="empty">${t('undo.planning')}</p>`}
      ${done.value ? nothing : html`<button class="action" data-undo="cancel" ?disabled=${busy.value} @click=${() => this.undoing.clear()}>${t('cancel')}</button>`}`;
  }

  private titleOf(undo: Undo): string {
    if ('set' in undo) return t('undo.ofSet', { set: undo.set });
    if ('feature' in undo) {
      const layer = layerConfig(this.app, undo.layer);
      return t('undo.ofFeature', { feature: `${titleOf(layer?.title, undo.layer)} ${undo.feature}` });
    }
    return 'actor' in undo ? t('undo.ofActor', { actor: undo.actor }) : t('undo.ofArea');
  }

  private told({ set, summary }: Done): TemplateResult {
    return html`<div role="status" data-undo="done">
        <p>${set === null ? t('undo.nothing') : t('undo.done')}</p>
        <p class="counts">${countsLine(summary)}</p>
        ${set !== null && summary.conflicts > 0 ? html`<p>${t('undo.leftOut', { n: summary.conflicts })}</p>` : nothing}
      </div>
      <div class="buttons">
        ${set === null
          ? nothing
          : html`<button class="action" data-undo="look" @click=${() => this.look(set)}>${t('undo.look')}</button>`}
        <button class="action primary" data-undo="close" @click=${() => this.look(null)}>${t('undo.close')}</button>
      </div>`;
  }

  private look(set: number | null): void {
    this.undoing.clear();
    this.app.store.set({ set });
  }

  private shown(plan: Plan): TemplateResult {
    const { summary, steps, complete } = plan;
    const nothingToDo = summary.added + summary.removed + summary.changed + plan.layers.length === 0;
    return html`<div role="status" data-undo="plan">
        ${nothingToDo ? html`<p class="empty">${t('undo.nothing')}</p>` : html`<p>${t('undo.would')}</p><p class="counts">${countsLine(summary)}</p>`}
        ${summary.conflicts > 0 ? html`<p class="message" data-undo="conflicts">${t('undo.conflicts', { n: summary.conflicts })}</p>` : nothing}
        ${plan.layers.map((one) => this.layer(one))} ${this.remarks(plan)}
      </div>
      ${nothingToDo ? nothing : this.form(plan)}
      <ul class="changes">
        ${repeat(ordered(steps).slice(0, this.most.value), keyOf, (step) => this.row(step))}
      </ul>
      ${steps.length > this.most.value
        ? html`<button class="action" data-history="more" @click=${() => (this.most.value += AT_ONCE)}>${t('incidents.next')}</button>`
        : nothing}
      ${complete ? nothing : html`<p class="why">${t('undo.more', { n: steps.length })}</p>`}`;
  }

  private layer({ id, change, features, conflict }: Plan['layers'][number]): TemplateResult {
    const layer = titleOf(layerConfig(this.app, id)?.title, id);
    return html`<p data-whole-layer=${id}>${t(`whole.${change}`, { layer })}${features === null ? nothing : html` <small>${decimal(features, 0)}</small>`}</p>
      ${conflict ? html`<p class="message" data-conflict=${conflict.set}>${this.since(conflict)}</p>` : nothing}`;
  }

  private since(conflict: NonNullable<Step['conflict']>): string {
    return t('undo.since', { by: [dateTime(conflict.at), viaOf(conflict), conflict.actor].filter(Boolean).join(' · ') });
  }

  /** What an undo leaves as it is. */
  private remarks({ lost, leftOut }: Plan): TemplateResult {
    const of = (id: string): string => titleOf(layerConfig(this.app, id)?.title, id);
    const named = (id: string, names: readonly string[]): string => {
      const fields = layerConfig(this.app, id)?.fields ?? [];
      return listed(names.map((name) => titleOf(fields.find((field) => field.name === name)?.title, name) || name));
    };
    return html`${Object.entries(lost).map(([layer, fields]) => html`<p class="why">${t('undo.lost', { layer: of(layer), fields: named(layer, fields) })}</p>`)}
    ${(leftOut ?? []).map(({ layer, reason }) => html`<p class="why">${of(layer)}: <span lang="en">${reason}</span></p>`)}`;
  }

  private form({ summary }: Plan): TemplateResult {
    const { busy } = this.undoing;
    const all = summary.added + summary.removed + summary.changed;
    const leaving = this.leaveOut.value;
    const blocked = busy.value || (summary.conflicts > 0 && !leaving) || (leaving && all > 0 && all === summary.conflicts);
    return html`<form class="edit" @submit=${(event: SubmitEvent) => this.carryOut(event)}>
      ${summary.conflicts > 0
        ? html`<label class="switch wide"
            ><input
              type="checkbox"
              name="leaveOut"
              .checked=${leaving}
              @change=${(event: Event) => {
                this.leaveOut.value = (event.target as HTMLInputElement).checked;
              }}
            />${t('undo.leave', { n: summary.conflicts })}</label
          >`
        : nothing}
      <label><span>${t('undo.message')}</span><input name="message" maxlength=${LONGEST_MESSAGE} autocomplete="off" /></label>
      <div class="buttons"><button class="action primary" data-undo="do" ?disabled=${blocked}>${t('undo')}</button></div>
    </form>`;
  }

  private carryOut(event: SubmitEvent): void {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get('message') ?? '').trim();
    void this.undoing.carryOut(text, this.leaveOut.peek());
  }

  private row(step: Step): TemplateResult {
    const { conflict } = step;
    const told = conflict
      ? html`<small class="conflict" data-conflict=${conflict.set}>${this.since(conflict)}</small>`
      : nothing;
    return changeRow(this.app, { ...step, set: null, shape: null, oldShape: null }, undefined, told);
  }

  protected override updated(_changed: PropertyValues): void {
    const steps = ordered(this.undoing.plan.peek()?.steps ?? []);
    this.sight.follow(this, marksOf(this.app).chosen.peek(), steps, (count) => {
      this.most.value = Math.max(this.most.peek(), count);
    });
  }
}

/** What was changed since comes first. */
function ordered(steps: readonly Step[]): Step[] {
  return [...steps.filter(({ conflict }) => conflict !== null), ...steps.filter(({ conflict }) => conflict === null)];
}
customElements.define('twin-undo', UndoView);
