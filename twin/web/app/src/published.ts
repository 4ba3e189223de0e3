/** Layers that the server publishes anew, or has no longer, while the page is open. */

import type { App } from './app';
import { fetchConfig } from './config';

/** After `layers`: what the server says of the layers now; other settings need a reload of the page. */
export async function layerPublished(app: App, id: string): Promise<void> {
  const { config, map, store } = app;
  const { layers, view, surroundings, unavailable } = await fetchConfig();
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
  const published = fresh.get(id);
  const known = config.layers.map((layer) => fresh.get(layer.id) ?? layer);
  const isNew = published && !known.includes(published);
  config.layers = isNew ? [...known, published] : known;
  if (isNew) store.set({ layers: { ...store.get().layers, [id]: { visible: published.visible, opacity: 1 } } });
  if (published) await map?.layers.reload(published);
  else map?.layers.dropped(id);
}
