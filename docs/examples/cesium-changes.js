/**
 * A 3D tileset of a OneMap Twin in CesiumJS that stays as the city is: exactly the tiles that changed are
 * fetched and exchanged within one frame, without a gap and without a reload.
 *
 *   const fresh = await openFresh(scene, 'http://127.0.0.1:8080', 'buildings');
 *   fresh.tileset;    // the Cesium3DTileset that is shown now; another one after the layer was loaded anew
 *   fresh.close();
 *
 * CesiumJS has no public way to exchange the content of one tile (`expireDate` keeps the old shapes, for its
 * buffers are cached by URL), so `Exchange` below uses members that are not public, of the version that it
 * was written for: 1.145 (@cesium/engine 26.3). Where they are not there, the whole tileset is opened anew.
 * Not here, to stay short: clipping, several servers of which one lags behind, and first loads that fail.
 * The twin's own page does all of it (twin/web/app/src/map/refresher.ts).
 */
import { Cesium3DTileContentFactory, Cesium3DTileset, Empty3DTileContent } from 'cesium';

/** Opens the layer, shows it, and follows the feed until `close` is called. */
export async function openFresh(scene, server, layer, options = {}) {
  // with room for edits: a building that grows stays inside the boxes that were declared
  const url = `${server}/3dtiles/${layer}/tileset.json?bounds=edits`;
  const fresh = { tileset: null, exchanged: 0, opened: 0, close };
  const all = []; // the tileset that is shown, and those that are to take its place, each with its exchange
  let version = '';

  // the feed first: whatever changes after `hello` is told. After a break the browser connects again and
  // says which event it saw last, and the feed goes on from there
  const feed = new EventSource(`${server}/changes?layers=${layer}&f=sse`);
  feed.addEventListener('changes', ({ data }) => follow(JSON.parse(data)));
  const hello = new Promise((resolve) => feed.addEventListener('hello', resolve, { once: true }));
  const first = hello.then(open);
  let last = first;
  await first;
  return fresh;

  /** One event after the other, the first of them once a tileset is there. */
  function follow(event) {
    last = last.then(() => apply(event)).catch(console.error);
  }

  async function apply({ reset, layers, tiles }) {
    const tree = tiles.find(({ url: told }) => told.includes('/tileset.json'));
    const exchange = all.at(-1)?.exchange;
    const outgrown = tree && tree.version !== version; // the boxes that were declared hold no more
    if (reset || layers.length > 0 || outgrown || exchange?.usable === false) {
      await open();
      return;
    }
    for (const tile of tiles) {
      if (tile.url.endsWith('.glb')) exchange?.changed(`${server}/${tile.url}`, tile.version);
    }
  }

  /** The tileset from its beginning; one that is shown stays until the new one can take its place. */
  async function open() {
    const serial = ++fresh.opened;
    version = ((await fetch(url)).headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
    const tileset = await Cesium3DTileset.fromUrl(url, { ...options, preloadWhenHidden: true });
    if (serial !== fresh.opened) return tileset.destroy(); // closed meanwhile
    tileset.show = all.length === 0;
    // in the task that adds it: a tile that was loaded before is never exchanged
    const own = new Exchange(scene, tileset, () => (fresh.exchanged += 1));
    scene.primitives.add(tileset);
    const mine = { tileset, exchange: own };
    all.push(mine);
    fresh.tileset = tileset;
    scene.requestRender();
    tileset.initialTilesLoaded.addEventListener(() => {
      tileset.show = true;
      // also one that was opened meanwhile and never shown
      for (const before of all.splice(0, all.indexOf(mine))) remove(before);
      scene.requestRender();
    });
  }

  function remove({ tileset, exchange }) {
    exchange.end();
    scene.primitives.remove(tileset);
  }

  function close() {
    feed.close();
    fresh.opened += 1;
    for (const one of all.splice(0)) remove(one);
  }
}

/** Exchanges contents of one tileset. It is a primitive, so that `update` is called in each frame. */
class Exchange {
  #scene;
  #tileset;
  #exchanged;
  #tiles = new Map(); // the loaded ones by URL
  #wanted = new Map(); // the version that was told, of those that are not exchanged yet
  #ready = [];
  #serial = 0;
  #ended = false;
  /** Known from the first tile on: whether this engine has what is needed. */
  usable;

  constructor(scene, tileset, exchanged) {
    this.#scene = scene;
    this.#tileset = tileset;
    this.#exchanged = exchanged;
    tileset.tileLoad.addEventListener((tile) => {
      this.usable ??= Boolean(tile._contentResource && tile._content && Cesium3DTileContentFactory?.glb);
      const url = urlOf(tile);
      this.#tiles.set(url, tile);
      // its bytes may have been on their way when it changed
      if (this.#wanted.has(url)) void this.#run(url);
    });
    tileset.tileUnload.addEventListener((tile) => this.#tiles.delete(urlOf(tile)));
    scene.primitives.add(this, 0); // before the tileset: what is exchanged is drawn in the same frame
  }

  /** A tile has new bytes. One at a time is done of a tile, and the newest wins. */
  changed(url, version) {
    const known = this.#wanted.has(url);
    this.#wanted.set(url, version);
    if (!known && this.#tiles.has(url)) void this.#run(url);
  }

  end() {
    this.#ended = true;
    this.#scene.primitives.remove(this);
  }

  async #run(url) {
    for (let wait = 250; !this.#ended && this.#tiles.has(url); wait = Math.min(2 * wait, 30_000)) {
      const version = this.#wanted.get(url);
      const done = await this.#refresh(url, version).catch(() => false);
      if (done && this.#wanted.get(url) === version) {
        this.#wanted.delete(url);
        return;
      }
      // the old content stays until there is a new one
      if (!done) await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  async #refresh(url, version) {
    const response = await fetch(url, { cache: 'no-cache' });
    if (!response.ok && response.status !== 404) return false;
    const bytes = response.ok ? await response.arrayBuffer() : new ArrayBuffer(0);
    const tile = this.#tiles.get(url);
    if (!tile || this.#ended) return true;
    // never asked for: the parameter gives the new buffers a place of their own in the engine's cache
    const resource = tile._contentResource.clone();
    resource.setQueryParameters({ v: `${version}.${++this.#serial}` });
    const old = tile._content;
    const content =
      bytes.byteLength > 0
        ? await Cesium3DTileContentFactory.glb(this.#tileset, tile, resource, bytes, 0)
        : new Empty3DTileContent(this.#tileset, tile);
    return new Promise((done) => {
      this.#ready.push({ tile, old, content, done });
      this.#scene.requestRender();
    });
  }

  /** Called by the scene in each frame. */
  update(frameState) {
    if (!frameState.passes.render) return;
    this.#ready = this.#ready.filter((one) => !this.#step(one, frameState));
    if (this.#ready.length > 0) frameState.afterRender.push(() => true); // another frame, please
  }

  /** Whether an exchange is over. */
  #step({ tile, old, content, done }, frameState) {
    if (tile.isDestroyed() || tile._content !== old) {
      content.destroy();
      done(false);
      return true;
    }
    // the content makes its buffers and textures, and draws nothing yet
    const { commandList } = frameState;
    frameState.commandList = [];
    content.update(this.#tileset, frameState);
    frameState.commandList = commandList;
    if (!content.ready) return false;
    this.#tileset.statistics.decrementLoadCounts(old);
    this.#tileset.statistics.incrementLoadCounts(content);
    tile._content = content;
    tile.hasEmptyContent = false;
    tile.hasRenderableContent = true;
    tile.lastStyleTime = 0; // styles are applied anew
    tile._selectedFrame = 0;
    this.#exchanged();
    frameState.afterRender.push(() => {
      old.destroy();
      done(true);
      return true;
    });
    return true;
  }

  isDestroyed() {
    return this.#ended;
  }

  destroy() {
    this.#ended = true;
    for (const { content, done } of this.#ready.splice(0)) {
      content.destroy();
      done(false);
    }
  }
}

function urlOf(tile) {
  return tile._contentResource.getUrlComponent(false);
}
