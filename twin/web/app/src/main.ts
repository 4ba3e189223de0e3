import { openCluster, select, selectAt, visit, type App, type MapParts } from './app';
import { effect, signal, type ReadonlySignal } from '@preact/signals-core';
import { fetchConfig, followLayers, type CityConfig } from './config';
import { askBeforeLeaving } from './draft';
import { Edits } from './editing/edits';
import { Sketch } from './editing/sketch';
import { installHook } from './hook';
import { t, titleOf, useLanguage } from './i18n';
import { listenToKeys } from './keyboard';
import { localUrl, type Highlight } from './layers/form';
import { MapNames, type Obstacle } from './layers/labels';
import { LayerSet } from './layers/layers';
import { followModels } from './layers/model-look';
import { hasKey } from './key';
import { mirrorLink, readLink } from './link';
import { IncidentPins } from './live/incident-pins';
import { ChosenSign } from './live/chosen';
import { Incidents } from './live/incidents';
import type { LiveSigns } from './live/layer';
import { SensorSigns } from './live/sensor-signs';
import { ClusterSigns } from './live/cluster-signs';
import { InView } from './live/in-view';
import { Sensors } from './live/sensors';
import { LiveStream } from './live/stream';
import { CityCamera } from './map/camera';
import { CursorPlace } from './map/cursor';
import { flatGround } from './map/ground';
import { ImageryStack } from './map/imagery';
import { Picker } from './map/pick';
import { listenToPointer, pointerModes } from './map/pointer';
import { findRenderer, type Renderer } from './map/renderer';
import { openScene } from './map/scene';
import { followSplit } from './map/split';
import { refine, TerrainGround } from './map/terrain';
import { followUnderground } from './map/underground';
import { Shell } from './panels/shell';
import { layersPublished } from './published';
import { editor, openSession } from './session';
import { PICK, Store } from './state';
import { followTheme } from './tokens';
import './style.css';

pointerModes.register({
  id: PICK,
  click(app, position, touch) {
    if (app.over?.(position)) return;
    const cluster = app.map?.picker.cluster(position);
    if (cluster) openCluster(app, cluster);
    else void selectAt(app, position, touch);
  },
});

async function openMap(
  container: HTMLElement,
  credits: HTMLElement,
  config: CityConfig,
  store: Store,
  edits: Edits,
  highlights: ReadonlySignal<ReadonlyMap<string, Highlight>>,
  renderer: Renderer,
): Promise<MapParts> {
  const widget = openScene(container, credits, config, renderer);
  const { scene } = widget;
  const terrain = config.terrain ? new TerrainGround(scene, config.terrain, config, store) : null;
  // the camera is put where the ground is
  await terrain?.apply();
  const ground = terrain ?? flatGround(config.ground);
  const imagery = new ImageryStack(scene, renderer, (some) => refine(scene.globe, some || terrain !== null, renderer));
  refine(scene.globe, terrain !== null, renderer);
  const camera = new CityCamera(widget, config, store, ground);
  const layers = new LayerSet(scene, config, store, ground, imagery, undefined, edits.unsaved, highlights);
  followUnderground(scene, store);
  return { widget, scene, ground, terrain, camera, layers, imagery, picker: new Picker(scene, layers) };
}

function openStream(app: App, known: () => void): LiveStream {
  const view = new InView(app);
  const stream = new LiveStream(localUrl(app.config.stream), () => view.query(), {
    snapshot: (data) => {
      app.sensors.sight(data);
      view.told(data);
      app.incidents.replace(data.incidents);
      app.incidents.counted(data.open_incidents);
      known();
      if (stream.snapshots > 1) app.map?.layers.refreshAll();
    },
    view: (data) => {
      app.sensors.sight(data);
      view.told(data);
    },
    clusters: (data) => app.sensors.clusters.merge(data),
    states: (data) => {
      app.sensors.totals.value = data;
    },
    sensors: (data) => app.sensors.merge(data),
    obs: (data) => app.sensors.observe(data),
    incident: (data) => app.incidents.put(data),
    open_incidents: (data) => app.incidents.counted(data),
    tiles: (list) => {
      for (const { url, version } of list) app.map?.layers.tileChanged(url, version);
      app.events.dispatchEvent(new Event('edited'));
    },
    layers({ id }) {
      void layersPublished(app, [id]);
      app.events.dispatchEvent(new Event('edited'));
    },
  });
  effect(() => {
    if (stream.connected.value) app.events.dispatchEvent(new Event('back'));
  });
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

function follow(app: App, notices: HTMLElement, signs: ReadonlyMap<string, LiveSigns>): void {
  const { store, config, map, edits } = app;
  const apply = (): void => {
    const { lang, live, at } = store.get();
    useLanguage(lang, config.timeZone);
    const title = titleOf(config.title, 'OneMap Twin');
    document.title = at === null ? title : `${t('past.title')} · ${title}`;
    document.querySelector('#map')?.setAttribute('aria-label', t('map'));
    showCredits(config, notices);
    // the engine knows no other language
    const more = document.querySelector('#credits .cesium-credit-expand-link');
    if (more) more.textContent = t('credits.more');
    for (const [id, sign] of signs) sign.show = at === null && (live[id] ?? true);
  };
  apply();
  store.subscribe((_state, changed) => {
    if (changed.has('lang') || changed.has('live') || changed.has('at')) apply();
  });
  edits.onSaved = (layers, made) => {
    const { selection } = store.get();
    const saved = selection?.type === 'new' && 'id' in selection ? made.get(selection.id) : undefined;
    if (saved) select(app, saved);
    // where the layer had nothing so far it has no tiles
    if (made.size > 0) void layersPublished(app, [...new Set([...made.values()].map(({ layer }) => layer))]);
    for (const layer of layers) app.events.dispatchEvent(new CustomEvent('saved', { detail: layer }));
  };
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
  followTheme(document.documentElement);
  await openSession();
  const config = followLayers(await fetchConfig());
  const link = location.hash;
  const store = new Store(readLink(link, config));
  useLanguage(store.get().lang, config.timeZone);
  const container = document.querySelector<HTMLElement>('#map')!;
  const footer = document.querySelector<HTMLElement>('#credits')!;
  const engineCredits = document.createElement('div');
  const notices = document.createElement('div');
  footer.append(notices, engineCredits);
  const edits = new Edits(config, editor());
  const renderer = findRenderer();
  const highlights = signal<ReadonlyMap<string, Highlight>>(new Map());
  const map = renderer ? await openMap(container, engineCredits, config, store, edits, highlights, renderer) : null;
  const ground = map?.ground ?? flatGround(config.ground);
  const sensors = new Sensors();
  const incidents = new Incidents((id) => config.workflow.states[id]?.final === true);
  const live = [sensors, incidents];
  let known = (): void => undefined;
  const app: App = {
    config,
    store,
    map,
    ground,
    edits,
    sensors,
    incidents,
    live,
    cursor: null,
    surface: signal(null),
    highlights,
    names: null,
    stream: null,
    known: new Promise((resolve) => {
      known = resolve;
    }),
    over: null,
    events: new EventTarget(),
  };
  const signs = new Map<string, LiveSigns>();
  if (map) {
    app.cursor = new CursorPlace(app, map.scene.canvas);
    // of signs in one place the engine keeps the first: the chosen one, then cases, then sensors
    new ChosenSign(app, map.scene);
    new Sketch(app, map.scene);
    const pins = new IncidentPins(map.scene, ground, incidents);
    const stations = new SensorSigns(map.scene, ground, sensors);
    signs.set(incidents.id, pins);
    const counts = new ClusterSigns(map.scene, ground, sensors.clusters);
    signs.set(sensors.id, {
      get show() {
        return stations.show;
      },
      set show(value) {
        stations.show = counts.show = value;
      },
    });
    const obstacles = (): Obstacle[] => [...pins.places(), ...stations.places(), ...counts.places()];
    app.names = new MapNames(map.scene, config, store, ground, obstacles, () => map.layers.clusters(), () => map.layers.settled);
    followSplit(app, map, obstacles);
  }
  follow(app, notices, signs);
  mirrorLink(store, config);
  followModels(store);
  app.stream = openStream(app, known);
  askBeforeLeaving(() => store.draft.unsent || edits.size.peek() > 0);
  const shell = new Shell();
  shell.app = app;
  document.querySelector('#panels')!.append(shell);
  if (map) listenToPointer(app, map.scene.canvas);
  listenToKeys(app);
  installHook(app);
  window.addEventListener('hashchange', () => void revisit(app));
  await visit(app, link);
}

start().catch((error: unknown) => {
  console.error(error);
  const note = document.createElement('p');
  note.className = 'nogl';
  note.textContent = `The map could not be opened. 地图无法打开。 ${error instanceof Error ? error.message : ''} `;
  const again = document.createElement('button');
  again.className = 'action';
  again.textContent = 'Try again 重试';
  again.addEventListener('click', () => location.reload());
  note.append(again);
  document.body.append(note);
});
