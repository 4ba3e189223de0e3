/** The card of a picked feature; where the page has a key, with a form whose values go into the draft of edits. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { effect } from '@preact/signals-core';
import { getFeature, getRelated, type Dossier, type Feature, type Related } from '../../api';
import { layerConfig, select } from '../../app';
import type { LayerConfig } from '../../config';
import { keyOf, placeText, properties, type Base, type Change } from '../../editing/change';
import { baseOf } from '../../editing/theirs';
import { t, titleOf, type Word } from '../../i18n';
import { asOf, chosenMoment } from '../../past';
import { attributeGroups, editable, featureTitle, type Group } from './attributes';
import { dossier } from './dossier';
import { fieldsForm } from './form';
import '../edits/change-view';
import { saveButtons, saveFrom } from '../edits/save';
import { again, message, type Next } from '../message';
import { Panel } from '../panel';
import './versions';
import { passes, Recovery } from '../recovery';
import type { FeatureSelection } from '../../state';

const WORDS: Readonly<Record<string, Word>> = { NotFound: 'feature.gone' };

export class FeatureCard extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    feature: { state: true },
    related: { state: true },
    dossier: { state: true },
    editing: { state: true },
    stale: { state: true },
    error: { state: true },
  };
  declare feature: Feature | null;
  declare related: Related[];
  declare dossier: Dossier | null;
  declare editing: boolean;
  /** It was saved, and not read since: its ETag is no longer that of the feature. */
  declare stale: boolean;
  declare error: unknown;
  private etag: string | null = null;
  private turn = 0;
  private recovery: Recovery | null = null;
  private unfollow: (() => void) | null = null;

  constructor() {
    super();
    this.feature = null;
    this.related = [];
    this.dossier = null;
    this.editing = false;
    this.stale = false;
    this.error = null;
  }

  private get layer(): string {
    return (this.selection as FeatureSelection).layer;
  }

  /** The moment of which it is; null for now. */
  private get at(): string | null {
    return chosenMoment(this.app.store.get(), this.selection);
  }

  private get fid(): number {
    return (this.selection as FeatureSelection).fid;
  }

  /** What is to become of it, where that is not saved; nothing of it is shown in the past. */
  private get change(): Change | undefined {
    return this.app.store.get().at === null ? this.app.edits.of(this.layer, this.fid) : undefined;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.app.events.addEventListener('swap', this.swapped);
    this.app.events.addEventListener('saved', this.saved);
    this.recovery = new Recovery(this.app.events, () => void this.load());
    let shown = this.at;
    this.unfollow = effect(() => {
      const { at } = this;
      if (at === shown) return;
      shown = at;
      this.editing = false;
      this.feature = null;
      this.forget();
      queueMicrotask(() => void this.load());
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.app.events.removeEventListener('swap', this.swapped);
    this.app.events.removeEventListener('saved', this.saved);
    this.recovery?.end();
    this.unfollow?.();
    this.editing = false;
  }

  /** Who edits goes on editing with the next feature. */
  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has('selection')) return;
    this.stale = false;
    this.feature = null;
    this.forget();
    void this.load();
  }

  private forget(): void {
    this.related = [];
    this.dossier = null;
  }

  private readonly swapped = (event: Event): void => {
    if ((event as CustomEvent<string>).detail === this.layer) void this.load();
  };

  private readonly saved = (event: Event): void => {
    if ((event as CustomEvent<string>).detail !== this.layer) return;
    this.editing = false;
    this.stale = true;
    void this.load();
  };

  private async load(): Promise<void> {
    const turn = ++this.turn;
    const { at } = this;
    this.error = null;
    try {
      const { value, etag } = await getFeature(this.layer, this.fid, at);
      if (turn !== this.turn) return;
      this.recovery?.done();
      this.feature = value;
      this.etag = etag;
      this.stale = false;
      const { change } = this;
      if (change) void this.app.edits.compare(change, etag);
      const url = layerConfig(this.app, this.layer)?.related;
      const found = url ? await getRelated(url, this.fid, at) : { related: [], dossier: null };
      if (turn === this.turn) Object.assign(this, found);
    } catch (error) {
      if (turn !== this.turn) return;
      if (!passes(error)) this.feature = null;
      const { change } = this;
      if (change && !passes(error)) void this.app.edits.compare(change, null);
      this.error = error;
      this.recovery?.failed(error);
    }
  }

  private get base(): Base {
    return baseOf({ value: this.feature!, etag: this.etag });
  }

  protected override render(): TemplateResult {
    const layer = layerConfig(this.app, this.layer);
    if (!layer) return html`${nothing}`;
    const { change, feature } = this;
    const title = feature ? featureTitle(layer, this.fid, change ? properties(change, layer) : feature.properties) : `${this.fid}`;
    return html`<div class="header">
        <div>
          <small>${titleOf(layer.title, layer.id)}</small>
          <h2>${title} ${change ? html`<span class="mark unsaved">${t('edits.unsaved')}</span>` : nothing}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(this.app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0" data-layer=${this.layer} data-fid=${this.fid}>
        ${message(this.error, WORDS, this.feature ? undefined : this.next())}
        ${feature || this.error ? nothing : html`<p class="empty">${t('chart.loading')}</p>`}
        ${feature && this.isForm(layer, change) ? this.form(layer, change) : this.shown(layer, feature, change)}
      </div>`;
  }

  /** Somebody else's change is looked at before one goes on. */
  private isForm(layer: LayerConfig, change: Change | undefined): boolean {
    return this.editing && this.mayEdit(layer) && change?.action !== 'delete' && !(change && this.app.edits.theirs(change));
  }

  private mayEdit(layer: LayerConfig): boolean {
    const { edits, store } = this.app;
    return edits.allowed && store.get().at === null && layer.edits.includes('update') && (editable(layer).length > 0 || this.feature?.geometry?.type === 'Point');
  }

  private mayDelete(layer: LayerConfig): boolean {
    return this.app.edits.allowed && this.app.store.get().at === null && layer.edits.includes('delete');
  }

  /** What helps where nothing can be shown. */
  private next(): Next {
    return passes(this.error)
      ? again(() => void this.load())
      : { word: 'step.data', href: asOf(`ogc/collections/${this.layer}/items?f=html`, this.at) };
  }

  private shown(layer: LayerConfig, feature: Feature | null, change: Change | undefined): TemplateResult {
    return html`${change ? this.unsaved() : nothing} ${feature ? this.details(layer, feature, change) : nothing}`;
  }

  private unsaved(): TemplateResult {
    return html`<section class="group" data-unsaved>
      <h3>${t('edits.unsaved')}</h3>
      <twin-change .app=${this.app} .key=${keyOf(this.layer, this.fid)}></twin-change>
      ${saveButtons(this.app, null)}
    </section>`;
  }

  /** What a source said beside the kind's own fields may be long: the dossier stands before it. */
  private details(layer: LayerConfig, feature: Feature, change: Change | undefined): TemplateResult {
    const groups = attributeGroups(layer, feature.properties).map((group) => ({ group, own: group.title === 'group.attributes' }));
    return html`${groups.filter(({ own }) => own).map(({ group }) => this.attributeGroup(group))}
      ${this.surface()} ${this.relations('isPartOf', t('feature.whole'))}
      ${this.dossier ? dossier(this.app, this.selection as FeatureSelection, this.dossier) : this.relations('hasPart', t('feature.parts'))}
      ${groups.filter(({ own }) => !own).map(({ group }) => this.attributeGroup(group))}
      <twin-versions .app=${this.app} .selection=${this.selection}></twin-versions>
      ${this.actions(layer, change)}`;
  }

  private attributeGroup({ title, attributes }: Group): TemplateResult {
    return html`<section class="group">
      <h3>${t(title)}</h3>
      <dl>
        ${attributes.map(
          (one) => html`<dt>${one.title}</dt>
            <dd data-field=${one.name}>
              ${one.text}${one.source ? html`<span class="mark">${one.source}</span>` : nothing}
            </dd>`,
        )}
      </dl>
    </section>`;
  }

  /** What was clicked on: the surface, and what its source calls it. */
  private surface(): TemplateResult | typeof nothing {
    const surface = this.app.surface.value;
    if (!surface) return nothing;
    const rows: [Parameters<typeof t>[0], string | null][] = [
      ['surface.kind', t(`surface.${surface.surface}`)],
      ['surface.class', surface.class],
      ['surface.name', surface.name],
      ['surface.id', surface.id],
    ];
    return html`<section class="group" data-surface=${surface.surface}>
      <h3>${t('surface')}</h3>
      <dl>
        ${rows.map(([word, text]) =>
          text
            ? html`<dt>${t(word)}</dt>
                <dd>${text}</dd>`
            : nothing,
        )}
      </dl>
    </section>`;
  }

  private actions(layer: LayerConfig, change: Change | undefined): TemplateResult | typeof nothing {
    const [edits, removes] = [this.mayEdit(layer) && change?.action !== 'delete', this.mayDelete(layer) && change?.action !== 'delete'];
    if (!edits && !removes) return nothing;
    const disabled = this.stale || this.app.edits.saving.value;
    return html`<div class="buttons">
      ${edits
        ? html`<button class="action" data-action="edit" ?disabled=${disabled} @click=${() => this.edit()}>${t('edit')}</button>`
        : nothing}
      ${removes
        ? html`<button class="action" data-action="delete" ?disabled=${disabled} @click=${() => this.app.edits.remove(this.layer, this.fid, this.base)}>
            ${t('edit.delete')}
          </button>`
        : nothing}
    </div>`;
  }

  private edit(): void {
    this.editing = true;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('form input, form select')?.focus());
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
          @click=${() => select(this.app, { ...(this.selection as FeatureSelection), layer: one.layer, fid: one.fid })}
        >
          ${name(one)}
        </button>`,
      )}
    </section>`;
  }

  private form(layer: LayerConfig, change: Change | undefined): TemplateResult {
    const { app, layer: id, fid } = this;
    const { edits } = app;
    const base = change?.base ?? this.base;
    return html`${message(change ? (edits.faults(change)?.whole ?? null) : null)}
      <form @submit=${(event: Event) => saveFrom(app, event)}>
        ${fieldsForm({
          app,
          layer,
          change,
          properties: base.properties,
          place: base.point ? placeText({ base }) : null,
          within: this,
          typing: {
            type: (name, text) => edits.type(id, fid, this.base, name, text),
            place: (text) => edits.place(id, fid, this.base, text),
          },
        })}
        ${saveButtons(
          app,
          change ?? null,
          html`<button
            class="action"
            type="button"
            data-action="done"
            @click=${() => {
              this.editing = false;
            }}
          >
            ${t('edit.done')}
          </button>`,
        )}
      </form>`;
  }
}
customElements.define('twin-feature', FeatureCard);
