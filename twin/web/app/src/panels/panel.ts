import { LitElement, type PropertyDeclarations } from 'lit';
import type { App } from '../app';

/** A part of the interface: drawn into the document itself, again whenever state or live data change. */
export abstract class Panel extends LitElement {
  static override properties: PropertyDeclarations = { app: { attribute: false } };
  declare app: App;
  private stops: (() => void)[] = [];

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const changed = (): void => this.requestUpdate();
    this.app.events.addEventListener('change', changed);
    this.stops = [
      this.app.store.subscribe(changed),
      () => this.app.events.removeEventListener('change', changed),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.stops) stop();
  }
}
