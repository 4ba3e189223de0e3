/** What is seen of a building model, and the same as a part of a link. */

import { effect, signal } from '@preact/signals-core';
import { getModels } from '../api';
import type { LayerConfig, ModelChoices, ModelLook, StoreyConfig } from '../config';
import type { Store } from '../state';
import { CELLARS, mixed, STOREYS } from '../tokens';

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

/** How far every other storey is paler: of many the colours of neighbours are nearly the same. */
const PALER = 0.3;

/** A colour of a row of them, at a share of its length. */
function along(row: readonly string[], share: number): string {
  const at = share * (row.length - 1);
  const before = Math.min(Math.floor(at), row.length - 2);
  return mixed(row[before]!, row[before + 1]!, at - before);
}

/** The colour of each storey (分层设色), from the lowest to the highest, as for a light map; none where they have none. */
export function storeyColors(layer: LayerConfig, look: ModelLook | undefined): { storey: StoreyConfig; color: string }[] {
  const { storeys = [] } = choicesOf(layer);
  if (!look?.byStorey || storeys.length < 2) return [];
  const under = storeys.filter(({ no }) => no < 0);
  const over = storeys.filter(({ no }) => no >= 0);
  const colored = (some: readonly StoreyConfig[], row: readonly string[]): { storey: StoreyConfig; color: string }[] =>
    some.map((storey, i) => {
      const color = along(row, some.length > 1 ? i / (some.length - 1) : 0);
      return { storey, color: some.length > row.length && i % 2 === 1 ? mixed(color, '#ffffff', PALER) : color };
    });
  return [...colored(under.toReversed(), CELLARS).reverse(), ...colored(over, STOREYS)];
}

/** As it stands in a link: `id;storey=2;below=true;hide=space,furniture;by=storey`. */
export function writeModel(id: string, look: ModelLook | undefined): string | null {
  const { storey = null, below = false, hidden, byStorey = false } = look ?? {};
  const parts = [
    ...(storey === null ? [] : [`storey=${storey}`]),
    ...(storey !== null && below ? ['below=true'] : []),
    ...(hidden ? [`hide=${hidden.join(',')}`] : []),
    ...(byStorey ? ['by=storey'] : []),
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
    ...(query.get('by') === 'storey' && (then || storeys.length > 1) ? { byStorey: true } : {}),
    ...(hidden === null ? {} : { hidden: hidden.split(',').filter((code) => then || categories.includes(code)) }),
  };
}
