/** The card of a picked feature, with a small form where the page has a key. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { effect } from '@preact/signals-core';
import { getFeature, getRelated, patchFeature, type Feature, type Related } from '../../api';
import { layerConfig, select } from '../../app';
import type { FieldConfig, LayerConfig } from '../../config';
import { t, titleOf, type Word } from '../../i18n';
import { asOf } from '../../past';
import { may } from '../../session';
import { attributeGroups, editable, featureTitle, parseInput } from './attributes';
import { again, message, type Next } from '../message';
import { Panel } from '../panel';
import './versions';
import { passes, Recovery } from '../recovery';
import type { FeatureSelection } from '../../state';

const WORDS: Readonly<Record<string, Word>> = {
  NotFound: 'feature.gone',
  PreconditionFailed: 'edit.stale',
  Unauthorized: 'edit.key',
  Forbidden: 'edit.key',
};

export class FeatureCard extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    feature: { state: true },
    related: { state: true },
    editing: { state: true },
    error: { state: true },
  };
  declare feature: Feature | null;
  declare related: Related[];
  declare editing: boolean;
  declare error: unknown;
  private etag: string | null = null;
  private turn = 0;
  private recovery: Recovery | null = null;
  private unfollow: (() => void) | null = null;
  private release: (() => void) | null = null;

  constructor() {
    super();
    this.feature = null;
    this.related = [];
    this.editing = false;
    this.error = null;
  }

  private get layer(): string {
    return (this.selection as FeatureSelection).layer;
  }

  private get fid(): number {
    return (this.selection as FeatureSelection).fid;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.app.events.addEventListener('swap', this.swapped);
    this.recovery = new Recovery(this.app.events, () => void this.load());
    let shown = this.app.store.get().at;
    this.unfollow = effect(() => {
      const { at } = this.app.store.get();
      if (at === shown) return;
      shown = at;
      this.edit(false);
      this.feature = null;
      this.related = [];
      queueMicrotask(() => void this.load());
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.app.events.removeEventListener('swap', this.swapped);
    this.recovery?.end();
    this.unfollow?.();
    this.edit(false);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has('selection')) return;
    this.edit(false);
    this.feature = null;
    this.related = [];
    void this.load();
  }

  private readonly swapped = (event: Event): void => {
    // while someone types, the form and its ETag stay: the save then tells that it was overtaken
    if (!this.editing && (event as CustomEvent<string>).detail === this.layer) void this.load();
  };

  private async load(): Promise<void> {
    const turn = ++this.turn;
    const { at } = this.app.store.get();
    this.error = null;
    try {
      const { value, etag } = await getFeature(this.layer, this.fid, at);
      if (turn !== this.turn) return;
      this.recovery?.done();
      this.feature = value;
      this.etag = etag;
      const url = layerConfig(this.app, this.layer)?.related;
      const related = url ? await getRelated(url, this.fid, at) : [];
      if (turn === this.turn) this.related = related;
    } catch (error) {
      if (turn !== this.turn) return;
      if (!passes(error)) this.feature = null;
      this.error = error;
      this.recovery?.failed(error);
    }
  }

  /** Opens or closes the form; what is typed in it is not dropped unasked. */
  private edit(on: boolean): void {
    this.release?.();
    this.release = on ? this.app.store.draft.hold(() => this.changes().length > 0) : null;
    this.editing = on;
  }

  private changes(): (HTMLInputElement | HTMLSelectElement)[] {
    return [...this.querySelectorAll<HTMLInputElement | HTMLSelectElement>('form [data-was]')].filter(
      (input) => input.value !== input.dataset['was'],
    );
  }

  protected override render(): TemplateResult {
    const layer = layerConfig(this.app, this.layer);
    if (!layer) return html`${nothing}`;
    const title = this.feature ? featureTitle(layer, this.fid, this.feature.properties) : `${this.fid}`;
    return html`<div class="header">
        <div>
          <small>${titleOf(layer.title, layer.id)}</small>
          <h2>${title}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(this.app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0" data-layer=${this.layer} data-fid=${this.fid}>
        ${message(this.error, WORDS, this.feature ? undefined : this.next())}
        ${this.feature || this.error ? nothing : html`<p class="empty">${t('chart.loading')}</p>`}
        ${this.feature ? (this.editing ? this.form(layer, this.feature) : this.details(layer, this.feature)) : nothing}
      </div>`;
  }

  /** What helps where nothing can be shown. */
  private next(): Next {
    return passes(this.error)
      ? again(() => void this.load())
      : { word: 'step.data', href: asOf(`ogc/collections/${this.layer}/items?f=html`, this.app.store.get().at) };
  }

  private details(layer: LayerConfig, feature: Feature): TemplateResult {
    return html`${attributeGroups(layer, feature.properties).map(
        (group) => html`<section class="group">
          <h3>${t(group.title)}</h3>
          <dl>
            ${group.attributes.map(
              (one) => html`<dt>${one.title}</dt>
                <dd data-field=${one.name}>
                  ${one.text}${one.source ? html`<span class="mark">${one.source}</span>` : nothing}
                </dd>`,
            )}
          </dl>
        </section>`,
      )}
      ${this.relations('isPartOf', t('feature.whole'))} ${this.relations('hasPart', t('feature.parts'))}
      <twin-versions .app=${this.app} .selection=${this.selection}></twin-versions>
      ${may('edit') && this.app.store.get().at === null && layer.edits.includes('update') && editable(layer).length > 0
        ? html`<button class="action" data-action="edit" @click=${() => this.edit(true)}>${t('edit')}</button>`
        : nothing}`;
  }

  private relations(relation: Related['relation'], title: string): TemplateResult {
    const found = this.related.filter((one) => one.relation === relation);
    if (found.length === 0) return html`${nothing}`;
    const name = (one: Related): string => {
      const layer = layerConfig(this.app, one.layer);
      return `${layer ? titleOf(layer.title, layer.id) : one.layer} ${one.fid}`;
    };
    return html`<section class="group" data-relation=${relation}>
      <h3>${title}</h3>
      ${found.map(
        (one) => html`<button
          class="action"
          data-feature=${`${one.layer}/${one.fid}`}
          @click=${() => select(this.app, { type: 'feature', layer: one.layer, fid: one.fid })}
        >
          ${name(one)}
        </button>`,
      )}
    </section>`;
  }

  private form(layer: LayerConfig, feature: Feature): TemplateResult {
    return html`<form class="edit" @submit=${(event: Event) => this.save(event, layer)}>
      ${editable(layer).map((field) => this.input(field, feature.properties[field.name]))}
      <div class="buttons">
        <button class="action primary" data-action="save">${t('save')}</button>
        <button
          class="action"
          type="button"
          data-action="cancel"
          @click=${() => {
            this.edit(false);
            void this.load();
          }}
        >
          ${t('cancel')}
        </button>
      </div>
    </form>`;
  }

  private input(field: FieldConfig, value: unknown): TemplateResult {
    const text = value === null || value === undefined ? '' : String(value);
    const label = html`${titleOf(field.title, field.name)}${field.unit ? html` <small>${field.unit}</small>` : nothing}`;
    const choices =
      field.type === 'boolean'
        ? [['true', t('yes')] as const, ['false', t('no')] as const]
        : Object.entries(field.codes ?? {}).map(([code, titles]) => [code, titleOf(titles, code)] as const);
    return html`<label>
      <span>${label}</span>
      ${choices.length > 0
        ? html`<select name=${field.name} data-was=${text}>
            <option value="" ?selected=${text === ''}></option>
            ${choices.map(([code, title]) => html`<option value=${code} ?selected=${code === text}>${title}</option>`)}
          </select>`
        : html`<input name=${field.name} .value=${text} data-was=${text} autocomplete="off" />`}
    </label>`;
  }

  private async save(event: Event, layer: LayerConfig): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    try {
      const patch: Record<string, unknown> = {};
      for (const field of editable(layer)) {
        const input = form.elements.namedItem(field.name) as HTMLInputElement | HTMLSelectElement;
        if (input.value !== input.dataset['was']) patch[field.name] = parseInput(field, input.value);
      }
      if (Object.keys(patch).length > 0) await patchFeature(this.layer, this.fid, patch, this.etag ?? '"0"');
      this.edit(false);
      await this.load();
    } catch (error) {
      this.error = error;
    }
  }
}
customElements.define('twin-feature', FeatureCard);
