/** The layers on the map, each in the forms that the server offers, made when first shown. */

import { effect, signal, untracked, type ReadonlySignal } from '@preact/signals-core';
import { SplitDirection, type Scene } from '@cesium/engine';
import type { CityConfig, LayerConfig } from '../config';
import type { Unsaved } from '../editing/edits';
import type { Sign } from '../map/group';
import { colorOf } from './style';
import type { Ground } from '../map/ground';
import type { ImageryStack } from '../map/imagery';
import { Painter } from '../map/painter';
import { frame } from '../map/ready';
import { asOf, isSplit, moving, shownMoment, type MomentOf } from '../past';
import { isFeature, type State, type Store } from '../state';
import { shade } from '../tokens';
import type { Progress } from './reasons';
import { isFlat, isUnder, localUrl, rank, type Drawn, type Form, type FormContext, type Highlight } from './form';
import { isOfFiles, rasterOrder } from './order';
import { choicesOf, hiddenOf, modelsThen } from './model-look';
import { forms } from './registry';

interface Shown {
  layer: LayerConfig;
  form: Form;
  drawn: Drawn | null;
  /** While the layer is opened anew: drawn already, over the old one. */
  next: Drawn | null;
  loading: Promise<void> | null;
  styled: string;
  /** It could not be opened: the status, 0 without an answer. */
  failure: number | null;
  /** The server has it no longer: it is not asked for until it is published again. */
  dropped: boolean;
}

/** Changes that come together are answered by one reload. */
const RELOAD_AFTER_MS = 250;
const RETRY_MS = 2000;

export class LayerSet {
  private readonly entries = new Map<string, Shown>();
  /** As the server lists them. */
  private listed: readonly LayerConfig[];
  private readonly generations = new Map<string, number>();
  private readonly soon = new Set<string>();
  private readonly context: FormContext;
  /** One layer after the other is opened anew or dropped: two would exchange, or end, the same tileset. */
  private changing: Promise<void> = Promise.resolve();
  private readonly progresses = signal(0);
  /** How often another moment was chosen. */
  private era = 0;
  /** What stands right of the divide, where there is one. */
  beside: LayerSet | null = null;
  /** Called after a tile was exchanged: a kept feature of it is no longer valid. */
  onSwap: (layer: string) => void = () => undefined;

  constructor(
    private readonly scene: Scene,
    config: CityConfig,
    private readonly store: Store,
    ground: Ground,
    imagery: ImageryStack,
    /** What it shows; files, which have no past, are shown by the first. */
    private readonly moment: MomentOf = shownMoment,
    private readonly unsaved: ReadonlySignal<ReadonlyMap<string, Unsaved>> = signal(new Map()),
    /** What is different in models, by layer. */
    private readonly highlights: ReadonlySignal<ReadonlyMap<string, Highlight>> = signal(new Map()),
  ) {
    this.context = {
      scene,
      config,
      ground,
      painter: new Painter(scene),
      imagery,
      url: (layer, path) => {
        const generation = this.generations.get(layer.id);
        const own = generation ? `${path}${path.includes('?') ? '&' : '?'}v=${generation}` : path;
        return isOfFiles(layer) ? own : asOf(own, this.at);
      },
      swapped: (layer) => this.onSwap(layer.id),
      progressed: () => this.progressed(),
    };
    this.listed = config.layers;
    for (const layer of config.layers) this.register(layer);
    let shown = moment(store.get());
    store.subscribe((state) => {
      const at = moment(state);
      if (at === shown) return this.show();
      shown = at;
      this.retime();
    });
    effect(() => {
      void [shade.value, unsaved.value, highlights.value, modelsThen.value];
      untracked(() => this.show());
    });
  }

  private get at(): string | null {
    return this.moment(this.store.get()) ?? null;
  }

  /** Which side of the divide it shows. */
  private get direction(): SplitDirection {
    if (!isSplit(this.store.get())) return SplitDirection.NONE;
    return this.moment === shownMoment ? SplitDirection.LEFT : SplitDirection.RIGHT;
  }

  /** Picks where nothing is shown but what is on that side of the divide; `share` of the width of the picture. */
  sided<T>(share: number, pick: (layers: LayerSet) => T): T {
    const { beside } = this;
    const { split } = this.store.get();
    if (!beside || split === null) return pick(this);
    const [meant, other] = share < (moving.peek() ?? split) ? [this, beside] : [beside, this];
    const hidden = [...other.entries.values()].flatMap(({ layer, drawn }) => (drawn?.show && !isOfFiles(layer) && !isFlat(drawn) ? [drawn] : []));
    for (const drawn of hidden) drawn.show = false;
    try {
      return pick(meant);
    } finally {
      for (const drawn of hidden) drawn.show = true;
    }
  }

  /** The points that stand for several in what is shown. */
  clusters(): Sign[] {
    return [...this.entries.values()].flatMap(({ layer, drawn }) => drawn?.groups?.flatMap(({ clusters }) => clusters.map((one) => ({ ...one, color: colorOf(layer, one.properties) }))) ?? []);
  }

  /** Whether some of what is shown of a layer stands for several. */
  isMerged(id: string): boolean {
    return [...this.entries.values()].some(({ layer, drawn }) => layer.id === id && drawn?.groups?.some(({ some }) => some));
  }

  /** The layer that what the engine picked is of. */
  layerOf(picked: object): LayerConfig | null {
    for (const { drawn, next, layer } of this.entries.values()) {
      if (drawn?.owns(picked) || next?.owns(picked)) return layer;
    }
    return null;
  }

  /** The highest of what is painted at a place of the ground, or not further than so many metres from it. */
  flatAt(lon: number, lat: number, metres: number): { layer: LayerConfig; properties: Record<string, unknown> } | null {
    const order = ordered(this.listed, this.store.get().rasters).reverse();
    for (const { id } of order) {
      for (const { drawn, layer } of this.entries.values()) {
        if (layer.id !== id || !drawn?.show || !isFlat(drawn)) continue;
        const properties = drawn.at(lon, lat, metres);
        if (properties) return { layer, properties };
      }
    }
    return null;
  }

  /** Whether what takes part in the picture shows what the view needs. */
  get settled(): boolean {
    return this.drawn().every(({ drawn }) => !drawn.show || drawn.settled) && (this.beside?.settled ?? true);
  }

  /** Whether every layer that should be drawn is there, but for those that the server does not have. */
  get complete(): boolean {
    const state = this.store.get();
    const own = [...this.entries.values()].every((entry) => !this.wanted(entry, state) || entry.dropped || entry.drawn !== null);
    return own && (this.beside?.complete ?? true);
  }

  /** How far a layer is that is switched on; followed by whoever reads it while it is drawn. */
  progress(id: string): Progress {
    void this.progresses.value;
    const state = this.store.get();
    const entries = [...this.entries.values()].filter((entry) => entry.layer.id === id && this.wanted(entry, state));
    const failure = entries.map(({ drawn, failure: own }) => drawn?.failure ?? own).find((status) => status !== null);
    if (failure !== undefined && failure !== null) return failure;
    if (entries.some(({ drawn }) => drawn === null)) return 'opening';
    // what stands right of the divide belongs to the picture
    return (isSplit(state) ? this.beside?.progress(id) : undefined) ?? 'open';
  }

  private progressed(): void {
    this.progresses.value = this.progresses.peek() + 1;
  }

  drawn(): { layer: string; form: string; drawn: Drawn }[] {
    return [...this.entries.values()].flatMap(({ layer, form, drawn }) =>
      drawn ? [{ layer: layer.id, form: form.id, drawn }] : [],
    );
  }

  /** Another moment is shown: nothing that is drawn is of it, and nothing of it may stay in the picture. */
  private retime(): void {
    this.era += 1;
    for (const entry of this.entries.values()) {
      const { id } = entry.layer;
      if (isOfFiles(entry.layer)) continue;
      this.generations.set(id, (this.generations.get(id) ?? 0) + 1);
      entry.drawn?.remove();
      entry.next?.remove();
      Object.assign(entry, { drawn: null, next: null, loading: null, styled: '', failure: null, dropped: false });
      this.onSwap(id);
    }
    this.progressed();
    this.show();
  }

  /** Whether a layer is shown as it was: what happens to it now is of no account. */
  private isPast(layer: LayerConfig): boolean {
    return !isOfFiles(layer) && this.at !== null;
  }

  /** From /stream: one tile has new bytes. */
  tileChanged(path: string, version: string): void {
    this.beside?.tileChanged(path, version);
    if (this.at !== null) return;
    const url = localUrl(path);
    const [folder, id] = path.replace(/^\//, '').split('/');
    for (const form of forms.all().filter((one) => one.folder === folder)) {
      const entry = this.entries.get(`${form.id}:${id}`);
      if (entry?.drawn?.refreshable === false) {
        this.reloadSoon(entry.layer);
        continue;
      }
      entry?.drawn?.changed(url, version);
      entry?.next?.changed(url, version);
    }
  }

  /** For an engine whose tiles cannot be exchanged one by one: the whole layer, once for many tiles. */
  private reloadSoon(layer: LayerConfig): void {
    if (this.soon.has(layer.id)) return;
    this.soon.add(layer.id);
    setTimeout(() => {
      this.soon.delete(layer.id);
      void this.reload(layer);
    }, RELOAD_AFTER_MS);
  }

  /** After a gap in the stream nothing that is loaded can be trusted to be the newest. */
  refreshAll(): void {
    this.beside?.refreshAll();
    for (const { drawn, layer } of this.entries.values()) {
      if (this.isPast(layer)) continue;
      if (drawn?.refreshable === false) this.reloadSoon(layer);
      else drawn?.refreshAll();
    }
  }

  /** The server has a layer no longer. */
  dropped(id: string): Promise<void> {
    void this.beside?.dropped(id);
    this.changing = this.changing.then(() => this.drop(id));
    return this.changing;
  }

  private drop(id: string): void {
    for (const entry of this.entries.values()) {
      if (entry.layer.id !== id || this.isPast(entry.layer)) continue;
      entry.drawn?.remove();
      Object.assign(entry, { drawn: null, styled: '', failure: 404, dropped: true });
    }
    this.progressed();
    this.show();
  }

  /** A layer was published as a whole. */
  reload(layer: LayerConfig): Promise<void> {
    void this.beside?.reload(layer);
    this.changing = this.changing.then(() => this.openAnew(layer));
    return this.changing;
  }

  /** The new one beside the old one, exchanged when it is ready. */
  private async openAnew(layer: LayerConfig): Promise<void> {
    const { id } = layer;
    const isNew = this.listed.every((one) => one.id !== id);
    this.listed = isNew ? [...this.listed, layer] : this.listed.map((one) => (one.id === id ? layer : one));
    this.register(layer);
    if (this.isPast(layer)) return;
    const { era } = this;
    this.generations.set(id, (this.generations.get(id) ?? 0) + 1);
    for (const entry of this.entries.values()) {
      if (entry.layer.id !== id) continue;
      entry.dropped = false;
      if (entry.drawn) await this.exchange(entry, entry.drawn, era);
    }
    this.show();
  }

  private async exchange(entry: Shown, old: Drawn, era: number): Promise<void> {
    const fresh = await this.make(entry);
    if (!fresh) this.tryLater(entry);
    // of another moment than is shown by now
    if (!fresh || era !== this.era) return;
    entry.next = fresh;
    fresh.add();
    fresh.split?.(this.direction);
    this.dress(entry, fresh, this.store.get());
    fresh.show = old.show;
    if (old.show) await loadedOnce(this.scene, fresh);
    if (era !== this.era) return;
    entry.drawn = fresh;
    entry.next = null;
    entry.styled = '';
    old.remove();
    this.onSwap(entry.layer.id);
  }

  /** What could not be opened anew is as it was before, and not as it is. */
  private tryLater({ layer, failure }: Shown): void {
    if (failure !== null && (failure === 0 || failure >= 500)) setTimeout(() => this.reloadSoon(layer), RETRY_MS);
  }

  private register(layer: LayerConfig): void {
    if (isOfFiles(layer) && this.moment !== shownMoment) return;
    for (const form of forms.all()) {
      const key = `${form.id}:${layer.id}`;
      const known = this.entries.get(key);
      if (known) known.layer = layer;
      else if (form.offered(layer)) {
        this.entries.set(key, { layer, form, drawn: null, next: null, loading: null, styled: '', failure: null, dropped: false });
      }
    }
  }

  private show(): void {
    const state = this.store.get();
    const order = ordered(this.listed, state.rasters);
    const { direction } = this;
    this.context.painter.direction = direction;
    for (const entry of this.entries.values()) {
      const shown = this.wanted(entry, state);
      if (shown && !entry.drawn && !entry.dropped) this.open(entry);
      if (!entry.drawn) continue;
      entry.drawn.show = shown;
      if (!shown) continue;
      entry.drawn.split?.(direction);
      entry.drawn.place(state, order.findIndex((layer) => layer.id === entry.layer.id));
      this.dress(entry, entry.drawn, state);
    }
    this.scene.requestRender();
  }

  private open(entry: Shown): void {
    const { era } = this;
    entry.loading ??= this.make(entry).then((drawn) => {
      // of another moment than is shown now
      if (era !== this.era && !isOfFiles(entry.layer)) return;
      entry.loading = null;
      if (!drawn) return;
      entry.drawn = drawn;
      drawn.add();
      this.progressed();
      this.show();
    });
  }

  private async make(entry: Shown): Promise<Drawn | null> {
    const { layer, form } = entry;
    try {
      const drawn = await form.open(layer, this.context);
      entry.failure = null;
      return drawn;
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      entry.failure = statusCode ?? 0;
      this.progressed();
      const refused = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
      if (this.isPast(layer) && refused) {
        // what was not there then will not come
        entry.dropped = true;
        return null;
      }
      console.warn(`layer ${layer.id} could not be opened; trying again`, error);
      setTimeout(() => this.show(), RETRY_MS);
      return null;
    }
  }

  private dress(entry: Shown, drawn: Drawn, state: Readonly<State>): void {
    const { id } = entry.layer;
    const { selection } = state;
    const look = {
      opacity: state.layers[id]?.opacity ?? 1,
      selected: isFeature(selection) && selection.layer === id ? selection.fid : null,
      unsaved: this.moment(state) === null ? this.unsaved.peek().get(id) : undefined,
      highlight: this.highlights.peek().get(id),
      xray: state.xray,
      under: isUnder(state),
      raster: state.layers[id]?.raster,
      model: state.layers[id]?.model,
    };
    const mark = `${JSON.stringify([look, choicesOf(entry.layer).storeys, hiddenOf(entry.layer, look.model)])} ${shade.peek()}`;
    if (entry.drawn === drawn && entry.styled === mark) return;
    entry.styled = mark;
    drawn.style(look);
  }

  private wanted({ layer, form }: Shown, state: Readonly<State>): boolean {
    return this.moment(state) !== undefined && state.layers[layer.id]?.visible === true && form.wanted(layer, state);
  }
}

/** From the lowest to the highest. */
function ordered(layers: readonly LayerConfig[], moved: readonly string[]): LayerConfig[] {
  const rasters = rasterOrder(layers, moved).reverse();
  return [...rasters, ...layers.filter((layer) => !layer.raster).sort((a, b) => rank(a) - rank(b))];
}

/** Some frames in a row without anything to load: it shows what the view needs. */
async function loadedOnce(scene: Scene, drawn: Drawn): Promise<void> {
  for (let calm = 0; calm < 3; calm = drawn.settled ? calm + 1 : 0) await frame(scene);
}
