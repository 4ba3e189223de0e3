/** What one change set changed, or what is different between two moments: numbers by layer, and each feature with its values. */

import { effect, signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { layerConfig } from '../../app';
import { afterSet, beforeSet, getSet, keyOf, KINDS, sum, type Answer, type ChangeSet, type Kind } from '../../history/changes';
import { marksOf, type Marks } from '../../history/marks';
import { changeSign } from '../../history/sign';
import { undoingOf } from '../../history/undo';
import { dateTime, listed, t, titleOf } from '../../i18n';
import { NOW, show } from '../../past';
import { may } from '../../session';
import { again, message } from '../message';
import { Panel } from '../panel';
import { changeRow } from './change-row';
import { countsLine, kindWord, viaOf } from './counts';
import { Sight } from './sight';

const AT_ONCE = 100;

export class ChangeList extends Panel {
  private readonly set = signal<ChangeSet | null>(null);
  private readonly most = signal(AT_ONCE);
  /** Only these are listed: of a layer, of a kind. */
  private readonly layer = signal<string | null>(null);
  private readonly kind = signal<Kind | null>(null);
  private unfollow: (() => void)[] = [];
  private readonly sight = new Sight();
  /** Why it is not known what the change set is. */
  private readonly unread = signal<unknown>(null);

  private get marks(): Marks {
    return marksOf(this.app);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { store } = this.app;
    this.unfollow = [
      effect(() => {
        const { set } = store.get();
        this.layer.value = null;
        this.kind.value = null;
        this.most.value = AT_ONCE;
        void this.read(set);
      }),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.unfollow) stop();
  }

  private async read(id: number | null): Promise<void> {
    this.set.value = null;
    this.unread.value = null;
    if (id === null) return;
    const isMeant = (): boolean => this.app.store.get().set === id;
    try {
      const found = await getSet(id);
      if (isMeant()) this.set.value = found;
    } catch (error) {
      if (isMeant()) this.unread.value = error;
    }
  }

  protected override render(): TemplateResult {
    const { store } = this.app;
    const found = this.marks.found.value;
    const error = this.marks.error.value;
    const { set, version } = store.get();
    return html`${set === null && version === null
        ? found?.between && html`<h3 data-between>${t('compare.told', { left: dateTime(found.between.from.at), right: store.get().against === NOW ? t('compare.now') : dateTime(found.between.to.at) })}</h3>`
        : html`<button class="link" data-history="back" @click=${() => store.set({ set: null, version: null })}>${t('history.back')}</button>`}
      ${set === null && version !== null
        ? html`<h3 data-model-version=${version.to}>${t('models.told', { name: version.to, other: version.from ?? t('compare.now') })}</h3>`
        : nothing}
      ${this.head()}
      ${message(error ?? this.unread.value, undefined, again(() => this.again()))}
      ${found || error ? nothing : html`<p class="empty">${t('chart.loading')}</p>`}
      ${found ? this.told(found) : nothing}`;
  }

  private again(): void {
    if (this.marks.error.peek()) this.marks.again();
    if (this.unread.peek()) void this.read(this.app.store.get().set);
  }

  private head(): TemplateResult | typeof nothing {
    const one = this.set.value;
    if (!one) return nothing;
    const { store } = this.app;
    const moment = (at: string, word: 'history.before' | 'history.after'): TemplateResult =>
      html`<button class="action" data-moment=${at} aria-pressed=${store.get().at === at} @click=${() => show(store, at)}>${t(word)}</button>`;
    return html`<section class="group" data-of-set=${one.id}>
      <h3>${dateTime(one.at)}</h3>
      <p>${[t('history.set', { set: one.id }), viaOf(one), one.actor].filter(Boolean).join(' · ')}</p>
      ${one.message ? html`<p>${one.message}</p>` : nothing}
      <div class="buttons">
        ${moment(beforeSet(one), 'history.before')} ${moment(afterSet(one), 'history.after')}
        ${may('edit') ? html`<button class="action" data-undo="set" @click=${() => void undoingOf(this.app).begin({ set: one.id })}>${t('undo.begin')}</button>` : nothing}
      </div>
    </section>`;
  }

  private told(found: Answer): TemplateResult {
    const { counts, complete, gone } = found;
    const layers = Object.entries(counts);
    const list = found.changes.filter(({ layer, change }) => (this.layer.value ?? layer) === layer && (this.kind.value ?? change) === change);
    const all = sum(counts);
    return html`<section class="group" data-summary>
        ${layers.length === 0 ? html`<p class="empty" data-why="change.nothing">${t('change.nothing')}</p>` : nothing}
        <ul>
          ${layers.map(
            ([id, one]) => html`<li>
              <button class="entry" data-layer=${id} aria-pressed=${this.layer.value === id} @click=${() => this.only(id)}>
                <span class="name">${titleOf(layerConfig(this.app, id)?.title, id)}</span>${countsLine(one)}
              </button>
            </li>`,
          )}
        </ul>
        ${complete ? nothing : html`<p class="why">${t('change.incomplete')}</p>`}
        ${gone.length > 0 ? html`<p class="why" data-why="change.gone">${t('change.gone', { layers: listed(gone.map((id) => titleOf(layerConfig(this.app, id)?.title, id))) })}</p>` : nothing}
        ${layers.length > 0
          ? html`<div class="kinds" role="group" aria-label=${t('history.kinds')}>
              ${KINDS.map(
                (kind) => all[kind] === undefined || (kind === 'moved' && !found.models) ? nothing : html`<button class="kind" data-kind=${kind} ?disabled=${all[kind] === 0} aria-pressed=${this.kind.value === kind} @click=${() => this.onlyKind(kind)}>
                  ${changeSign(kind)} ${kindWord(kind)}
                </button>`,
              )}
            </div>`
          : nothing}
      </section>
      ${found.whole ? nothing : html`<p class="why" data-why="change.view">${t('change.view')}</p>`}
      <ul class="changes">
        ${repeat(list.slice(0, this.most.value), keyOf, (change) => changeRow(this.app, change, this.set.value?.id))}
      </ul>
      ${list.length > this.most.value
        ? html`<button class="action" data-history="more" @click=${() => (this.most.value += AT_ONCE)}>${t('incidents.next')}</button>`
        : nothing}`;
  }

  private only(layer: string): void {
    this.layer.value = this.layer.peek() === layer ? null : layer;
  }

  private onlyKind(kind: Kind): void {
    this.kind.value = this.kind.peek() === kind ? null : kind;
  }

  protected override updated(_changed: PropertyValues): void {
    const changes = this.marks.found.peek()?.changes ?? [];
    this.sight.follow(this, this.marks.chosen.peek(), changes, (count) => {
      this.layer.value = null;
      this.kind.value = null;
      this.most.value = Math.max(this.most.peek(), count);
    });
  }
}
customElements.define('twin-change-list', ChangeList);
