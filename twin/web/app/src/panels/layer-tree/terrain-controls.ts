/** The terrain: on and off, and how much higher it is drawn than it is. */

import { html, nothing, type TemplateResult } from 'lit';
import type { App } from '../../app';
import { decimal, t } from '../../i18n';
import { whyFlat } from '../../layers/reasons';
import { why } from '../why';

const FACTORS = [1, 1.5, 2, 3, 5];

export function terrainControls(app: App): TemplateResult | typeof nothing {
  const { config, map, store } = app;
  const reason = why(app, whyFlat(config, map?.terrain?.failure.value ?? null));
  if (config.terrainMissing)
    return html`<section class="group" data-terrain>
      <h3>${t('terrain')}</h3>
      <div class="layer">${reason}</div>
    </section>`;
  if (!config.terrain || !map) return nothing;
  const { terrain, exaggeration } = store.get();
  const factors = FACTORS.includes(exaggeration) ? FACTORS : [...FACTORS, exaggeration].sort((a, b) => a - b);
  return html`<section class="group" data-terrain>
    <h3>${t('terrain')}</h3>
    <div class="layer">
      <label>
        <input
          type="checkbox"
          .checked=${terrain ?? false}
          @change=${(event: Event) => store.set({ terrain: (event.target as HTMLInputElement).checked })}
        />
        <span class="name">${t('terrain.on')}</span>
      </label>
      ${terrain === false ? nothing : reason}
      ${terrain
        ? html`<label
            ><span class="name">${t('terrain.exaggeration')}</span
            ><select
              data-exaggeration
              @change=${(event: Event) => store.set({ exaggeration: Number((event.target as HTMLSelectElement).value) })}
            >
              ${factors.map((one) => html`<option value=${one} ?selected=${one === exaggeration}>${decimal(one)} ×</option>`)}
            </select></label
          >`
        : nothing}
    </div>
  </section>`;
}
