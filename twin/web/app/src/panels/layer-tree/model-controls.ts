/** What can be chosen for a building model: the storey that is looked at, and the categories that are seen. */

import { html, nothing, type TemplateResult } from 'lit';
import type { App } from '../../app';
import type { LayerConfig, ModelLook, StoreyConfig } from '../../config';
import { decimal, t, titleOf } from '../../i18n';
import { choicesOf, hiddenOf, storeyColors } from '../../layers/model-look';
import { layerColor } from '../../layers/style';

function choose(app: App, { id }: LayerConfig, patch: ModelLook): void {
  const { layers } = app.store.get();
  app.store.setLayer(id, { model: { ...layers[id]?.model, ...patch } });
}

export function modelControls(app: App, layer: LayerConfig): TemplateResult | typeof nothing {
  const [slider, switches] = [storeySlider(app, layer), categorySwitches(app, layer)];
  return slider === nothing && switches === nothing ? nothing : html`<div class="model">${slider} ${storeyLegend(app, layer)} ${switches}</div>`;
}

/** Several may be called alike: the number and the elevation tell them apart. */
function storeyTitle({ title, elevation }: StoreyConfig): string {
  return elevation === null ? title : t('storey.at', { name: title, elevation: decimal(elevation, 2) });
}

/** The storeys from the lowest to the highest, and all of them at the end. */
function storeySlider(app: App, layer: LayerConfig): TemplateResult | typeof nothing {
  const { storeys = [] } = choicesOf(layer);
  if (storeys.length < 2) return nothing;
  const { storey = null, below = false, byStorey = false } = app.store.get().layers[layer.id]?.model ?? {};
  const found = storeys.findIndex(({ no }) => no === storey);
  const at = found < 0 ? storeys.length : found;
  const shown = storeys[at];
  const words = shown ? storeyTitle(shown) : t('storey.all');
  const name = titleOf(layer.title, layer.id);
  return html`<div class="storeys">
    <input
      type="range"
      data-model="storey"
      min="0"
      max=${storeys.length}
      step="1"
      aria-label=${t('storey.of', { name })}
      aria-valuetext=${words}
      .value=${String(at)}
      @input=${(event: Event) => choose(app, layer, { storey: storeys[Number((event.target as HTMLInputElement).value)]?.no ?? null })}
    />
    <output data-model="shown">${words}</output>
    ${shown
      ? html`<label
          ><input
            type="checkbox"
            data-model="below"
            .checked=${below}
            @change=${(event: Event) => choose(app, layer, { below: (event.target as HTMLInputElement).checked })}
          /><span>${t('storey.below')}</span></label
        >`
      : nothing}
    <label
      ><input
        type="checkbox"
        data-model="by-storey"
        .checked=${byStorey}
        @change=${(event: Event) => choose(app, layer, { byStorey: (event.target as HTMLInputElement).checked })}
      /><span>${t('storey.colors')}</span></label
    >
  </div>`;
}

/** The colours of the storeys as they stand on one another; nothing where they have none. */
export function storeyLegend(app: App, layer: LayerConfig): TemplateResult | typeof nothing {
  const colors = storeyColors(layer, app.store.get().layers[layer.id]?.model);
  if (colors.length === 0) return nothing;
  return html`<div data-legend="storeys">
    ${colors.toReversed().map(
      ({ storey, color }) => html`<div class="entry" data-storey=${storey.no}>
        <span class="swatch" style="--color:${layerColor(layer, color)}"></span><span class="name">${storeyTitle(storey)}</span>
      </div>`,
    )}
  </div>`;
}

function categorySwitches(app: App, layer: LayerConfig): TemplateResult | typeof nothing {
  const { categories = [] } = choicesOf(layer);
  if (categories.length < 2) return nothing;
  const hidden = hiddenOf(layer, app.store.get().layers[layer.id]?.model);
  const titles = layer.fields.find((field) => field.name === 'category')?.codes ?? {};
  const turn = (code: string, on: boolean): void =>
    choose(app, layer, { hidden: on ? hidden.filter((one) => one !== code) : [...hidden, code] });
  return html`<details>
    <summary>${t('category.shown')}<span class="unseen"> ${titleOf(layer.title, layer.id)}</span></summary>
    ${categories.map(
      (code) => html`<label
        ><input
          type="checkbox"
          data-category=${code}
          .checked=${!hidden.includes(code)}
          @change=${(event: Event) => turn(code, (event.target as HTMLInputElement).checked)}
        /><span>${titleOf(titles[code], code)}</span></label
      >`,
    )}
  </details>`;
}
