/**
 * Names on the map: streets along their line, places, squares and house numbers where they stand. They are drawn
 * whole, on a sheet over the picture. Those of what lies on the ground are written where nothing stands before it;
 * that is looked at when the camera rests, and until then a name stays as it was.
 */

import { Cartesian3, Math as CesiumMath, Matrix4, SceneTransforms, type Cartesian2, type Scene } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import { getJson, type Feature } from '../api';
import type { CityConfig, LayerConfig } from '../config';
import type { Ground } from '../map/ground';
import type { Store } from '../state';
import { color } from '../tokens';
import { isUnder } from './form';
import { isLabelled, isWritten, namesOf, Room, type Box, type Name } from './names';

const MOST = 1000;
const DELAY_MS = 300;
/** How much further than the picture is asked for, as a share of it. */
const MARGIN = 0.4;
const FAMILY = 'system-ui, "Noto Sans CJK SC", sans-serif';
/** Pixels between two of the same name. */
const APART = 320;
const MOST_WRITTEN = 120;
/** Pixels beyond the edge at which the middle of a name may stand. */
const REACH = 50;
/** Where along its line a name may stand, best first. */
const SHARES = [0.5, 0.3, 0.7, 0.15, 0.85];
/** What is so much nearer than a place stands before it: metres, and a share of the distance. */
const BEFORE = 2.5;
const BEFORE_SHARE = 0.004;
/** A camera that has not moved for so long rests. */
const REST_MS = 250;

/** `share`: where on its line it stands; null where it is hidden, or was not looked for yet. */
type Written = Name & { a: Cartesian3; b: Cartesian3 | null; share: number | null };

/** A straight piece on the canvas: where the name may stand, half its length as a share of it, pixels, radians. */
interface Piece {
  shares: number[];
  half: number;
  width: number;
  angle: number;
}

interface Sheet {
  layer: LayerConfig;
  names: Written[];
  /** west, south, east, north of what is known. */
  box: number[] | null;
  request: AbortController | null;
}

interface Look {
  font: string;
  size: number;
  fill: string;
  halo: string;
}

/** A sign on the map that no name may cover. */
export interface Obstacle {
  position: Cartesian3;
  size: number;
}

export class MapNames {
  private readonly canvas = document.createElement('canvas');
  private readonly sheets = new Map<string, Sheet>();
  private timer = 0;
  private drawn = '';
  private edition = 0;
  /** Something stands on the ground that may hide a name. */
  private solid = false;
  /** The picture is looked at for what is hidden; due again since it changed; the wait for rest. */
  private looking = false;
  private due = false;
  /** The names that are written now. */
  written: string[] = [];
  private rest: number | undefined;
  private readonly widths = new Map<string, number>();

  constructor(
    private readonly scene: Scene,
    private readonly config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
    private readonly obstacles: () => Obstacle[],
    private readonly settled: () => boolean,
  ) {
    this.canvas.className = 'names';
    this.canvas.setAttribute('aria-hidden', 'true');
    scene.canvas.after(this.canvas);
    scene.postRender.addEventListener(() => this.rendered());
    effect(() => {
      void color('label');
      this.changed();
    });
    store.subscribe((_state, changed) => {
      if (!['view', 'layers', 'mode', 'underground'].some((name) => changed.has(name as 'view'))) return;
      this.changed();
      this.soon();
    });
    this.soon();
  }

  private changed(): void {
    this.edition += 1;
    this.scene.requestRender();
  }

  private rendered(): void {
    const { mode } = this.store.get();
    this.solid = mode === '3d' && !isUnder(this.store.get()) && this.scene.pickPositionSupported;
    if (this.looking) {
      this.draw(true);
      this.looking = false;
      return;
    }
    if (this.draw(false) || !this.settled()) this.due = this.solid;
    if (this.due) this.lookSoon();
  }

  /** When camera and tiles are at rest, one more picture is drawn and looked at. */
  private lookSoon(): void {
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => {
      if (!this.due) return;
      if (!this.settled()) {
        this.lookSoon();
        return;
      }
      this.due = false;
      this.looking = true;
      this.scene.requestRender();
    }, REST_MS);
  }

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      for (const sheet of this.open()) void this.update(sheet);
    }, DELAY_MS);
  }

  /** A sheet for each layer with names, as the layer is now. */
  private open(): Sheet[] {
    return this.config.layers.filter(isLabelled).map((layer) => {
      const known = this.sheets.get(layer.id);
      const sheet = known?.layer === layer ? known : { layer, names: known?.names ?? [], box: null, request: null };
      this.sheets.set(layer.id, sheet);
      return sheet;
    });
  }

  /** Asks for the names around what is seen, unless they are known. */
  private async update(sheet: Sheet): Promise<void> {
    if (!isWritten(sheet.layer, this.store.get())) return;
    const seen = this.seen(sheet.layer);
    if (sheet.box && contains(sheet.box, seen)) return;
    const box = padded(seen);
    sheet.request?.abort();
    sheet.request = new AbortController();
    try {
      const query = new URLSearchParams({ bbox: box.map((one) => one.toFixed(5)).join(','), limit: String(MOST) });
      if (!sheet.layer.geometryType.includes('Point')) query.set('filter', `${sheet.layer.style.label![0]} IS NOT NULL`);
      const { signal } = sheet.request;
      const found = await getJson<{ features: Feature[] }>(`ogc/collections/${sheet.layer.id}/items?${query}`, { signal });
      sheet.names = found.features.flatMap((feature) => namesOf(sheet.layer, feature)).map((name) => this.placed(name));
      sheet.names.sort((a, b) => b.size - a.size);
      sheet.box = box;
      this.changed();
    } catch {
      // names are an extra: the map is whole without them, and the next move asks again
    }
  }

  private placed(name: Name): Written {
    const at = ([lon, lat]: readonly [number, number]): Cartesian3 => Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + 1);
    return { ...name, a: at(name.from), b: name.to && at(name.to), share: null };
  }

  /** The ground in view, at most so far around what is looked at as the names are written. */
  private seen({ style }: LayerConfig): number[] {
    const { lon, lat, height } = this.store.get().view;
    const reach = Math.min(style.labelWithin ?? height, 2 * height) / 111_320;
    const wide = reach / Math.max(Math.cos(CesiumMath.toRadians(lat)), 0.1);
    const rectangle = this.scene.camera.computeViewRectangle();
    const [west, south, east, north] = rectangle
      ? [rectangle.west, rectangle.south, rectangle.east, rectangle.north].map(CesiumMath.toDegrees)
      : [-180, -90, 180, 90];
    return [
      Math.max(west!, lon - wide),
      Math.max(south!, lat - reach),
      Math.min(east!, lon + wide),
      Math.min(north!, lat + reach),
    ];
  }

  /** False where it stands there already. */
  private draw(anew: boolean): boolean {
    const context = this.cleared(anew);
    if (!context) return false;
    const room = new Room();
    for (const { position, size } of this.obstacles()) {
      const at = this.window(position);
      if (at && this.isSeen(at)) room.take({ left: at.x - size / 2, right: at.x + size / 2, top: at.y - size, bottom: at.y });
    }
    this.written = [];
    for (const { layer, names } of [...this.sheets.values()].filter((sheet) => isWritten(sheet.layer, this.store.get()))) {
      const look = lookOf(layer, isUnder(this.store.get()));
      context.font = look.font;
      for (const name of names) {
        if (this.written.length < MOST_WRITTEN && this.write(context, room, look, name)) this.written.push(name.text);
      }
    }
    return true;
  }

  /** The empty sheet in the size of the picture; null where nothing has changed since it was written on. */
  private cleared(anew: boolean): CanvasRenderingContext2D | null {
    const { canvas, scene } = this;
    const { clientWidth: width, clientHeight: height } = scene.canvas;
    const ratio = Math.min(window.devicePixelRatio, 2);
    const mark = `${width} ${height} ${ratio} ${this.edition} ${Matrix4.toArray(scene.camera.viewMatrix).join()}`;
    if (mark === this.drawn && !anew) return null;
    this.drawn = mark;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext('2d');
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    context?.clearRect(0, 0, width, height);
    return context;
  }

  /** On the canvas, in CSS pixels; null behind the camera. */
  private window(position: Cartesian3): Cartesian2 | null {
    return SceneTransforms.worldToWindowCoordinates(this.scene, position) ?? null;
  }

  private isSeen({ x, y }: Cartesian2): boolean {
    const { clientWidth, clientHeight } = this.scene.canvas;
    return x > -REACH && y > -REACH && x < clientWidth + REACH && y < clientHeight + REACH;
  }

  /** Whether something stands before that place, as the picture shows it. */
  private isBehind(position: Cartesian3): boolean {
    const at = this.window(position);
    const hit = at && this.scene.pickPosition(at);
    if (!hit) return false;
    const { positionWC } = this.scene.camera;
    const distance = Cartesian3.distance(positionWC, position);
    return Cartesian3.distance(positionWC, hit) < distance - BEFORE - distance * BEFORE_SHARE;
  }

  private write(context: CanvasRenderingContext2D, room: Room, look: Look, name: Written): boolean {
    const { text, a, b } = name;
    const from = this.window(a);
    const to = b ? this.window(b) : from;
    if (!from || !to) return false;
    const key = `${look.font} ${text}`;
    const width = this.widths.get(key) ?? context.measureText(text).width;
    this.widths.set(key, width);
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const half = b ? (width + 6) / 2 / length : 0;
    const shares = b ? SHARES.filter((share) => half <= Math.min(share, 1 - share)) : [0.5];
    let angle = b ? Math.atan2(to.y - from.y, to.x - from.x) : 0;
    if (Math.abs(angle) > Math.PI / 2) angle += Math.PI;
    const place = this.place(room, look, name, { shares, half, width, angle });
    if (!place) return false;
    put(context, look, text, place, angle);
    return true;
  }

  /** Where along its line the name is written: the first place that is free and before which nothing stands. */
  private place(room: Room, look: Look, name: Written, { shares, half, width, angle }: Piece): Cartesian2 | null {
    const { text, a, b } = name;
    const on = (share: number): Cartesian3 => (b ? Cartesian3.lerp(a, b, share, new Cartesian3()) : a);
    // a town is meant as a whole: its name stands over it
    const hideable = this.solid && (b !== null || name.size > 0);
    const tried = hideable && !this.looking ? shares.filter((share) => share === name.share) : shares;
    const isHidden = (share: number): boolean =>
      hideable && this.looking && [share, share - half, share + half].some((one) => this.isBehind(on(one)));
    if (this.looking) name.share = null;
    for (const share of tried) {
      const at = this.window(on(share));
      if (!at || !this.isSeen(at) || room.isNear(text, at.x, at.y, APART)) continue;
      const box = boxAround(at, width, look.size, angle);
      if (!room.isFree(box) || isHidden(share)) continue;
      name.share = share;
      room.take(box);
      room.wrote(text, at.x, at.y);
      return at;
    }
    return null;
  }
}

/** Around a text of that width and height that stands at an angle. */
function boxAround({ x, y }: Cartesian2, width: number, height: number, angle: number): Box {
  const across = Math.abs(Math.cos(angle)) * width + Math.abs(Math.sin(angle)) * height;
  const down = Math.abs(Math.sin(angle)) * width + Math.abs(Math.cos(angle)) * height;
  return { left: x - across / 2 - 2, right: x + across / 2 + 2, top: y - down / 2 - 1, bottom: y + down / 2 + 1 };
}

function put(context: CanvasRenderingContext2D, look: Look, text: string, { x, y }: Cartesian2, angle: number): void {
  context.save();
  context.translate(x, y);
  context.rotate(angle);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  context.lineWidth = 3;
  context.strokeStyle = look.halo;
  context.strokeText(text, 0, 0);
  context.fillStyle = look.fill;
  context.fillText(text, 0, 0);
  context.restore();
}

/** Towns and districts in larger letters, house numbers in smaller ones; light on the glass of the ground. */
function lookOf({ geometryType, style }: LayerConfig, under: boolean): Look {
  const halo = color(under ? 'glass' : 'halo');
  const fill = color(under ? 'on-glass' : 'label');
  if (!geometryType.includes('Point')) return { font: `500 12px ${FAMILY}`, size: 12, fill, halo };
  const far = (style.labelWithin ?? 0) > 5000;
  return far ? { font: `600 15px ${FAMILY}`, size: 16, fill, halo } : { font: `11px ${FAMILY}`, size: 11, fill: color('soft'), halo };
}

function contains([west, south, east, north]: number[], inner: number[]): boolean {
  return west! <= inner[0]! && south! <= inner[1]! && east! >= inner[2]! && north! >= inner[3]!;
}

function padded([west, south, east, north]: number[]): number[] {
  const wide = (east! - west!) * MARGIN;
  const high = (north! - south!) * MARGIN;
  return [Math.max(west! - wide, -180), Math.max(south! - high, -90), Math.min(east! + wide, 180), Math.min(north! + high, 90)];
}
