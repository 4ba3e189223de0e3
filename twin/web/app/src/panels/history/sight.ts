/** The row of what was chosen on the map comes into sight. */

import { keyOf, type Change } from '../../history/changes';

export class Sight {
  private scrolled: string | null = null;

  /** After a list of changes was drawn; `reveal` is to list at least so many of them. */
  follow(list: Element, chosen: string | null, changes: readonly Pick<Change, 'layer' | 'id'>[], reveal: (count: number) => void): void {
    if (chosen === this.scrolled) return;
    const row = list.querySelector('.change[aria-expanded=true]');
    const at = changes.findIndex((change) => keyOf(change) === chosen);
    if (row || at < 0) {
      this.scrolled = chosen;
      row?.scrollIntoView({ block: 'nearest' });
      return;
    }
    reveal(at + 1);
  }
}
