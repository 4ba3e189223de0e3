/** A layer whose content comes over the stream, not in tiles. */

import type { Word } from '../i18n';

export interface LiveLayer {
  /** Its name in `state.live` and in a link's `off=`. */
  readonly id: string;
  readonly title: Word;
  /** How many of it the map shows; followed by whoever reads it while it is drawn. */
  readonly count: number;
}

/** Its signs on the map. */
export interface LiveSigns {
  show: boolean;
}
