/** One feature that is edited and not saved: what is to become of it, what stands against it, and the way back. */

import { signal } from '@preact/signals-core';
import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { getFeature } from '../../api';
import { goTo, select } from '../../app';
import {
  bothMoved,
  differences,
  fieldChanges,
  PLACE,
  placeText,
  properties,
  type Change,
  type Difference,
} from '../../editing/change';
import type { Theirs } from '../../editing/theirs';
import { dateTime, hasWord, listed, t, titleOf, type Word } from '../../i18n';
import { readPlace, writePlace, type Place } from '../../place';
import { editable, featureTitle, valueText } from '../feature/attributes';
import { faultText } from '../feature/form';
import { message } from '../message';
import { Panel } from '../panel';

const WORDS: Readonly<Record<string, Word>> = { Forbidden: 'edit.key', Unauthorized: 'edit.key', NotFound: 'feature.gone' };
const ACTIONS: Readonly<Record<Change['action'], Word>> = { create: 'edits.new', update: 'edits.changed', delete: 'edits.removed' };

export class ChangeView extends Panel {
  static override properties: PropertyDeclarations = { ...Panel.properties, key: { attribute: false }, jumps: { attribute: false } };
  declare key: string;
  /** Whether its title leads to the feature; in the feature's own card it has none. */
  declare jumps: boolean;
  /** The fields in which theirs is to stay. */
  private readonly theirs = signal<ReadonlySet<string>>(new Set());

  constructor() {
    super();
    this.jumps = false;
  }

  protected override render(): TemplateResult | typeof nothing {
    const { edits } = this.app;
    const change = edits.changes.get(this.key);
    if (!change) return nothing;
    const theirs = edits.theirs(change);
    return html`${this.jumps ? this.head(change) : nothing}
      ${change.action === 'delete' ? html`<p class="removed">${t('edits.willGo')}</p>` : nothing}
      ${theirs ? this.conflict(change, theirs) : this.fields(change)} ${message(edits.faults(change)?.whole ?? null, WORDS)}
      <button class="action" data-action="discard" ?disabled=${edits.saving.value} @click=${() => edits.discard(change)}>
        ${t(change.action === 'delete' ? 'edits.keep' : 'edits.discard')}
      </button>`;
  }

  private head(change: Change): TemplateResult {
    const layer = this.app.edits.layerOf(change);
    const name =
      layer && change.action !== 'create'
        ? featureTitle(layer, change.fid, properties(change, layer))
        : String(properties(change, layer)['name'] ?? t('edits.newOne', { n: change.fid }));
    return html`<div class="named">
      <button class="link" data-action="jump" @click=${() => void this.jump(change)}>${name}</button>
      <span class="mark unsaved">${t(ACTIONS[change.action])}</span>
      <small>${layer ? titleOf(layer.title, layer.id) : change.layer}</small>
    </div>`;
  }

  private async jump(change: Change): Promise<void> {
    const { app } = this;
    const { layer, fid } = change;
    const place = readPlace(placeText(change));
    if (change.action === 'create') {
      select(app, { type: 'new', id: fid });
      if (place) goTo(app, place, null);
      return;
    }
    const selection = { type: 'feature', layer, fid } as const;
    if (place) {
      goTo(app, place, selection);
      return;
    }
    const shape = await getFeature(layer, fid, null).catch(() => null);
    goTo(app, shape?.value.geometry?.coordinates, selection);
  }

  private fields(change: Change): TemplateResult | typeof nothing {
    if (change.action === 'delete') return nothing;
    const changed = fieldChanges(change, this.app.edits.layerOf(change));
    const isNew = change.action === 'create';
    return html`<dl class="fields">
      ${changed.map(({ field, was, is, text }) =>
        this.row(field.name, titleOf(field.title, field.name), isNew ? null : valueText(field, was), is === undefined ? text : valueText(field, is), change),
      )}
      ${change.place === undefined
        ? nothing
        : this.row(PLACE, t('place'), isNew || !change.base.point ? null : writePlace(change.base.point as unknown as Place), change.place, change)}
    </dl>`;
  }

  private row(name: string, title: string, was: string | null, is: string, change: Change): TemplateResult {
    const fault = this.app.edits.fault(change, name);
    return html`<dt>${title}</dt>
      <dd data-edited=${name || 'place'}>
        ${was === null ? nothing : html`<s>${was}</s> → `}<strong>${is}</strong>
        ${fault === undefined ? nothing : html`<small class="fault" role="alert">${faultText(name, fault, is)}</small>`}
      </dd>`;
  }

  /** Somebody else was quicker: both are looked at, and chosen between field by field. */
  private conflict(change: Change, { now, actors, at }: Theirs): TemplateResult {
    const { edits } = this.app;
    const who = listed(actors.map((one) => (hasWord(`versions.${one}`) ? t(`versions.${one}` as Word) : one)));
    const head = t(now ? 'edits.overtaken' : 'edits.gone', { who: who || '?', at: at ? dateTime(at) : '' });
    if (!now) return html`<div class="message" role="alert" data-conflict>${head}</div>`;
    const layer = edits.layerOf(change);
    // what follows from a value is not chosen beside it
    const named = new Set([...(layer ? editable(layer) : []).map(({ name }) => name), ...Object.keys(change.texts)]);
    const found = differences(change, now, layer).filter(({ field }) => named.has(field.name));
    const moved = bothMoved(change, now);
    const disputed = [...found.filter(({ both }) => both).map(({ field }) => field.name), ...(moved ? [PLACE] : [])];
    return html`<div class="message" role="alert" data-conflict>
      <p>${head}</p>
      ${found.length > 0
        ? html`<table>
            <thead>
              <tr><td></td><th scope="col">${t('edits.was')}</th><th scope="col">${t('edits.theirs')}</th><th scope="col">${t('edits.mine')}</th></tr>
            </thead>
            <tbody>
              ${found.map((one) => this.compared(one, change))}
            </tbody>
          </table>`
        : nothing}
      ${moved ? this.choice(PLACE, t('place'), writePlace(now.point as unknown as Place), change.place!) : nothing}
      <div class="buttons">
        ${change.action === 'delete'
          ? html`<button class="action" data-action="settle" @click=${() => edits.settle(change, new Set())}>${t('edits.removeStill')}</button>`
          : html`<button class="action primary" data-action="settle" @click=${() => this.settle(change)}>${t('edits.settle')}</button>
              ${disputed.length > 0
                ? html`<button class="action" data-action="mine" @click=${() => this.choose(disputed, false)}>${t('edits.allMine')}</button>
                    <button class="action" data-action="theirs" @click=${() => this.choose(disputed, true)}>${t('edits.allTheirs')}</button>`
                : nothing}`}
      </div>
    </div>`;
  }

  private compared({ field, was, is, text, theirs, both }: Difference, change: Change): TemplateResult {
    const title = titleOf(field.title, field.name);
    const mine = is === undefined ? text : valueText(field, is);
    const now = valueText(field, theirs);
    const isMine = change.texts[field.name] !== undefined;
    return html`<tr data-compared=${field.name}>
      <th scope="row">${title}</th>
      <td>${valueText(field, was)}</td>
      <td>${both ? this.radio(field.name, title, true, now) : now}</td>
      <td>${both ? this.radio(field.name, title, false, mine) : isMine ? mine : '–'}</td>
    </tr>`;
  }

  private choice(name: string, title: string, theirs: string, mine: string): TemplateResult {
    return html`<p data-compared=${name || 'place'}>${title}: ${this.radio(name, title, true, theirs)} ${this.radio(name, title, false, mine)}</p>`;
  }

  private radio(name: string, title: string, ofTheirs: boolean, text: string): TemplateResult {
    return html`<label class="which"
      ><input
        type="radio"
        name=${`${this.key} ${name}`}
        value=${ofTheirs ? 'theirs' : 'mine'}
        aria-label=${`${title}: ${t(ofTheirs ? 'edits.theirs' : 'edits.mine')}: ${text}`}
        .checked=${this.theirs.value.has(name) === ofTheirs}
        @change=${() => this.choose([name], ofTheirs)}
      />${text}</label
    >`;
  }

  private choose(names: readonly string[], ofTheirs: boolean): void {
    const chosen = new Set(this.theirs.peek());
    for (const name of names) {
      if (ofTheirs) chosen.add(name);
      else chosen.delete(name);
    }
    this.theirs.value = chosen;
  }

  private settle(change: Change): void {
    this.app.edits.settle(change, this.theirs.peek());
    this.theirs.value = new Set();
  }
}
customElements.define('twin-change', ChangeView);

