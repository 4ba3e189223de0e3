/** The status strip: whether the picture is live, and how many sensors and incidents need a look. */

import { html, nothing, type TemplateResult } from 'lit';
import { ago, t } from '../i18n';
import type { SensorState } from '../live/states';
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

  protected override render(): TemplateResult {
    const { sensors, incidents, stream } = this.app;
    const counts = sensors.counts.value;
    const live = stream?.connected.value ?? false;
    return html`<span class="live" data-live=${live}>
        <i></i>${this.connection()}
      </span>
      ${sensors.simulated.value ? html`<span class="mark">${t('simulated')}</span>` : nothing}
      <span class="counts">
        ${SHOWN.filter((state) => counts[state] > 0).map(
          (state) => html`<span title=${t(`state.${state}`)} data-state=${state}>${sensorSign(state)}${counts[state]}</span>`,
        )}
      </span>
      <button class="link" @click=${() => this.app.store.set({ right: 'incidents' })}>
        ${t('strip.incidents', { n: incidents.open.value })}
      </button>`;
  }
}
customElements.define('twin-strip', StatusStrip);
