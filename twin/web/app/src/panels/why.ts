/** A reason for an empty view with its next step, and what this does. */

import { html, nothing, type TemplateResult } from 'lit';
import { goTo, type App } from '../app';
import { usualOpacity, type LayerConfig } from '../config';
import { t, type Word } from '../i18n';
import type { Progress, Reason, Step } from '../layers/reasons';
import { asOf } from '../past';
import { Panel } from './panel';
import { whyEmpty } from '../layers/reasons';
import { layersPublished } from '../published';

const WORDS: Record<Step, Word> = {
  layers: 'step.layers',
  usual: 'step.usual',
  data: 'step.data',
  go: 'step.go',
  closer: 'step.closer',
  surface: 'step.surface',
  under: 'step.under',
  again: 'panel.again',
  home: 'step.home',
  reload: 'panel.again',
  terrain: 'panel.again',
  stand: 'terrain.on',
};

/** How far a layer is; without a map none is under way. */
export function progressOf({ map }: App, id: string): Progress {
  return map?.layers.progress(id) ?? 'open';
}

function usual(app: App): void {
  const layers = Object.fromEntries(app.config.layers.map((layer) => [layer.id, { visible: layer.visible, opacity: usualOpacity(layer) }]));
  const none = !app.config.layers.some(({ visible }) => visible);
  app.store.set({ layers: none ? Object.fromEntries(Object.entries(layers).map(([id, layer]) => [id, { ...layer, visible: true }])) : layers });
}

function take(app: App, step: Step, layer: LayerConfig | null): void {
  const { map, store } = app;
  if (step === 'layers') store.set({ left: 'layers' });
  else if (step === 'usual') usual(app);
  else if (step === 'go' && layer?.extent) goTo(app, corners(layer.extent), null);
  else if (step === 'home') store.set({ view: app.config.view });
  else if (step === 'closer') map?.camera.zoom(0.4);
  else if (step === 'surface') store.set({ underground: false });
  else if (step === 'under') store.set({ underground: true, mode: '3d' });
  else if (step === 'reload') location.reload();
  else if (step === 'stand') store.set({ terrain: true });
  else if (step === 'terrain') void map?.terrain?.apply();
  else if (step === 'again') void again(app, layer ? [layer] : app.config.layers);
}

/** As the server has it now; where it does not say, as it was. */
async function again(app: App, layers: readonly LayerConfig[]): Promise<void> {
  try {
    await layersPublished(app, layers.map(({ id }) => id));
  } catch {
    for (const layer of layers) void app.map?.layers.reload(layer);
  }
}

function corners([west, south, east, north]: readonly [number, number, number, number]): number[][] {
  return [[west, south], [east, north]];
}

export function why(app: App, reason: Reason | null, layer: LayerConfig | null = null): TemplateResult | typeof nothing {
  if (!reason) return nothing;
  const { word, step } = reason;
  const needsMap = step !== null && step !== 'data' && step !== 'layers' && step !== 'usual';
  return html`<p class="why" data-why=${word}>
    ${t(word)}
    ${step === null || (needsMap && !app.map)
      ? nothing
      : step === 'data'
        ? html`<a class="link" href=${asOf(`ogc/collections/${layer?.id ?? ''}?f=html`, layer?.raster ? null : app.store.get().at)} target="_blank">${t(WORDS[step])}</a>`
        : html`<button class="link" data-step=${step} @click=${() => take(app, step, layer)}>${t(WORDS[step])}</button>`}
  </p>`;
}

/** Over the map while nothing is on it. */
export class EmptyNotice extends Panel {
  protected override render(): TemplateResult {
    const { app } = this;
    const reason = app.map ? whyEmpty(app.config, app.store.get(), (id) => progressOf(app, id)) : null;
    return html`${why(app, reason)}`;
  }
}
customElements.define('twin-why', EmptyNotice);
