/** What is seen of a building model, and the same as a part of a link. */

import { effect, signal } from '@preact/signals-core';
import { getModels } from '../api';
import type { LayerConfig, ModelChoices, ModelLook } from '../config';
import type { Store } from '../state';

/** Of the moment that is shown, by layer; null for now. */
export const modelsThen = signal<ReadonlyMap<string, ModelChoices> | null>(null);

/** The storeys and categories of a layer at the moment that is shown. */
export function choicesOf(layer: LayerConfig): ModelChoices {
  return modelsThen.value === null ? layer : (modelsThen.value.get(layer.id) ?? {});
}

/** Asks for what a moment had, as often as another one is shown. */
export function followModels(store: Store): void {
  let asked: string | null = null;
  effect(() => {
    const { at } = store.get();
    if (at === asked) return;
    asked = at;
    if (at === null) modelsThen.value = null;
    else
      void getModels(at)
        .then((found) => {
          if (asked === at) modelsThen.value = found;
        })
        // of a moment that is not kept there is nothing to choose; the bar tells it
        .catch(() => {
          if (asked === at) modelsThen.value = new Map();
        });
  });
}

/** Rooms would hide what stands in them. */
const USUALLY_HIDDEN = ['space'];

/** The categories that are not shown: none where there are no switches, as of rooms alone. */
export function hiddenOf(layer: LayerConfig, look: ModelLook | undefined): readonly string[] {
  const { categories = [] } = choicesOf(layer);
  if (categories.length < 2) return [];
  return (look?.hidden ?? USUALLY_HIDDEN).filter((code) => categories.includes(code));
}

/** The numbers of the storeys that are shown, null for all and for what is on none; the hidden categories. */
export function seen(layer: LayerConfig, look: ModelLook | undefined): { storeys: number[] | null; hidden: readonly string[] } {
  const numbers = (choicesOf(layer).storeys ?? []).map(({ no }) => no);
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

/** What a link says of a building model. What the model does not have is as if it were not there; of a moment (`then`) it
 * is not known yet what that had. */
export function readModel(text: string, { storeys = [], categories = [] }: LayerConfig, then = false): ModelLook {
  const query = new URLSearchParams(text.replaceAll(';', '&'));
  const told = query.get('storey') ?? '';
  const storey = then && /^-?\d{1,4}$/.test(told) ? Number(told) : storeys.find(({ no }) => String(no) === told)?.no;
  const hidden = query.get('hide');
  return {
    ...(storey === undefined ? {} : { storey }),
    ...(storey !== undefined && query.get('below') === 'true' ? { below: true } : {}),
    ...(hidden === null ? {} : { hidden: hidden.split(',').filter((code) => then || categories.includes(code)) }),
  };
}
