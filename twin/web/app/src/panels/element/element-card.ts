/** The card of an element of registered 3D content: what its tile carries of it. */

import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { layerConfig, select } from '../../app';
import { t, titleOf } from '../../i18n';
import type { SceneElement } from '../../map/element';
import type { LiveSelection } from '../../state';
import { Panel } from '../panel';

export class ElementCard extends Panel {
  private painted: SceneElement | null = null;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.paint(null);
  }

  private get element(): SceneElement | null {
    const found = this.app.map?.picker.element;
    return found?.id === (this.selection as LiveSelection).id ? found.element : null;
  }

  protected override updated(_changed: PropertyValues): void {
    this.paint(this.element);
  }

  private paint(element: SceneElement | null): void {
    if (element === this.painted) return;
    this.painted?.paint(false);
    element?.paint(true);
    this.painted = element;
    this.app.map?.scene.requestRender();
  }

  protected override render(): TemplateResult {
    const { app, element } = this;
    const layer = element && layerConfig(app, element.layer);
    const name = element?.properties.find((one) => /^(name|名称)$/i.test(one.name))?.text;
    return html`<div class="header">
        <div>
          <small>${layer ? titleOf(layer.title, layer.id) : nothing}</small>
          <h2>${name ?? element?.className ?? t('element')}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0">${element ? this.told(element) : html`<p class="empty">${t('element.gone')}</p>`}</div>`;
  }

  private told({ className, file, properties, set }: SceneElement): TemplateResult {
    const about: [word: 'element.class' | 'element.set' | 'element.file', text: string | null][] = [
      ['element.class', className],
      ['element.set', set === null ? null : String(set + 1)],
      ['element.file', file || null],
    ];
    return html`<section class="group" data-element>
        ${properties.length === 0 ? html`<p class="empty">${t('element.none')}</p>` : html`<h3>${t('group.attributes')}</h3>`}
        <dl>${properties.map(({ name, title, text }) => html`<dt>${title}</dt><dd data-property=${name}>${text}</dd>`)}</dl>
      </section>
      <section class="group">
        <h3>${t('group.source')}</h3>
        <dl>${about.map(([word, text]) => (text === null ? nothing : html`<dt>${t(word)}</dt><dd>${text}</dd>`))}</dl>
      </section>`;
  }
}
customElements.define('twin-element', ElementCard);
