/** What is seen of a building model, and the same as a part of a link. */

import type { LayerConfig, ModelLook } from '../config';

/** Rooms would hide what stands in them. */
const USUALLY_HIDDEN = ['space'];

/** The categories that are not shown: none where there are no switches, as of rooms alone. */
export function hiddenOf({ categories = [] }: LayerConfig, look: ModelLook | undefined): readonly string[] {
  if (categories.length < 2) return [];
  return (look?.hidden ?? USUALLY_HIDDEN).filter((code) => categories.includes(code));
}

/** The numbers of the storeys that are shown, null for all and for what is on none; the hidden categories. */
export function seen(layer: LayerConfig, look: ModelLook | undefined): { storeys: number[] | null; hidden: readonly string[] } {
  const numbers = (layer.storeys ?? []).map(({ no }) => no);
  const chosen = look?.storey ?? null;
  // of a single one there is no slider that would lead back to all
  const known = chosen !== null && numbers.length > 1 && numbers.includes(chosen);
  const storeys = known ? numbers.filter((no) => (look?.below ? no <= chosen : no === chosen)) : null;
  return { storeys, hidden: hiddenOf(layer, look) };
}

/** As it stands in a link: `id;storey=2;below=true;hide=space,furniture`. */
export function writeModel(id: string, look: ModelLook | undefined): string | null {
  const { storey = null, below = false, hidden } = look ?? {};
  const parts = [
    ...(storey === null ? [] : [`storey=${storey}`]),
    ...(storey !== null && below ? ['below=true'] : []),
    ...(hidden ? [`hide=${hidden.join(',')}`] : []),
  ];
  return parts.length > 0 ? [id, ...parts].join(';') : null;
}

/** What a link says of a building model; what the model does not have is as if it were not there. */
export function readModel(text: string, { storeys = [], categories = [] }: LayerConfig): ModelLook {
  const query = new URLSearchParams(text.replaceAll(';', '&'));
  const storey = storeys.find(({ no }) => String(no) === query.get('storey'));
  const hidden = query.get('hide');
  return {
    ...(storey ? { storey: storey.no } : {}),
    ...(storey && query.get('below') === 'true' ? { below: true } : {}),
    ...(hidden === null ? {} : { hidden: hidden.split(',').filter((code) => categories.includes(code)) }),
  };
}
