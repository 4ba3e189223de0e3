/** The clashes of a model version: what it is held against, how far that is, and where it is in the way of what. */

import { signal, type Signal } from '@preact/signals-core';
import { html, nothing, type TemplateResult } from 'lit';
import { layerConfig, select } from '../../app';
import { endClash, hasPipes, isRunning, obstacles, startClash, tableOf, type Clash, type ClashElement, type ClashJob, type ClashResult } from '../../clash/clashes';
import { clashingOf, type Clashing } from '../../clash/clashing';
import { decimal, t, titleOf } from '../../i18n';
import { clashSign } from '../../clash/sign';
import { again, message } from '../message';
import { Panel } from '../panel';

const AT_ONCE = 100;
/** Millimetres that bodies may be in one another: what is usual, and what the server takes. */
const USUAL_MM = 10;
const MOST_MM = 1000;
/** Metres from pipes that may be asked for. */
const MOST_CLEARANCE = 10;

export class ClashView extends Panel {
  private readonly most = signal(AT_ONCE);
  private readonly busy = signal(false);
  private readonly refused = signal<unknown>(null);
  /** Layers that it is not held against. */
  private readonly without = signal<ReadonlySet<string>>(new Set());
  private readonly tolerance = signal(USUAL_MM);
  private readonly clearance = signal(0);
  private readonly only = signal<string | null>(null);

  private get clashing(): Clashing {
    return clashingOf(this.app);
  }

  protected override render(): TemplateResult {
    const { asked, job, error } = this.clashing;
    return html`<button class="link" data-clash="back" @click=${() => this.leave()}>${t('history.back')}</button>
      ${message(error.value ?? this.refused.value, undefined, error.value ? again(() => this.clashing.again()) : undefined)}
      ${this.app.store.get().clash === null ? asked.value && this.form(asked.value) : nothing}
      ${job.value ? this.told(job.value) : this.app.store.get().clash !== null && !error.value ? html`<p class="empty">${t('chart.loading')}</p>` : nothing}`;
  }

  private leave(): void {
    this.clashing.asked.value = null;
    this.app.store.set({ clash: null });
  }

  private titleOfLayer(id: string): string {
    const config = layerConfig(this.app, id);
    if (!config?.version) return titleOf(config?.title, id);
    return `${titleOf(layerConfig(this.app, config.version.of)?.title, config.version.of)} · ${config.version.name}`;
  }

  private form({ layer, version }: { layer: string; version: string }): TemplateResult {
    const others = obstacles(this.app.config.layers, layer);
    const without = this.without.value;
    const turn = (id: string, on: boolean): void => {
      this.without.value = new Set(on ? [...without].filter((one) => one !== id) : [...without, id]);
    };
    return html`<form class="group clash" @submit=${(event: Event) => this.submit(event, layer, version, others.map(({ id }) => id))}>
      <h3>${t('clash.of', { name: version, layer: this.titleOfLayer(layer) })}</h3>
      <p>${t('clash.hint')}</p>
      ${others.length === 0
        ? nothing
        : html`<fieldset>
            <legend>${t('clash.beside')}</legend>
            ${others.map(
              ({ id }) => html`<label class="switch"
                ><input type="checkbox" data-beside=${id} .checked=${!without.has(id)} @change=${(event: Event) => turn(id, (event.target as HTMLInputElement).checked)} /><span
                  >${this.titleOfLayer(id)}</span
                ></label
              >`,
            )}
          </fieldset>`}
      ${this.number('tolerance', this.tolerance, 1, MOST_MM, 1)}
      ${hasPipes(others) ? this.number('clearance', this.clearance, 0, MOST_CLEARANCE, 0.05) : nothing}
      <button class="action primary" data-clash="start" ?disabled=${this.busy.value}>${t('clash.start')}</button>
    </form>`;
  }

  private number(name: 'tolerance' | 'clearance', value: Signal<number>, min: number, max: number, step: number): TemplateResult {
    return html`<label class="choice"
      ><span>${t(`clash.${name}`)}</span
      ><input
        type="number"
        data-clash=${name}
        min=${min}
        max=${max}
        step=${step}
        required
        .value=${String(value.value)}
        @change=${(event: Event) => {
          value.value = Number((event.target as HTMLInputElement).value);
        }}
    /></label>`;
  }

  private submit(event: Event, layer: string, version: string, others: readonly string[]): void {
    event.preventDefault();
    const chosen = others.filter((id) => !this.without.peek().has(id));
    void this.doing(async () => {
      const clearance = this.clearance.peek();
      const near = clearance > 0 ? { clearance_m: clearance } : {};
      const input = { version, tolerance_m: this.tolerance.peek() / 1000, ...near, beside: chosen.length === others.length ? null : chosen };
      this.app.store.set({ clash: await startClash(layer, input) });
      this.most.value = AT_ONCE;
      this.only.value = null;
    });
  }

  private async doing(run: () => Promise<void>): Promise<void> {
    this.busy.value = true;
    this.refused.value = null;
    try {
      await run();
    } catch (error) {
      this.refused.value = error;
    } finally {
      this.busy.value = false;
    }
  }

  private told(job: ClashJob): TemplateResult {
    const { input, progress = 0, result, status } = job;
    if (job.processID !== 'clash') return html`<p class="message" role="alert">${t('error.NotFound')}</p>`;
    return html`<section class="group" data-clash-job=${status}>
        <h3>${t('clash.of', { name: input.version, layer: this.titleOfLayer(input.layer) })}</h3>
        <p class="counts">${t('clash.tolerance')} ${decimal(input.tolerance_m * 1000, 1)}${input.clearance_m ? html` · ${t('clash.clearance')} ${decimal(input.clearance_m, 2)}` : nothing}</p>
        ${isRunning(job)
          ? html`<progress max="100" value=${progress} aria-label=${t('clash')}></progress>
              <p role="status">${t('clash.running', { percent: progress })}</p>
              <button class="action" data-clash="end" ?disabled=${this.busy.value} @click=${() => void this.doing(() => endClash(job.jobID))}>${t('cancel')}</button>`
          : nothing}
        ${status === 'failed' ? html`<p class="message" role="alert">${t('clash.failed')}<small lang="en">${job.message}</small></p>` : nothing}
        ${status === 'dismissed' ? html`<p class="empty">${t('clash.dismissed')}</p>` : nothing}
        ${result ? this.summary(job, result) : nothing}
      </section>
      ${result ? this.list(result) : nothing}`;
  }

  private summary(job: ClashJob, result: ClashResult): TemplateResult {
    const { pairs, count, near_count: near, looked, others, open, left_out: leftOut } = result;
    const isNearAsked = (job.input.clearance_m ?? 0) > 0;
    return html`<p role="status" data-clash-count=${count}><strong>${t('clash.found', { n: count })}</strong></p>
      ${isNearAsked ? html`<p role="status" data-clash-near=${near}><strong>${t('clash.near', { n: near })}</strong></p>` : nothing}
      <p class="counts">${t('clash.looked', { looked: decimal(looked, 0), others: decimal(others, 0) })}</p>
      ${open > 0 ? html`<p class="why">${t('clash.open', { n: open })}</p>` : nothing}
      ${count + near > pairs.length ? html`<p class="why">${t('clash.most', { n: pairs.length })}</p>` : nothing}
      ${Object.entries(leftOut).map(([id, why]) => html`<p class="why" data-left-out=${id}>${t('clash.leftOut', { layer: this.titleOfLayer(id) })} <span lang="en">${why}</span></p>`)}
      ${pairs.length === 0
        ? nothing
        : html`<p class="signs"><span>${clashSign('clash')} ${t('clash.new')}</span> <span>${clashSign('obstacle')} ${t('clash.other')}</span></p>
            <button class="action" data-clash="download" @click=${() => this.download(job, pairs)}>${t('clash.download')}</button>`}`;
  }

  private download({ input }: ClashJob, pairs: readonly Clash[]): void {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([tableOf(pairs)], { type: 'text/csv;charset=utf-8' }));
    link.download = `${input.layer}-${input.version.replaceAll(/[^\p{L}\p{N}._-]+/gu, '_')}-${t('clash')}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  private list({ pairs }: ClashResult): TemplateResult {
    const layers = [...new Set(pairs.map(({ other }) => other.layer))];
    const only = this.only.value;
    const listed = [...pairs.entries()].filter(([, { other }]) => only === null || other.layer === only);
    return html`${layers.length > 1
        ? html`<label class="choice"
            ><span>${t('clash.against')}</span
            ><select
              data-clash="only"
              @change=${(event: Event) => {
                this.only.value = (event.target as HTMLSelectElement).value || null;
              }}
            >
              <option value="">${t('clash.all')}</option>
              ${layers.map((id) => html`<option value=${id} ?selected=${id === only}>${this.titleOfLayer(id)}</option>`)}
            </select></label
          >`
        : nothing}
      <ul class="changes">
        ${listed.slice(0, this.most.value).map(([index, one]) => this.row(index, one))}
      </ul>
      ${listed.length > this.most.value
        ? html`<button class="action" data-history="more" @click=${() => (this.most.value += AT_ONCE)}>${t('incidents.next')}</button>`
        : nothing}`;
  }

  private row(index: number, one: Clash): TemplateResult {
    const isChosen = this.clashing.chosen.value === index;
    const size = sizeOf(one);
    return html`<li>
      <button class="change" data-pair=${index} aria-expanded=${isChosen} @click=${() => this.clashing.choose(isChosen ? null : index)}>
        ${clashSign('clash')}<span class="title">${one.new.title}</span> ${clashSign('obstacle')}<span class="title">${one.other.title}</span>
        <small>${size}${one.new.storey ? ` · ${one.new.storey}` : nothing}</small>
      </button>
      ${isChosen ? html`<div class="values">${this.element('clash', one.new)} ${this.element('obstacle', one.other)}</div>` : nothing}
    </li>`;
  }

  private element(as: 'clash' | 'obstacle', one: ClashElement): TemplateResult {
    const category = layerConfig(this.app, one.layer)?.fields.find(({ name }) => name === 'category')?.codes?.[one.category ?? ''];
    const parts = [this.titleOfLayer(one.layer), titleOf(category, one.category ?? ''), one.storey, one.element].filter(Boolean);
    return html`<p>${clashSign(as)} ${parts.join(' · ')}</p>
      <button class="link" data-card=${`${one.layer}/${one.id}`} @click=${() => select(this.app, { type: 'feature', layer: one.layer, fid: one.id })}>${t('change.card')}</button>`;
  }
}

function sizeOf(one: Clash): string {
  if (one.gap_m !== undefined) return t('clash.gap', { gap: decimal(one.gap_m, 3) });
  if (one.volume_m3 === undefined) return t('clash.crossings', { n: one.crossings ?? 0 });
  return t('clash.volume', { volume: decimal(one.volume_m3, 4), depth: decimal(1000 * (one.depth_m ?? 0), 0) });
}

customElements.define('twin-clashes', ClashView);
