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

export class MergedCard extends Panel {
  static override properties: PropertyDeclarations = { ...Panel.properties, members: { state: true } };
  declare members: Feature[] | null;
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
    void this.load();
  }

  private async load(): Promise<void> {
    const turn = ++this.turn;
    const { group } = this;
    if (!group) return;
    const found = await getJson<{ features: Feature[] }>(this.address(group, { limit: String(LISTED) })).catch(() => null);
    if (turn === this.turn) this.members = found?.features ?? [];
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
    const cell = cellOf(group);
    return html`<section class="group" data-merged=${group.count}>
        <p>${t('merged.why')}</p>
        ${group.classes.length === 0
          ? nothing
          : html`<dl>${group.classes.map(({ value, count }) => html`<dt>${classTitle(layer, value)}</dt><dd>${decimal(count, 0)}</dd>`)}</dl>`}
        <div class="actions">
          ${cell ? html`<button class="primary" @click=${() => goTo(this.app, cell, null)}>${t('merged.closer')}</button>` : nothing}
          <a href=${this.address(group, { f: 'html' })} target="_blank">${t('merged.all')}</a>
        </div>
      </section>
      <section class="group">
        <h3>${t('merged.members')}</h3>
        ${this.members?.map(
          (one) => html`<button class="link" @click=${() => goTo(this.app, one.geometry?.coordinates, { type: 'feature', layer: group.layer, fid: Number(one.id) })}>
            ${featureTitle(layer, Number(one.id), one.properties)}
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
