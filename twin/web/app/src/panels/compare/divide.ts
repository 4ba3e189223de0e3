/** Two moments side by side: the divide between them, which is moved, and what each side is of. */

import { html, type TemplateResult } from 'lit';
import { t } from '../../i18n';
import { moving, NOW } from '../../past';
import { Panel } from '../panel';

/** Shares of the width: as far as the divide goes, and by how much a key moves it. */
const EDGE = 0.03;
const STEP = 0.01;
const LEAP = 0.1;

const KEYS: Readonly<Record<string, (at: number) => number>> = {
  ArrowLeft: (at) => at - STEP,
  ArrowRight: (at) => at + STEP,
  ArrowDown: (at) => at - STEP,
  ArrowUp: (at) => at + STEP,
  PageDown: (at) => at - LEAP,
  PageUp: (at) => at + LEAP,
  Home: () => 0,
  End: () => 1,
};

export function kept(share: number): number {
  return Math.min(Math.max(share, EDGE), 1 - EDGE);
}

export class Divide extends Panel {
  /** What the sides are of, in words. */
  declare left: string;
  declare right: string;
  static override properties = { ...Panel.properties, left: { attribute: false }, right: { attribute: false } };

  /** It may go while it is moved: by a key, by a link. */
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    moving.value = null;
  }

  protected override render(): TemplateResult {
    const { store } = this.app;
    const { split, against } = store.get();
    const share = moving.value ?? split ?? 0.5;
    const percent = Math.round(share * 100);
    return html`<div class="side left" data-side="left">◀ ${this.left}</div>
      <div class=${against === NOW ? 'side right now' : 'side right'} data-side="right">${this.right} ▶</div>
      <div
        class="divide"
        role="slider"
        tabindex="0"
        aria-label=${t('compare.divide')}
        aria-orientation="horizontal"
        aria-valuemin="0"
        aria-valuemax="100"
        aria-valuenow=${percent}
        aria-valuetext=${t('compare.where', { percent, left: this.left, right: this.right })}
        @keydown=${(event: KeyboardEvent) => this.keyed(event, share)}
        @pointerdown=${(event: PointerEvent) => this.take(event)}
        @pointermove=${(event: PointerEvent) => this.move(event)}
        @pointerup=${() => this.put()}
        @pointercancel=${() => this.put()}
      >
        <span class="grip" aria-hidden="true">⇹</span>
      </div>`;
  }

  private keyed(event: KeyboardEvent, share: number): void {
    const to = KEYS[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    this.app.store.set({ split: kept(to(share)) });
  }

  private take(event: PointerEvent): void {
    if (event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    moving.value = this.app.store.get().split;
  }

  private move({ clientX }: PointerEvent): void {
    if (moving.peek() !== null) moving.value = kept(clientX / window.innerWidth);
  }

  /** The link has it when it stands still. */
  private put(): void {
    const share = moving.peek();
    moving.value = null;
    if (share !== null) this.app.store.set({ split: share });
  }
}
customElements.define('twin-divide', Divide);
