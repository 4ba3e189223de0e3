/** The section box: its sides as numbers that are dragged, for who does not drag it on the map. */

import { html, type TemplateResult } from 'lit';
import { decimal, t, type Word } from '../../i18n';
import type { SectionBox } from '../../state';
import { Panel } from '../panel';
import { boxFor, kept, LIMITS } from './box';
import { SectionOverlay } from './overlay';

/** What is chosen, in which steps, from where to where; heights are metres above the ground, as far as one builds. */
const SLIDERS: readonly [name: keyof SectionBox, word: Word, step: number, least: number, most: number, unit: string][] = [
  ['high', 'section.high', 0.1, -30, 120, 'm'],
  ['low', 'section.low', 0.1, -30, 120, 'm'],
  ['width', 'section.width', 0.5, LIMITS.side[0], 300, 'm'],
  ['depth', 'section.depth', 0.5, LIMITS.side[0], 300, 'm'],
  ['heading', 'section.heading', 1, 0, 359, '°'],
];

export class SectionPanel extends Panel {
  private overlay: SectionOverlay | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    const { map, store } = this.app;
    this.overlay = map && new SectionOverlay(this.app, map);
    if (store.get().section === null) void this.fit();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.overlay?.remove();
  }

  /** Around what is chosen; solids are seen in 3D alone. */
  private async fit(): Promise<void> {
    const section = await boxFor(this.app);
    this.app.store.set({ section, mode: '3d' });
  }

  protected override render(): TemplateResult {
    const { store } = this.app;
    const box = store.get().section;
    return html`<div class="header">
        <h2>${t('section')}</h2>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null })}>×</button>
      </div>
      <div class="scroll">
        ${box ? SLIDERS.map((one) => this.slider(box, ...one)) : html`<p class="empty">${t('section.none')}</p>`}
        <div class="buttons">
          <button class="action" data-section="fit" @click=${() => void this.fit()}>${t('section.fit')}</button>
          <button class="action" data-section="off" ?disabled=${box === null} @click=${() => store.set({ section: null })}>${t('section.off')}</button>
        </div>
        <p class="why">${t('section.hint')}</p>
      </div>`;
  }

  private slider(box: SectionBox, name: keyof SectionBox, word: Word, step: number, least: number, most: number, unit: string): TemplateResult {
    const value = box[name];
    const text = `${decimal(value, 1)} ${unit}`;
    return html`<label class="choice">
      <span>${t(word)} <output>${text}</output></span>
      <input
        type="range"
        data-section=${name}
        min=${Math.min(least, value)}
        max=${Math.max(most, value)}
        step=${step}
        aria-valuetext=${text}
        .value=${String(value)}
        @input=${(event: Event) => this.choose(name, Number((event.target as HTMLInputElement).value))}
      />
    </label>`;
  }

  private choose(name: keyof SectionBox, value: number): void {
    const { store } = this.app;
    const box = store.get().section;
    if (!box) return;
    // the floor does not go through the lid, whichever is moved
    const under = name === 'high' ? { low: Math.min(box.low, value - LIMITS.slice) } : {};
    store.set({ section: kept({ ...box, [name]: value, ...under }) });
  }
}
customElements.define('twin-section', SectionPanel);
