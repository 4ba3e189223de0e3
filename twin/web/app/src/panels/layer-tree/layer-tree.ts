/** Layer tree (图层目录) and legend. */

import { html, nothing, type TemplateResult } from 'lit';
import { levelName } from '../../app';
import type { LayerConfig, LegendEntry } from '../../config';
import { decimal, t, titleOf } from '../../i18n';
import type { LiveLayer } from '../../live/layer';
import type { SensorState } from '../../live/states';
import { Panel } from '../panel';
import { layerColor } from '../../layers/style';
import { whyNot, whyOutlined } from '../../layers/reasons';
import { levelSign, sensorSign } from '../sign';
import { progressOf, why } from '../why';
import { modelControls, storeyLegend } from './model-controls';
import { rasterControls, rasterLegend } from './raster-controls';
import { terrainControls } from './terrain-controls';
import { isOfFiles, isRaster, rasterOrder } from '../../layers/order';
import { asOf } from '../../past';

const STATES: SensorState[] = ['ok', 'blue', 'yellow', 'orange', 'red', 'stale'];

export class LayersPanel extends Panel {
  protected override render(): TemplateResult {
    const { left } = this.app.store.get();
    return html`
      <h2 class="unseen">${t('layers')}</h2>
      <div class="head">
        <div class="tabs" role="tablist" aria-label=${t('tab.layers')}>
          ${(['layers', 'legend'] as const).map(
            (tab) => html`<button
              role="tab"
              id="tab-${tab}"
              aria-controls="tabpanel"
              aria-selected=${left === tab}
              @click=${() => this.app.store.set({ left: tab })}
            >
              ${t(`tab.${tab}`)}
            </button>`,
          )}
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => this.app.store.set({ left: null })}>×</button>
      </div>
      <div class="scroll" role="tabpanel" id="tabpanel" aria-labelledby="tab-${left === 'legend' ? 'legend' : 'layers'}" tabindex="0">${left === 'legend' ? this.legend() : this.tree()}</div>
    `;
  }

  private groups(): Map<string, LayerConfig[]> {
    const groups = new Map<string, LayerConfig[]>();
    for (const layer of this.app.config.layers.filter((one) => !isRaster(one))) {
      const name = titleOf(layer.group, t('group.other'));
      groups.set(name, [...(groups.get(name) ?? []), layer]);
    }
    return groups;
  }

  private tree(): TemplateResult {
    const { config, store } = this.app;
    const rasters = rasterOrder(config.layers, store.get().rasters);
    return html`${[...this.groups()].map(
        ([name, layers]) => html`<section class="group">
          <h3>${name}</h3>
          ${layers.map((layer) => this.row(layer))}
        </section>`,
      )}
      ${rasters.length === 0
        ? nothing
        : html`<section class="group">
            <h3>${t('group.rasters')}</h3>
            ${rasters.map((layer) => this.row(layer))}
          </section>`}
      ${terrainControls(this.app)}
      <section class="group">
        <h3>${t('group.live')}</h3>
        ${this.app.live.map((layer) => this.liveRow(layer))}
      </section>`;
  }

  private row(layer: LayerConfig): TemplateResult {
    const { store } = this.app;
    const state = store.get().layers[layer.id] ?? { visible: false, opacity: 1 };
    const title = titleOf(layer.title, layer.id);
    return html`<div class="layer" data-layer=${layer.id}>
      <div class="row">
        <label>
          <input
            type="checkbox"
            .checked=${state.visible}
            @change=${(event: Event) =>
              store.setLayer(layer.id, { visible: (event.target as HTMLInputElement).checked })}
          />
          ${isOfFiles(layer) ? nothing : this.swatch(layer, layer.style.legend?.[0])}<span class="name">${title}</span>
          ${isOfFiles(layer) ? nothing : html`<span class="count">${store.get().at === null ? decimal(layer.count, 0) : ''}</span>`}
        </label>
        <a
          class="data"
          href=${asOf(`ogc/collections/${layer.id}?f=html`, isOfFiles(layer) ? null : store.get().at)}
          target="_blank"
          aria-label=${t('data.of', { name: title })}
          title=${t('data')}
          >⤓</a
        >
      </div>
      ${state.visible ? why(this.app, whyNot(layer, store.get(), progressOf(this.app, layer.id)) ?? whyOutlined(layer, store.get()), layer) : nothing}
      ${state.visible
        ? html`<input
            class="opacity"
            type="range"
            min="0.1"
            max="1"
            step="0.1"
            aria-label=${t('opacity.of', { name: title })}
            title=${t('opacity')}
            .value=${String(state.opacity)}
            @input=${(event: Event) =>
              store.setLayer(layer.id, { opacity: Number((event.target as HTMLInputElement).value) })}
          />
            ${isOfFiles(layer) && store.get().at !== null ? html`<p class="why" data-why="past.raster">${t('past.raster')}</p>` : nothing}
            ${layer.raster ? rasterControls(this.app, layer) : nothing} ${modelControls(this.app, layer)}`
        : nothing}
    </div>`;
  }

  private liveRow({ id, title, count }: LiveLayer): TemplateResult {
    const { store } = this.app;
    const { live, at } = store.get();
    if (at !== null) return html`<div class="layer" data-layer=${id}><span class="name">${t(title)}</span><p class="why" data-why="past.live">${t('past.live')}</p></div>`;
    return html`<div class="layer" data-layer=${id}>
      <label>
        <input
          type="checkbox"
          .checked=${live[id] ?? true}
          @change=${(event: Event) => store.set({ live: { ...live, [id]: (event.target as HTMLInputElement).checked } })}
        />
        <span class="name">${t(title)}</span><span class="count">${count}</span>
      </label>
    </div>`;
  }

  private swatch(layer: LayerConfig, entry: LegendEntry | undefined): TemplateResult {
    return html`<span
      class="swatch ${entry?.assumed ? 'assumed' : ''}"
      style="--color:${layerColor(layer, entry?.color ?? '#999999')}"
    ></span>`;
  }

  private legend(): TemplateResult {
    const { layers, view } = this.app.store.get();
    // what is merged follows from it
    void view;
    const visible = this.app.config.layers.filter((layer) => layers[layer.id]?.visible);
    return html`${visible.length === 0 ? why(this.app, { word: 'why.off', step: 'usual' }) : nothing}
      ${visible.map(
        (layer) => html`<section class="group">
          <h3>${titleOf(layer.title, layer.id)}</h3>
          ${this.app.map?.layers.isMerged(layer.id) ? html`<p class="why" data-merged>${t('merged.legend')}</p>` : nothing}
          ${layer.raster ? rasterLegend(this.app, layer) : nothing} ${storeyLegend(this.app, layer)}
          ${(isOfFiles(layer) || layers[layer.id]?.model?.byStorey ? [] : (layer.style.legend ?? [])).map(
            (entry) => html`<div class="entry">
              ${this.swatch(layer, entry)}<span class="name">${titleOf(entry.title)}</span>
              ${entry.assumed ? html`<span class="mark">${t('source.default')}</span>` : nothing}
            </div>`,
          )}
        </section>`,
      )}
      <section class="group">
        <h3>${t('live.sensors')}</h3>
        ${STATES.map(
          (state) => html`<div class="entry">${sensorSign(state)}<span class="name">${t(`state.${state}`)}</span></div>`,
        )}
      </section>
      <section class="group">
        <h3>${t('live.incidents')}</h3>
        ${[1, 2, 3, 4].map(
          (level) => html`<div class="entry">${levelSign(level)}<span class="name">${t(levelName(level))}</span></div>`,
        )}
      </section>`;
  }
}
customElements.define('twin-layers', LayersPanel);
