/** The card of a sensor: its value, state, thresholds and the last 24 hours. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import type uPlot from 'uplot';
import { select } from '../../app';
import type { ObservedPropertyConfig, Threshold } from '../../config';
import { dateTime, decimal, language, t, titleOf } from '../../i18n';
import type { Sensor } from '../../live/sensors';
import { DAY_MS, drawChart, observations, withGaps, type Series } from './chart';
import type { LiveSelection } from '../../state';
import { shade } from '../../tokens';
import { again, nextStep } from '../message';
import { Panel } from '../panel';
import { Recovery } from '../recovery';
import { sensorSign } from '../sign';

export class SensorCard extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    status: { state: true },
  };
  declare status: 'loading' | 'ready' | 'empty' | 'failed';
  private series: Series = { times: [], values: [] };
  private plot: uPlot | null = null;
  private drawn = '';
  private request: AbortController | null = null;
  private recovery: Recovery | null = null;

  constructor() {
    super();
    this.status = 'loading';
  }

  private get sensor(): number {
    return (this.selection as LiveSelection).id;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.recovery = new Recovery(this.app.events, () => void this.load());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.recovery?.end();
    this.request?.abort();
    this.plot?.destroy();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('selection')) void this.load();
    const known = this.app.sensors.get(this.sensor);
    if (known?.time && this.status !== 'loading') this.observe(known);
  }

  protected override updated(): void {
    this.draw();
  }

  private get property(): ObservedPropertyConfig | undefined {
    return this.app.config.thresholds[this.app.sensors.get(this.sensor)?.property ?? ''];
  }

  private async load(): Promise<void> {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.status = 'loading';
    try {
      this.series = await observations(this.sensor, Date.now() - DAY_MS, request.signal);
      this.status = this.series.times.length > 0 ? 'ready' : 'empty';
      this.recovery?.done();
    } catch (error) {
      if (request.signal.aborted) return;
      this.status = 'failed';
      this.recovery?.failed(error);
    }
    this.drawn = '';
  }

  private observe(sensor: Sensor): void {
    const at = sensor.time! / 1000;
    const last = this.series.times.at(-1);
    if (last !== undefined && at <= last) return;
    this.series.times.push(at);
    this.series.values.push(sensor.value);
    if (this.status === 'empty') this.status = 'ready';
  }

  protected override render(): TemplateResult {
    const sensor = this.app.sensors.get(this.sensor);
    return html`<div class="header">
        <div>
          <small>${t('live.sensor')} ${sensor?.simulated ? html`<span class="mark">${t('simulated')}</span>` : nothing}</small>
          <h2>${sensor?.name ?? this.sensor}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(this.app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0" data-sensor=${this.sensor}>
        ${sensor ? html`${this.station(sensor)}${this.reading(sensor)}` : this.unknown()}
        <section class="group">
          <h3>${t('chart.day')}</h3>
          ${this.status === 'ready' ? nothing : html`<p class="empty">${t(`chart.${this.status}`)}</p>`}
          ${this.status === 'failed' ? nextStep(again(() => void this.load())) : nothing}
          ${this.status === 'empty' && sensor ? nextStep({ word: 'step.older', href: `sta/v1.1/Datastreams(${this.sensor})/Observations` }) : nothing}
          <div class="chart" data-status=${this.status} data-points=${this.series.times.length}></div>
        </section>
        ${this.thresholds()}
      </div>`;
  }

  private unknown(): TemplateResult {
    return html`<div class="message" role="status">
      ${t('sensor.unknown')} ${nextStep({ word: 'close', action: 'close', run: () => select(this.app, null) })}
    </div>`;
  }

  /** What else is measured in the same place. */
  private station(sensor: Sensor): TemplateResult | typeof nothing {
    const all = this.app.sensors.station(sensor);
    if (all.length < 2) return nothing;
    return html`<div class="buttons station" role="group" aria-label=${t('sensor.station')}>
      ${all.map(
        (one) => html`<button
          class="action"
          data-sensor=${one.id}
          aria-pressed=${one.id === sensor.id}
          @click=${() => select(this.app, { type: 'sensor', id: one.id })}
        >
          ${sensorSign(one.state)} ${one.name}
        </button>`,
      )}
    </div>`;
  }

  private reading(sensor: Sensor): TemplateResult {
    const { property } = this;
    return html`<div class="reading" data-state=${sensor.state}>
      <div class="value">
        ${sensor.value === null ? '–' : decimal(sensor.value, 3)}<small>${sensor.unit}</small>
      </div>
      <div>
        ${sensorSign(sensor.state)} <span class="state">${t(`state.${sensor.state}`)}</span><br />
        <small>${titleOf(property?.title, sensor.property)}</small><br />
        <small>${sensor.time ? dateTime(sensor.time) : t('sensor.never')}</small>
      </div>
    </div>`;
  }

  private thresholds(): TemplateResult {
    const list = this.property?.thresholds ?? [];
    if (list.length === 0) return html`${nothing}`;
    const unit = this.property?.unit ?? '';
    return html`<section class="group">
      <h3>${t('thresholds')}</h3>
      ${list.map((one: Threshold) => this.threshold(one, unit))}
    </section>`;
  }

  private threshold(one: Threshold, unit: string): TemplateResult {
    const sign = one.side === 'above' ? '≥' : '≤';
    return html`<div class="entry">
      ${sensorSign(one.level)}<span class="name">${t(`state.${one.level}`)}</span>
      <span>${sign} ${decimal(one.raise, 3)} ${unit}</span>
      <small>${t('threshold.clear', { value: decimal(one.clear, 3) })}</small>
    </div>`;
  }

  private draw(): void {
    const host = this.querySelector<HTMLElement>('.chart');
    if (!host) return;
    const mark = `${this.sensor} ${language()} ${this.status} ${shade.value}`;
    const series = withGaps(this.series, this.property?.period ?? 0);
    if (this.plot && this.drawn === mark) {
      this.plot.setData([series.times, series.values]);
      return;
    }
    this.plot?.destroy();
    this.plot = null;
    this.drawn = mark;
    if (this.status !== 'ready') return;
    const unit = this.app.sensors.get(this.sensor)?.unit ?? '';
    this.plot = drawChart(host, series, unit, this.property?.thresholds ?? []);
  }
}
customElements.define('twin-sensor', SensorCard);
