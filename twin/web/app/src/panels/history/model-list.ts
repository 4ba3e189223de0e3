/** The model versions of each layer: one that is chosen is drawn with what is different in it. */

import { signal } from '@preact/signals-core';
import { html, nothing, type TemplateResult } from 'lit';
import { getVersioned, putJson } from '../../api';
import { layerConfig } from '../../app';
import { clashingOf } from '../../clash/clashing';
import type { LayerConfig } from '../../config';
import { marksOf } from '../../history/marks';
import { t, titleOf } from '../../i18n';
import { isKnown, may } from '../../session';
import { message } from '../message';
import { Panel } from '../panel';

export class ModelList extends Panel {
  private readonly error = signal<unknown>(null);
  private readonly busy = signal(false);

  protected override render(): TemplateResult {
    const versions = this.app.config.layers.filter((layer) => layer.version !== undefined);
    const of = [...new Set(versions.map((layer) => layer.version!.of))].filter((id) => layerConfig(this.app, id));
    if (of.length === 0) return html`${nothing}`;
    return html`<section class="group" data-models>
      <h3>${t('models')}</h3>
      ${message(this.error.value)}
      ${of.map((id) => this.model(id, versions.filter((layer) => layer.version!.of === id)))}
    </section>`;
  }

  private model(id: string, versions: readonly LayerConfig[]): TemplateResult {
    return html`<h4>${titleOf(layerConfig(this.app, id)?.title, id)}</h4>
      <ul>
        ${versions.map(({ version }) => this.version(id, version!.name))}
      </ul>`;
  }

  private version(layer: string, name: string): TemplateResult {
    const { store } = this.app;
    return html`<li class="buttons" data-version=${name}>
      <button class="action" data-model="compare" @click=${() => store.set({ set: null, version: { layer, to: name, from: null } })}>
        ${t('models.compare', { name })}
      </button>
      ${isKnown()
        ? html`<button class="action" data-model="clash" @click=${() => {
            clashingOf(this.app).asked.value = { layer, version: name };
          }}>${t('clash')}<span class="unseen"> ${name}</span></button>`
        : nothing}
      ${may('edit')
        ? html`<button class="action" data-model="current" ?disabled=${this.busy.value} @click=${() => void this.makeCurrent(layer, name)}>
            ${t('models.current')}
          </button>`
        : nothing}
    </li>`;
  }

  private async makeCurrent(layer: string, name: string): Promise<void> {
    this.busy.value = true;
    this.error.value = null;
    try {
      const base = `ogc/collections/${layer}/model-versions`;
      const etag = this.compared(layer, name) ?? (await getVersioned(base, { cache: 'no-cache' })).etag;
      if (confirm(t('models.sure', { name }))) await putJson(`${base}/current`, { name }, etag);
    } catch (error) {
      this.error.value = error;
    } finally {
      this.busy.value = false;
    }
  }

  /** The state in which the page shows the difference of a version from what is there; null where it does not. */
  private compared(layer: string, name: string): string | null {
    const { version } = this.app.store.get();
    const shown = version?.layer === layer && version.to === name && version.from === null;
    return shown ? (marksOf(this.app).found.peek()?.etag ?? null) : null;
  }
}
customElements.define('twin-model-list', ModelList);
