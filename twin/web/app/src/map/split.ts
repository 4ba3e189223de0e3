/** Two moments side by side: what is right of the divide is opened once more, as of the other one. */

import { effect, untracked } from '@preact/signals-core';
import type { App, MapParts } from '../app';
import { MapNames, type Obstacle } from '../layers/labels';
import { LayerSet } from '../layers/layers';
import { besideMoment, isSplit, moving } from '../past';

export function followSplit(app: App, { scene, ground, layers, imagery }: MapParts, obstacles: () => Obstacle[]): void {
  const { config, store } = app;
  effect(() => {
    const state = store.get();
    const on = isSplit(state);
    const share = moving.value ?? state.split ?? 0;
    const { style } = document.documentElement;
    document.documentElement.toggleAttribute('data-split', on);
    style.setProperty('--split', String(share));
    scene.splitPosition = share;
    if (on && !layers.beside) untracked(open);
    scene.requestRender();
  });
  function open(): void {
    layers.beside = new LayerSet(scene, config, store, ground, imagery, besideMoment);
    layers.beside.onSwap = (layer) => layers.onSwap(layer);
    new MapNames(scene, config, store, ground, obstacles, () => layers.beside?.clusters() ?? [], () => layers.settled, besideMoment);
  }
}
