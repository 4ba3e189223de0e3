/** What can be chosen for a raster: its place among the others, time, bands, colours, light and shade. */

import { html, nothing, type TemplateResult } from 'lit';
import type { App } from '../../app';
import type { LayerConfig, RasterConfig, RasterLook } from '../../config';
import { dateTime, decimal, t, titleOf } from '../../i18n';
import { rampOf } from '../../layers/colormaps';
import { movedRaster, rasterOrder } from '../../layers/order';
import { colormapOf, drawnBands, lookOf, rangeOf } from '../../layers/raster-look';

const COMMON = ['gray', 'terrain', 'viridis', 'magma', 'ylgnbu', 'rdylgn', 'rdylbu_r', 'blues'];

function choose(app: App, { id }: LayerConfig, patch: RasterLook): void {
  const { layers } = app.store.get();
  app.store.setLayer(id, { raster: { ...layers[id]?.raster, ...patch } });
}

/** The text of what an element holds. */
function textOf(event: Event): string {
  return (event.target as HTMLInputElement | HTMLSelectElement).value;
}

export function bandTitle({ bands }: RasterConfig, number: number): string {
  const band = bands[number - 1];
  return band ? titleOf(band.title, band.name) : String(number);
}

/** A time as it is known: a day has no hour. */
export function timeTitle(time: string): string {
  return /^\d{4}(-\d{2}){0,2}$/.test(time) ? time : dateTime(time);
}

export function rasterControls(app: App, layer: LayerConfig): TemplateResult {
  const raster = layer.raster!;
  const look = lookOf(layer, app.store.get().layers[layer.id]);
  const name = titleOf(layer.title, layer.id);
  return html`<div class="raster">
    ${order(app, layer, name)} ${times(app, layer, raster, look, name)} ${rasterLegend(app, layer)}
    <details>
      <summary>${t('raster.look')}<span class="unseen"> ${name}</span></summary>
      <div class="edit">
        ${bands(app, layer, raster, look)} ${colours(app, layer, raster, look)}
        ${drawnBands(raster, look).length > 1
          ? nothing
          : html`<label
              ><span>${t('raster.hillshade')}</span
              ><input
                type="checkbox"
                data-raster="hillshade"
                .checked=${look.hillshade ?? false}
                @change=${(event: Event) => choose(app, layer, { hillshade: (event.target as HTMLInputElement).checked })}
            /></label>`}
        <button class="action" data-raster="reset" @click=${() => app.store.setLayer(layer.id, { raster: {} })}>${t('raster.reset')}</button>
      </div>
    </details>
  </div>`;
}

function order(app: App, { id }: LayerConfig, name: string): TemplateResult | typeof nothing {
  const { config, store } = app;
  const { rasters } = store.get();
  const ids = rasterOrder(config.layers, rasters).map((one) => one.id);
  if (ids.length < 2) return nothing;
  const move = (by: number): void => store.set({ rasters: movedRaster(config.layers, rasters, id, by) });
  return html`<div class="buttons">
    <button class="action" data-raster="up" aria-label=${t('raster.up', { name })} ?disabled=${ids[0] === id} @click=${() => move(-1)}>↑</button>
    <button class="action" data-raster="down" aria-label=${t('raster.down', { name })} ?disabled=${ids.at(-1) === id} @click=${() => move(1)}>↓</button>
  </div>`;
}

function times(app: App, layer: LayerConfig, raster: RasterConfig, look: RasterLook, name: string): TemplateResult | typeof nothing {
  if (raster.times.length < 2) return nothing;
  const at = look.time ? raster.times.indexOf(look.time) : raster.times.length - 1;
  const step = (by: number): void => choose(app, layer, { time: raster.times[at + by] ?? null });
  return html`<div class="times">
    <button class="action" data-raster="earlier" aria-label=${t('raster.earlier', { name })} ?disabled=${at <= 0} @click=${() => step(-1)}>‹</button>
    <select data-raster="time" aria-label=${t('raster.time', { name })} @change=${(event: Event) => choose(app, layer, { time: textOf(event) })}>
      ${raster.times.map((time, i) => html`<option value=${time} ?selected=${i === at}>${timeTitle(time)}</option>`)}
    </select>
    <button class="action" data-raster="later" aria-label=${t('raster.later', { name })} ?disabled=${at >= raster.times.length - 1} @click=${() => step(1)}>›</button>
  </div>`;
}

/** One band in colours, or three as red, green and blue. */
function bands(app: App, layer: LayerConfig, raster: RasterConfig, look: RasterLook): TemplateResult | typeof nothing {
  if (raster.bands.length < 2) return nothing;
  const drawn = drawnBands(raster, look);
  const numbers = raster.bands.map((_, i) => i + 1);
  const mixed = drawn.length === 3;
  const put = (place: number, value: number): void => choose(app, layer, { bands: drawn.map((one, i) => (i === place ? value : one)) });
  const pick = (place: number, word: string): TemplateResult => html`<label
    ><span>${word}</span
    ><select data-raster="band" @change=${(event: Event) => put(place, Number(textOf(event)))}>
      ${numbers.map((number) => html`<option value=${number} ?selected=${drawn[place] === number}>${bandTitle(raster, number)}</option>`)}
    </select></label
  >`;
  return html`${raster.bands.length < 3
    ? nothing
    : html`<label
        ><span>${t('raster.mixed')}</span
        ><input
          type="checkbox"
          data-raster="mixed"
          .checked=${mixed}
          @change=${() => choose(app, layer, { bands: mixed ? [drawn[0] ?? 1] : [1, 2, 3], colormap: null, hillshade: null })}
      /></label>`}
  ${mixed
    ? [t('raster.red'), t('raster.green'), t('raster.blue')].map((word, place) => pick(place, word))
    : pick(0, t('raster.band'))}`;
}

function colours(app: App, layer: LayerConfig, raster: RasterConfig, look: RasterLook): TemplateResult {
  const [low, high] = rangeOf(raster, look) ?? [Number.NaN, Number.NaN];
  const put = (range: readonly [number, number]): void => {
    // half a range, or one the wrong way round, is no range yet
    if (range.every(Number.isFinite) && range[0] < range[1]) choose(app, layer, { range });
  };
  const limit = (value: number, word: string, kind: string, next: (value: number) => readonly [number, number]): TemplateResult => html`<label
    ><span>${word}</span
    ><input
      type="number"
      step="any"
      data-raster=${kind}
      .value=${Number.isFinite(value) ? String(value) : ''}
      @change=${(event: Event) => put(next(Number.parseFloat(textOf(event))))}
  /></label>`;
  return html`${drawnBands(raster, look).length > 1
    ? nothing
    : html`<label
        ><span>${t('raster.colormap')}</span
        ><select data-raster="colormap" @change=${(event: Event) => choose(app, layer, { colormap: textOf(event) || null })}>
          <option value="" ?selected=${!look.colormap}>${t('raster.usual')}</option>
          ${common(raster.colormaps).map((name) => html`<option value=${name} ?selected=${name === look.colormap}>${name}</option>`)}
        </select></label
      >`}
  ${drawnBands(raster, look).length > 1 || colormapOf(layer, look)
    ? html`${limit(low, t('raster.low'), 'low', (value) => [value, high])} ${limit(high, t('raster.high'), 'high', (value) => [low, value])}`
    : nothing}`;
}

/** Those that most want first, the others after them by their names. */
function common(names: readonly string[]): string[] {
  const first = COMMON.filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name))];
}

/** The colours of the values from the least to the greatest, where a colour map draws them. */
export function rasterLegend(app: App, layer: LayerConfig): TemplateResult | typeof nothing {
  const raster = layer.raster!;
  const look = lookOf(layer, app.store.get().layers[layer.id]);
  const colormap = colormapOf(layer, look);
  if (!colormap) return nothing;
  const number = drawnBands(raster, look)[0] ?? 1;
  const unit = raster.bands[number - 1]?.unit ?? '';
  const range = rangeOf(raster, look);
  const ramp = rampOf(colormap);
  return html`<div class="ramp" role="img" aria-label=${t('raster.legend', { name: bandTitle(raster, number) })}>
    ${ramp ? html`<i style="background:linear-gradient(90deg,${ramp.join(',')})"></i>` : nothing}
    <span>${range ? decimal(range[0]) : ''}</span><span>${unit}</span><span>${range ? decimal(range[1]) : ''}</span>
  </div>`;
}
