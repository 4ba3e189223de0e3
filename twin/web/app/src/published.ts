/** Layers that the server publishes anew, or has no longer, while the page is open. */

import type { App } from './app';
import { fetchConfig, usualOpacity } from './config';

/** After `layers`: what the server says of these layers now; other settings need a reload of the page. */
export async function layersPublished(app: App, ids: readonly string[]): Promise<void> {
  const { config, map, store } = app;
  const { layers, view, surroundings, terrain, unavailable } = await fetchConfig();
  // who cannot read the layers does not know which are gone
  if (unavailable) return;
  if (config.layers.length === 0 && layers.length > 0) {
    // nothing was on the map yet: it begins anew where the data is
    history.replaceState(null, '', location.pathname);
    location.reload();
    return;
  }
  Object.assign(config, { view, surroundings });
  const fresh = new Map(layers.map((layer) => [layer.id, layer]));
  const known = new Set(config.layers.map(({ id }) => id));
  const added = layers.filter(({ id }) => ids.includes(id) && !known.has(id));
  config.layers = [...config.layers.map((layer) => fresh.get(layer.id) ?? layer), ...added];
  if (added.length > 0) {
    const shown = Object.fromEntries(added.map((layer) => [layer.id, { visible: layer.visible, opacity: usualOpacity(layer) }]));
    store.set({ layers: { ...store.get().layers, ...shown } });
  }
  if (terrain && config.terrain && (ids.includes(terrain.layer) || terrain.layer !== config.terrain.layer)) {
    config.terrain = terrain;
    void map?.terrain?.renew(terrain);
  }
  for (const id of ids) {
    const published = fresh.get(id);
    await (published ? map?.layers.reload(published) : map?.layers.dropped(id));
  }
}
