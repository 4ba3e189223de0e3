/** A profile: the line is drawn on the map or of coordinates, the chart shows what lies along it. */

import { effect, signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type uPlot from 'uplot';
import type { LayerConfig } from '../../config';
import { decimal, language, t, titleOf } from '../../i18n';
import { explain } from '../../i18n/errors';
import { asked, isSameQuestion, questionOf, steady, valuesAlong, type BandValues, type Question } from '../../layers/values';
import { readPlace, type Place } from '../../place';
import { PICK } from '../../state';
import { shade } from '../../tokens';
import { Panel } from '../panel';
import { addPlace, clearLine, distancesOf, DRAW_LINE, line, looked } from './line';
import { LineOverlay } from './overlay';
import { drawProfile, length, spanOf } from './profile-chart';

interface Profile {
  places: Place[];
  distances: number[];
  bands: BandValues[];
}

export class ProfilePanel extends Panel {
  private readonly profile = signal<Profile | null>(null);
  private readonly problem = signal<string | null>(null);
  private readonly chosen = signal<string | null>(null);
  private readonly wrong = signal(false);
  private request: AbortController | null = null;
  private overlay: LineOverlay | null = null;
  private unfollow: (() => void) | null = null;
  private chart: uPlot | null = null;
  private drawn: unknown[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    const { map } = this.app;
    this.overlay = map && new LineOverlay(map);
    const question = steady<Question | null>(() => {
      const layer = this.layer();
      return layer ? questionOf(layer, this.app.store.get()) : null;
    }, isSameQuestion);
    this.unfollow = effect(() => void this.ask(question.value, line.value));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
    this.request?.abort();
    this.overlay?.remove();
    this.chart?.destroy();
    this.chart = null;
    clearLine();
  }

  /** The layer that was chosen, else the first that can be asked: what lies highest. */
  private layer(): LayerConfig | undefined {
    const layers = asked(this.app.config, this.app.store.get());
    const { terrain } = this.app.config;
    const wanted = this.chosen.value ?? terrain?.layer;
    return layers.find(({ id }) => id === wanted) ?? layers[0];
  }

  private async ask(question: Question | null, corners: readonly Place[]): Promise<void> {
    this.request?.abort();
    this.problem.value = null;
    if (!question || corners.length < 2) {
      this.profile.value = null;
      return;
    }
    const request = new AbortController();
    this.request = request;
    try {
      const { places, bands } = await valuesAlong(question, corners, request.signal);
      if (!request.signal.aborted) this.profile.value = { places, distances: distancesOf(places), bands };
    } catch (error) {
      if (request.signal.aborted) return;
      this.profile.value = null;
      const { text, detail } = explain(error);
      this.problem.value = [text, detail].filter(Boolean).join(' ');
    }
  }

  protected override render(): TemplateResult {
    const { config, store, map } = this.app;
    const layers = asked(config, store.get());
    const drawing = store.get().pointer === DRAW_LINE;
    const layer = this.layer();
    return html`<div class="header">
        <h2>${t('profile')}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null, pointer: PICK })}>×</button>
      </div>
      <div class="scroll">
        ${layer
          ? html`<label class="choice"
              ><span>${t('profile.of')}</span>
              <select data-profile="layer" @change=${(event: Event) => this.choose(event)}>
                ${layers.map((one) => html`<option value=${one.id} ?selected=${one === layer}>${titleOf(one.title, one.id)}</option>`)}
              </select></label
            >`
          : html`<p class="empty" data-why="profile.nothing">${t('profile.nothing')}</p>`}
        ${this.told()}
        <div class="chart"></div>
        <div class="buttons">
          ${map
            ? html`<button
                class="action"
                data-profile="draw"
                aria-pressed=${drawing}
                @click=${() => store.set({ pointer: drawing ? PICK : DRAW_LINE })}
              >
                ${t('profile.draw')}
              </button>`
            : nothing}
          <button class="action" data-profile="middle" @click=${() => addPlace([store.get().view.lon, store.get().view.lat])}>
            ${t('profile.middle')}
          </button>
          <button class="action" data-profile="undo" ?disabled=${line.value.length === 0} @click=${() => this.undo()}>${t('profile.undo')}</button>
          <button class="action" data-profile="clear" ?disabled=${line.value.length === 0} @click=${clearLine}>${t('profile.clear')}</button>
        </div>
        <form class="edit" @submit=${(event: SubmitEvent) => this.add(event)}>
          <label><span>${t('profile.place')}</span><input name="place" autocomplete="off" placeholder="60.17, 24.95" /></label>
          ${this.wrong.value ? html`<p class="message" role="alert">${t('place.wrong')}</p>` : nothing}
          <button class="action">${t('profile.add')}</button>
        </form>
      </div>`;
  }

  private choose(event: Event): void {
    this.chosen.value = (event.target as HTMLSelectElement).value;
  }

  private undo(): void {
    line.value = line.value.slice(0, -1);
  }

  private add(event: SubmitEvent): void {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const place = readPlace(String(new FormData(form).get('place') ?? ''));
    this.wrong.value = place === null;
    if (!place) return;
    addPlace(place);
    form.reset();
  }

  /** What the chart says, in words. */
  private told(): TemplateResult {
    const profile = this.profile.value;
    if (this.problem.value) return html`<p class="message" role="alert">${this.problem.value}</p>`;
    if (!profile) return html`<p class="empty">${t(line.value.length === 0 ? 'profile.begin' : 'profile.more')}</p>`;
    const total = profile.distances.at(-1) ?? 0;
    const spans = profile.bands.map((band) => ({ band, span: spanOf(band.values) }));
    return html`<div role="status">
      <p>${t('profile.length', { length: length(total) })}</p>
      ${spans.map(({ band: { title, name, unit }, span }) =>
        span
          ? html`<p data-span=${name}>
              ${titleOf(title, name)}: ${decimal(span.low)} – ${decimal(span.high)} ${unit}, ↑ ${decimal(span.up)} ↓ ${decimal(span.down)}
            </p>`
          : html`<p data-why="profile.empty">${titleOf(title, name)}: ${t('profile.empty')}</p>`,
      )}
    </div>`;
  }

  protected override updated(_changed: PropertyValues): void {
    const profile = this.profile.value;
    const wanted = [profile, shade.value, language()];
    if (wanted.every((one, i) => one === this.drawn[i])) return;
    this.drawn = wanted;
    this.chart?.destroy();
    this.chart = null;
    looked.value = null;
    const host = this.querySelector<HTMLElement>('.chart');
    if (!profile || !host) return;
    this.chart = drawProfile(host, profile.distances, profile.bands, (i) => {
      looked.value = i === null ? null : (profile.places[i] ?? null);
    });
  }
}
customElements.define('twin-profile', ProfilePanel);
