/** The status strip: whether the picture is live, and how many sensors and incidents need a look. */

import { html, nothing, type TemplateResult } from 'lit';
import { ago, decimal, t, titleOf } from '../i18n';
import type { SensorState } from '../live/states';
import type { BandValues } from '../layers/values';
import { Panel } from './panel';
import { sensorSign } from './sign';

const SHOWN: SensorState[] = ['red', 'orange', 'yellow', 'blue', 'stale', 'ok'];

export class StatusStrip extends Panel {
  private timer = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = window.setInterval(() => this.requestUpdate(), 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  private connection(): string {
    const { stream } = this.app;
    if (!stream?.connected.value) return t('strip.offline');
    return stream.heard > 0 ? `${t('strip.live')} · ${ago(stream.heard, Date.now())}` : t('strip.live');
  }

  /** The place under the pointer, and what the ground and the highest raster hold there. */
  private place(): TemplateResult | typeof nothing {
    const { cursor, config, map } = this.app;
    const at = cursor?.place.value;
    if (!at || !map) return nothing;
    const readings = cursor?.readings.value ?? [];
    const ground = readings.find(({ layer }) => layer.id === config.terrain?.layer);
    const other = readings.find((one) => one !== ground);
    return html`<span class="place" data-place title=${t('place.pointer')}>
      <span class="coordinates">${at[1].toFixed(5)}, ${at[0].toFixed(5)}</span>
      ${ground ? html`<span data-read="ground">${t('place.height', { value: written(ground.bands) })}</span>` : nothing}
      ${other ? html`<span data-read=${other.layer.id}>${titleOf(other.layer.title, other.layer.id)} ${written(other.bands)}</span>` : nothing}
    </span>`;
  }

  protected override render(): TemplateResult {
    const { sensors, incidents, stream } = this.app;
    const counts = sensors.counts.value;
    const live = stream?.connected.value ?? false;
    if (this.app.store.get().at !== null) return html`<span class="live" data-past><i></i>${t('past.strip')}</span> ${this.place()}`;
    return html`<span class="live" data-live=${live}>
        <i></i>${this.connection()}
      </span>
      ${sensors.simulated.value ? html`<span class="mark">${t('simulated')}</span>` : nothing}
      <span class="counts">
        ${SHOWN.filter((state) => counts[state] > 0).map(
          (state) => html`<span title=${t(`state.${state}`)} data-state=${state}>${sensorSign(state)}${counts[state]}</span>`,
        )}
      </span>
      ${this.place()}
      <button class="link" @click=${() => this.app.store.set({ right: 'incidents' })}>
        ${t('strip.incidents', { n: incidents.open.value })}
      </button>`;
  }
}
/** `12.3 m`; of several bands `120 / 98 / 77`. */
function written(bands: readonly BandValues[]): string {
  const values = bands.map(({ values: [value] }) => value ?? null);
  if (values.every((value) => value === null)) return t('place.none');
  const unit = bands.length === 1 ? ` ${bands[0]!.unit}` : '';
  return `${values.map((value) => (value === null ? '–' : decimal(value))).join(' / ')}${unit}`.trim();
}
customElements.define('twin-strip', StatusStrip);
