/** Search (addresses, names, coordinates) with fly-to. */

import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { getJson, type Feature } from '../../api';
import { asOf } from '../../past';
import { goTo, layerConfig } from '../../app';
import { t, titleOf } from '../../i18n';
import { Panel } from '../panel';

const DELAY_MS = 200;

interface Hit extends Feature {
  properties: { title: string; layer: string | null; fid: number | null; kind: string | null };
  bbox?: number[];
}

export class SearchPanel extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    hits: { state: true },
    active: { state: true },
    failed: { state: true },
  };
  declare hits: Hit[] | null;
  declare active: number;
  declare failed: boolean;
  private timer = 0;
  private latest = 0;

  constructor() {
    super();
    this.hits = null;
    this.active = -1;
    this.failed = false;
  }

  override focus(): void {
    this.querySelector('input')?.focus();
  }

  protected override render(): TemplateResult {
    return html`<input
        type="search"
        role="combobox"
        aria-expanded=${this.hits !== null}
        aria-controls="search-hits"
        aria-label=${t('search')}
        placeholder=${t('search.hint')}
        maxlength="200"
        autocomplete="off"
        @input=${this.typed}
        @keydown=${this.keyed}
        @focus=${this.typed}
        @blur=${() => setTimeout(() => (this.hits = null), 150)}
      />
      ${this.hits === null
        ? nothing
        : html`<ul id="search-hits" role="listbox">
            ${this.hits.map((hit, i) => this.row(hit, i))}
            ${this.hits.length === 0
              ? html`<li class="empty" role="option" aria-disabled="true" aria-selected="false">
                  ${t(this.failed ? 'search.failed' : 'search.none')}
                </li>`
              : nothing}
          </ul>`}`;
  }

  private row(hit: Hit, i: number): TemplateResult {
    const { title, layer } = hit.properties;
    const of = layer ? titleOf(layerConfig(this.app, layer)?.title, layer) : t('search.coordinates');
    return html`<li role="option" aria-selected=${i === this.active} @mousedown=${() => this.choose(hit)}>
      <span>${title}</span><small>${of}</small>
    </li>`;
  }

  private readonly typed = (event: Event): void => {
    const text = (event.target as HTMLInputElement).value.trim();
    clearTimeout(this.timer);
    if (!text) {
      this.hits = null;
      return;
    }
    this.timer = window.setTimeout(() => void this.ask(text), DELAY_MS);
  };

  private async ask(text: string): Promise<void> {
    const turn = ++this.latest;
    try {
      const found = await getJson<{ features: Hit[] }>(asOf(`search?q=${encodeURIComponent(text)}&limit=8`, this.app.store.get().at));
      if (turn !== this.latest) return;
      this.failed = false;
      this.hits = found.features;
    } catch {
      if (turn !== this.latest) return;
      this.failed = true;
      this.hits = [];
    }
    this.active = -1;
  }

  private readonly keyed = (event: KeyboardEvent): void => {
    event.stopPropagation();
    const count = this.hits?.length ?? 0;
    if (event.key === 'ArrowDown') this.active = Math.min(this.active + 1, count - 1);
    else if (event.key === 'ArrowUp') this.active = Math.max(this.active - 1, 0);
    else if (event.key === 'Enter') this.choose(this.hits?.[Math.max(this.active, 0)]);
    else if (event.key === 'Escape') (event.target as HTMLInputElement).blur();
    else return;
    event.preventDefault();
  };

  private choose(hit: Hit | undefined): void {
    if (!hit) return;
    const { layer, fid } = hit.properties;
    const known = layer && fid !== null && layerConfig(this.app, layer);
    goTo(this.app, hit.geometry?.coordinates, known ? { type: 'feature', layer, fid } : null);
    this.hits = null;
    this.querySelector('input')?.blur();
  }
}
customElements.define('twin-search', SearchPanel);
