/** Layers that are switched on for what is looked at, and off again after it. */

import type { Store } from '../state';

export class Lent {
  private turned: readonly string[] = [];

  constructor(private readonly store: Store) {}

  /** These are shown, and those no longer that were shown for what was looked at before. */
  show(ids: readonly string[]): void {
    const { store } = this;
    for (const id of this.turned.filter((one) => !ids.includes(one))) store.setLayer(id, { visible: false });
    const { layers } = store.get();
    this.turned = ids.filter((id) => this.turned.includes(id) || layers[id]?.visible === false);
    for (const id of this.turned) store.setLayer(id, { visible: true });
  }
}
