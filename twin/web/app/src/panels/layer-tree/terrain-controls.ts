/** The terrain: on and off, and how much higher it is drawn than it is. */

import { html, nothing, type TemplateResult } from 'lit';
import type { App } from '../../app';
import { decimal, t } from '../../i18n';
import { whyFlat } from '../../layers/reasons';

const FACTORS = [1, 1.5, 2, 3, 5];

export function terrainControls({ config, map, store }: App): TemplateResult | typeof nothing {
  const flat = whyFlat(config, (map?.terrain?.failure.value ?? null) !== null);
  const why = flat ? html`<p class="why" data-why=${flat.word}>${t(flat.word)}</p>` : nothing;
  if (config.terrainMissing)
    return html`<section class="group" data-terrain>
      <h3>${t('terrain')}</h3>
      <div class="layer">${why}</div>
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
      ${why}
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
