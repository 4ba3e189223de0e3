/** The card of what stands for several features: how many, of which classes, and which they are. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { getJson, type Feature } from '../../api';
import { goTo, layerConfig, select } from '../../app';
import type { LayerConfig } from '../../config';
import { decimal, t, titleOf } from '../../i18n';
import { cellOf, type Group } from '../../map/group';
import { asOf } from '../../past';
import type { LiveSelection } from '../../state';
import { featureTitle } from '../feature/attributes';
import { Panel } from '../panel';

/** Members that are listed on the card; all of them stand in the list of the layer. */
const LISTED = 20;

interface Member {
  fid: number;
  title: string;
  place: Feature['geometry'];
}

/** What the server says of the members of a block. */
interface BlockMembers {
  features: { id: number; height: number }[];
  links: { rel: string; href: string }[];
}

export class MergedCard extends Panel {
  static override properties: PropertyDeclarations = { ...Panel.properties, members: { state: true } };
  declare members: Member[] | null;
  /** Where all members of a block are listed: as any features are where CQL2 can name them. */
  private all: string | null = null;
  private turn = 0;

  constructor() {
    super();
    this.members = null;
  }

  private get group(): Group | null {
    const found = this.app.map?.picker.group;
    return found?.id === (this.selection as LiveSelection).id ? found.group : null;
  }

  private address(group: Group, more: Record<string, string>): string {
    const query = new URLSearchParams({ filter: group.filter, 'filter-lang': 'cql2-text', ...more });
    return asOf(`ogc/collections/${group.layer}/items?${query}`, this.app.store.get().at);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has('selection')) return;
    this.members = null;
    this.all = null;
    void this.load();
  }

  private async load(): Promise<void> {
    const turn = ++this.turn;
    const { group } = this;
    if (!group) return;
    const found = await (group.block ? this.inBlock(group) : this.inGroup(group)).catch(() => []);
    if (turn === this.turn) this.members = found;
  }

  private named(group: Group, fid: number, properties: Record<string, unknown>): string {
    const layer = layerConfig(this.app, group.layer);
    return layer ? featureTitle(layer, fid, properties) : String(fid);
  }

  private async inGroup(group: Group): Promise<Member[]> {
    const { features } = await getJson<{ features: Feature[] }>(this.address(group, { limit: String(LISTED) }));
    return features.map((one) => ({ fid: Number(one.id), title: this.named(group, Number(one.id), one.properties), place: one.geometry }));
  }

  private async inBlock(group: Group): Promise<Member[]> {
    const found = await getJson<BlockMembers>(asOf(group.block!.members, this.app.store.get().at));
    this.all = found.links.some(({ rel }) => rel === 'items') ? this.address(group, { f: 'html' }) : asOf(group.block!.members, this.app.store.get().at);
    return found.features
      .slice(0, LISTED)
      .map(({ id, height }) => ({ fid: id, title: `${this.named(group, id, {})} · ${decimal(height, 1)} m`, place: null }));
  }

  protected override render(): TemplateResult {
    const { app, group } = this;
    const layer = group && layerConfig(app, group.layer);
    return html`<div class="header">
        <div>
          <small>${layer ? titleOf(layer.title, layer.id) : nothing}</small>
          <h2>${group ? t('merged.count', { count: decimal(group.count, 0) }) : t('merged')}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0">${group && layer ? this.told(group, layer) : html`<p class="empty">${t('merged.gone')}</p>`}</div>`;
  }

  private told(group: Group, layer: LayerConfig): TemplateResult {
    const { block } = group;
    const cell = cellOf(group);
    const all = block ? this.all : this.address(group, { f: 'html' });
    return html`<section class="group" data-merged=${group.count}>
        <p>${t('merged.why')}</p>
        ${group.classes.length === 0
          ? nothing
          : html`<dl>${group.classes.map(({ value, count }) => html`<dt>${classTitle(layer, value)}</dt><dd>${decimal(count, 0)}</dd>`)}</dl>`}
        ${block
          ? html`<dl>
              <dt>${t('merged.height')}</dt><dd>${decimal(block.height, 0)} m</dd>
              <dt>${t('merged.highest')}</dt><dd>${decimal(block.highest, 0)} m</dd>
            </dl>`
          : nothing}
        <div class="actions">
          ${cell ? html`<button class="primary" @click=${() => goTo(this.app, cell, null)}>${t('merged.closer')}</button>` : nothing}
          ${all ? html`<a href=${all} target="_blank">${t('merged.all')}</a>` : nothing}
        </div>
      </section>
      <section class="group">
        <h3>${t('merged.members')}</h3>
        ${this.members?.map(
          ({ fid, title, place }) => html`<button class="link" @click=${() => goTo(this.app, place?.coordinates, { type: 'feature', layer: group.layer, fid })}>
            ${title}
          </button>`,
        )}
      </section>`;
  }
}

function classTitle({ style, fields }: LayerConfig, value: string | null): string {
  if (value === null) return t('merged.rest');
  const listed = style.legend.find((one) => one.value === value)?.title;
  const codes = fields.find((one) => one.name === style.color.property)?.codes;
  return titleOf(listed ?? codes?.[value], value);
}

customElements.define('twin-merged', MergedCard);
