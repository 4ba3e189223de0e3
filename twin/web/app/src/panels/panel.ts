import { effect } from '@preact/signals-core';
import { LitElement, type PropertyDeclarations } from 'lit';
import type { App } from '../app';
import { sameSelection, type Selection } from '../state';

/** How often the panels of each tag were drawn since the page was opened. */
export const renders = new Map<string, number>();

/**
 * A part of the interface, drawn into the document itself. It is drawn again when a signal that it read while
 * it was drawn has changed (state, words, live data), and for nothing else.
 */
export abstract class Panel extends LitElement {
  static override properties: PropertyDeclarations = {
    app: { attribute: false },
    selection: { attribute: false, hasChanged: (a: Selection | null, b: Selection | null) => !sameSelection(a, b) },
  };
  declare app: App;
  /** What a card is of. */
  declare selection: Selection | null;
  private stop: (() => void) | null = null;

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop?.();
    this.stop = null;
  }

  /** Signals read from willUpdate() to updated() are followed until the next update, also where one throws. */
  protected override performUpdate(): void {
    if (!this.isUpdatePending) return;
    this.stop?.();
    let drawn = false;
    let failure: { error: unknown } | null = null;
    this.stop = effect(() => {
      if (drawn) {
        this.requestUpdate();
        return;
      }
      drawn = true;
      renders.set(this.localName, (renders.get(this.localName) ?? 0) + 1);
      try {
        super.performUpdate();
      } catch (error) {
        failure = { error };
      }
    });
    if (failure) throw (failure as { error: unknown }).error;
  }
}
