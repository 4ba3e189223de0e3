/** Change sets, newest first. */

import { signal } from '@preact/signals-core';
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { layerConfig } from '../../app';
import { countsOf, getSets, sum, type ChangeSet, type Counts, type Filter } from '../../history/changes';
import { dateTime, t, titleOf } from '../../i18n';
import { Later } from '../../later';
import { viewBox } from '../../map/view-box';
import { may } from '../../session';
import { Engaged } from '../engaged';
import { again, message } from '../message';
import { Panel } from '../panel';
import { countsLine, viaOf } from './counts';
import './undo-form';

const LATER_MS = 500;

export class SetList extends Panel {
  private readonly sets = signal<readonly ChangeSet[] | null>(null);
  private readonly following = signal<number | null>(null);
  private readonly error = signal<unknown>(null);
  private readonly filter = signal<Filter>({ layer: null, actor: null, box: null });
  /** By change set; null while it is asked for, and where nothing is known of it any more. */
  private readonly counts = signal<ReadonlyMap<number, Counts | null>>(new Map());
  /** How many there are that are not listed yet, as somebody is at the list. */
  private readonly waiting = signal(0);
  /** People that were seen in the list. */
  private readonly actors = signal<readonly string[]>([]);
  private readonly engaged = new Engaged();
  private request: AbortController | null = null;
  private counting: AbortController | null = null;
  private readonly looking = new Later(LATER_MS, () => void this.look());

  override connectedCallback(): void {
    super.connectedCallback();
    this.app.events.addEventListener('edited', this.edited);
    this.app.events.addEventListener('back', this.edited);
    void this.load();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.app.events.removeEventListener('edited', this.edited);
    this.app.events.removeEventListener('back', this.edited);
    this.request?.abort();
    this.engaged.end();
    this.counting?.abort();
    this.counting = null;
    this.looking.stop();
  }

  private readonly edited = (): void => this.looking.soon();

  /** Something has changed: it is listed, or counted while the list must not move. */
  private async look(): Promise<void> {
    const known = this.sets.peek();
    if (!known || this.error.peek()) return this.load();
    const { sets } = await getSets(this.filter.peek(), null).catch(() => ({ sets: [] }));
    const newest = known[0]?.id ?? 0;
    const fresh = sets.filter(({ id }) => id > newest);
    if (fresh.length === 0 || known !== this.sets.peek()) return;
    if (this.engaged.value) this.waiting.value = fresh.length;
    else if (fresh.length < sets.length) this.put([...fresh, ...known], this.following.peek());
    else void this.load();
  }

  private async load(before: number | null = null): Promise<void> {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.error.value = null;
    try {
      const page = await getSets(this.filter.peek(), before, request.signal);
      if (request.signal.aborted) return;
      this.put(before === null ? page.sets : [...(this.sets.peek() ?? []), ...page.sets], page.before);
    } catch (error) {
      if (!request.signal.aborted) this.error.value = error;
    }
  }

  private put(sets: readonly ChangeSet[], before: number | null): void {
    this.sets.value = sets;
    this.following.value = before;
    this.waiting.value = 0;
    const actors = new Set([...this.actors.peek(), ...sets.flatMap(({ actor }) => actor ?? [])]);
    this.actors.value = [...actors].sort();
    void this.count();
  }

  /** One after the other; a load may be the whole city: its numbers are told where it is looked at. */
  private async count(): Promise<void> {
    // what is listed meanwhile is counted by the one that runs
    if (this.counting) return;
    this.counting = new AbortController();
    const { signal: stop } = this.counting;
    for (let id = this.uncounted(); id !== undefined; id = this.uncounted()) {
      const found = await countsOf(id, stop).catch(() => null);
      if (stop.aborted) return;
      this.counts.value = new Map([...this.counts.peek(), [id, found && sum(found.counts)]]);
    }
    this.counting = null;
  }

  private uncounted(): number | undefined {
    return this.sets.peek()?.find(({ id, via }) => via !== 'load' && via !== 'drop' && !this.counts.peek().has(id))?.id;
  }

  private choose(patch: Partial<Filter>): void {
    this.filter.value = { ...this.filter.peek(), ...patch };
    this.sets.value = null;
    void this.load();
  }

  protected override render(): TemplateResult {
    const sets = this.sets.value;
    const { enter, leave, focusIn, focusOut } = this.engaged;
    const waiting = this.waiting.value;
    return html`${this.filters()}
      <p class="told" role="status">
        ${waiting > 0 ? html`<button class="link" data-history="fresh" @click=${() => void this.load()}>${t('history.fresh', { n: waiting })}</button>` : nothing}
      </p>
      ${message(this.error.value, undefined, again(() => void this.load()))}
      ${sets === null && !this.error.value ? html`<p class="empty">${t('chart.loading')}</p>` : nothing}
      ${sets?.length === 0 ? html`<p class="empty" data-why="history.none">${t(this.isFiltered() ? 'history.noneSuch' : 'history.none')}</p>` : nothing}
      <ol class="incidents" @pointerenter=${enter} @pointerdown=${enter} @pointerleave=${leave} @focusin=${focusIn} @focusout=${focusOut}>
        ${repeat(sets ?? [], ({ id }) => id, (one) => this.row(one))}
      </ol>
      ${this.following.value !== null
        ? html`<button class="action" data-history="older" @click=${() => void this.load(this.following.peek())}>${t('history.older')}</button>`
        : nothing}
      ${may('edit') ? html`<twin-undo-form .app=${this.app}></twin-undo-form>` : nothing}`;
  }

  private isFiltered(): boolean {
    const { layer, actor, box } = this.filter.value;
    return layer !== null || actor !== null || box !== null;
  }

  private filters(): TemplateResult {
    const { layer, actor, box } = this.filter.value;
    const textOf = (event: Event): string | null => (event.target as HTMLInputElement).value.trim() || null;
    const layers = this.app.config.layers.filter((one) => !one.raster);
    return html`<div class="edit filters">
      <label
        ><span>${t('history.layer')}</span>
        <select data-history="layer" @change=${(event: Event) => this.choose({ layer: textOf(event) })}>
          <option value="" ?selected=${layer === null}>${t('history.every')}</option>
          ${layers.map((one) => html`<option value=${one.id} ?selected=${one.id === layer}>${titleOf(one.title, one.id)}</option>`)}
        </select></label
      >
      ${may('edit')
        ? html`<label
            ><span>${t('history.actor')}</span>
            <input
              data-history="actor"
              list="history-actors"
              autocomplete="off"
              maxlength="200"
              placeholder=${t('history.everybody')}
              .value=${actor ?? ''}
              @change=${(event: Event) => this.choose({ actor: textOf(event) })}
            /><datalist id="history-actors">${this.actors.value.map((one) => html`<option value=${one}></option>`)}</datalist></label
          >`
        : nothing}
      ${this.app.map
        ? html`<span class="choice">
            <label class="switch"
              ><input
                type="checkbox"
                data-history="here"
                .checked=${box !== null}
                @change=${(event: Event) => this.choose({ box: (event.target as HTMLInputElement).checked ? viewBox(this.app) : null })}
              />${t('history.here')}</label
            >
            ${box ? html`<button class="link" data-history="this-view" @click=${() => this.choose({ box: viewBox(this.app) })}>${t('history.thisView')}</button>` : nothing}
          </span>`
        : nothing}
    </div>`;
  }

  private row(one: ChangeSet): TemplateResult {
    const { store } = this.app;
    const counts = this.counts.value.get(one.id);
    const layer = one.layer === null ? null : layerConfig(this.app, one.layer);
    const where = one.layer === null ? t('history.several') : titleOf(layer?.title, one.layer);
    return html`<li>
      <button class="incident" data-set=${one.id} data-via=${one.via} @click=${() => store.set({ set: one.id })}>
        <span></span>
        <span class="title">${where}</span>
        <span class="status">${dateTime(one.at)}</span>
        <small>${[`#${one.id}`, viaOf(one), one.actor, one.message].filter(Boolean).join(' · ')}</small>
        ${counts ? html`<small class="counts">${countsLine(counts)}</small>` : nothing}
        ${one.undone ? html`<small>${t('history.undid', { set: one.undone })}</small>` : nothing}
      </button>
    </li>`;
  }
}
customElements.define('twin-set-list', SetList);
