import { ScreenSpaceEventHandler, ScreenSpaceEventType, type Cartesian2 } from '@cesium/engine';
import { select, visit, type App, type MapParts } from './app';
import { fetchConfig, type CityConfig } from './config';
import { installHook } from './hook';
import { t, titleOf, useLanguage } from './i18n';
import { listenToKeys } from './keyboard';
import { AddressLabels } from './layers/labels';
import { LayerSet, localUrl } from './layers/layers';
import { hasKey, mirrorLink, readLink } from './link';
import { Incidents } from './live/incidents';
import { Sensors } from './live/sensors';
import { LiveStream } from './live/stream';
import { CityCamera } from './map/camera';
import { Picker } from './map/pick';
import { openScene, supportsWebGL2 } from './map/scene';
import { followUnderground } from './map/underground';
import { Shell } from './panels/shell';
import { openSession } from './session';
import { Store } from './state';
import './style.css';

function openMap(container: HTMLElement, credits: HTMLElement, config: CityConfig, store: Store): MapParts {
  const widget = openScene(container, credits, config);
  const { scene } = widget;
  const camera = new CityCamera(widget, config, store);
  const layers = new LayerSet(scene, config, store);
  followUnderground(scene, store);
  new AddressLabels(scene, config, store);
  return { widget, scene, camera, layers, picker: new Picker(scene, layers) };
}

function listenToClicks(app: App, map: MapParts): void {
  const handler = new ScreenSpaceEventHandler(map.scene.canvas);
  const click = (event: { position: Cartesian2 }): void => {
    const touch = window.matchMedia('(pointer: coarse)').matches;
    select(app, map.picker.at(event.position, touch));
  };
  handler.setInputAction(click, ScreenSpaceEventType.LEFT_CLICK);
}

/** After `layers`: what the server says of that layer now; other settings need a reload of the page. */
async function layerPublished(app: App, id: string): Promise<void> {
  const fresh = (await fetchConfig()).layers.find((layer) => layer.id === id);
  if (!fresh) return;
  const at = app.config.layers.findIndex((layer) => layer.id === id);
  if (at >= 0) app.config.layers[at] = fresh;
  else {
    app.config.layers.push(fresh);
    const { layers } = app.store.get();
    app.store.set({ layers: { ...layers, [id]: { visible: fresh.visible, opacity: 1 } } });
  }
  await app.map?.layers.reload(fresh);
  app.events.dispatchEvent(new Event('change'));
}

function openStream(app: App): LiveStream {
  const changed = (): boolean => app.events.dispatchEvent(new Event('change'));
  const stream = new LiveStream(
    localUrl(app.config.stream),
    {
      snapshot: (data) => {
        app.sensors.replace(data.sensors);
        app.incidents.replace(data.incidents);
        if (stream.snapshots > 1) app.map?.layers.refreshAll();
        changed();
      },
      sensors: (data) => {
        app.sensors.merge(data);
        changed();
      },
      obs: (data) => {
        app.sensors.observe(data);
        changed();
      },
      incident: (data) => {
        app.incidents.put(data);
        changed();
      },
      tiles: (list) => {
        for (const { url, version } of list) app.map?.layers.tileChanged(url, version);
      },
      layers: ({ id }) => void layerPublished(app, id),
    },
    changed,
  );
  return stream;
}

/** Notices of the data and, where the city has one, the approval number of the map (审图号). */
function showCredits(config: CityConfig, element: HTMLElement): void {
  const notices = config.credits.map(({ text, url }) => {
    const node = document.createElement(url ? 'a' : 'span');
    node.textContent = text;
    if (node instanceof HTMLAnchorElement && url) {
      node.href = url;
      node.rel = 'noopener';
      node.target = '_blank';
    }
    return node;
  });
  if (config.mapApprovalNo) {
    const node = document.createElement('span');
    node.textContent = `${t('approval')} ${config.mapApprovalNo}`;
    notices.push(node);
  }
  element.replaceChildren(...notices);
}

function follow(app: App, notices: HTMLElement): void {
  const { store, config, map } = app;
  const apply = (): void => {
    const { lang, sensors, incidents } = store.get();
    useLanguage(lang, config.timeZone);
    document.title = titleOf(config.title, 'OneMap Twin');
    document.querySelector('#map')?.setAttribute('aria-label', t('map'));
    showCredits(config, notices);
    app.sensors.show = sensors;
    app.incidents.show = incidents;
  };
  apply();
  store.subscribe(apply);
  if (map) {
    map.layers.onSwap = (layer) => app.events.dispatchEvent(new CustomEvent('swap', { detail: layer }));
  }
}

/** Another link in this tab. One with the key of somebody else opens the page anew: all that it holds is what
 * its last reader may see. */
async function revisit(app: App): Promise<void> {
  if (hasKey(location.hash) && (await openSession())) location.reload();
  else await visit(app, location.hash);
}

async function start(): Promise<void> {
  await openSession();
  const config = await fetchConfig();
  const link = location.hash;
  const store = new Store(readLink(link, config));
  useLanguage(store.get().lang, config.timeZone);
  const container = document.querySelector<HTMLElement>('#map')!;
  const footer = document.querySelector<HTMLElement>('#credits')!;
  const engineCredits = document.createElement('div');
  const notices = document.createElement('div');
  footer.append(notices, engineCredits);
  const map = supportsWebGL2() ? openMap(container, engineCredits, config, store) : null;
  const scene = map?.scene ?? null;
  const app: App = {
    config,
    store,
    map,
    sensors: new Sensors(scene, config.ground),
    incidents: new Incidents(scene, config.ground, (id) => config.workflow.states[id]?.final === true),
    stream: null,
    events: new EventTarget(),
  };
  follow(app, notices);
  mirrorLink(store, config);
  app.stream = openStream(app);
  const shell = new Shell();
  shell.app = app;
  document.querySelector('#panels')!.append(shell);
  if (map) listenToClicks(app, map);
  listenToKeys(app);
  installHook(app);
  window.addEventListener('hashchange', () => void revisit(app));
  await visit(app, link);
}

start().catch((error: unknown) => {
  console.error(error);
  const note = document.createElement('p');
  note.className = 'nogl';
  note.textContent = `The map could not be opened. 地图无法打开。 ${error instanceof Error ? error.message : ''}`;
  document.body.append(note);
});
