/**
 * Names on the map: streets along their line, places, squares and house numbers where they stand. They are drawn
 * whole, on a sheet over the picture. Those of what lies on the ground are written where nothing stands before it;
 * that is looked at when the camera rests, and until then a name stays as it was.
 */

import { Cartesian2, Cartesian3, Cartesian4, Matrix4, type Scene } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import type { CityConfig, LayerConfig } from '../config';
import type { Ground } from '../map/ground';
import { shortly, signSize, type Sign } from '../map/group';
import { shownMoment, type MomentOf } from '../past';
import type { Store } from '../state';
import { color } from '../tokens';
import { isUnder } from './form';
import { NameSheets, type PlacedName, type Sheet } from './name-sheets';
import { Room, type Box } from './names';

const FAMILY = 'system-ui, "Noto Sans CJK SC", sans-serif';
/** Pixels between two of the same name. */
const APART = 320;
const MOST_WRITTEN = 300;
/** The part of its name that an area with a rank has to be wide. */
const WIDE_SHARE = 0.5;
/** Pixels beyond the edge at which the middle of a name may stand. */
const REACH = 50;
/** Where along its line a name may stand, best first. */
const SHARES = [0.5, 0.3, 0.7, 0.15, 0.85];
/** What is so much nearer than a place stands before it: metres, and a share of the distance. */
const BEFORE = 2.5;
const BEFORE_SHARE = 0.004;
/** A camera that has not moved for so long rests. */
const REST_MS = 250;

const clipped = new Cartesian4();

/** A straight piece on the canvas: where the name may stand, half its length as a share of it, pixels, radians. */
interface Piece {
  shares: number[];
  half: number;
  width: number;
  angle: number;
}

interface Look {
  /** The part of its name that an area has to be wide. */
  wide: number;
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
  private readonly sheets: NameSheets;
  private drawn = '';
  private edition = 0;
  /** Something stands on the ground that may hide a name. */
  private solid = false;
  /** The picture is looked at for what is hidden; due again since it changed; the wait for rest. */
  private looking = false;
  private due = false;
  private rest: number | undefined;
  /** The names that are written now. */
  written: string[] = [];
  private readonly widths = new Map<string, number>();
  /** Of the picture that is written on: from the city to its clip space, and its size in CSS pixels. */
  private readonly clip = new Matrix4();
  private width = 0;
  private height = 0;

  constructor(
    private readonly scene: Scene,
    config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
    private readonly obstacles: () => Obstacle[],
    private readonly clusters: () => Sign[],
    private readonly settled: () => boolean,
    moment: MomentOf = shownMoment,
  ) {
    this.sheets = new NameSheets(scene, config, store, ground, () => this.changed(), moment);
    this.canvas.className = moment === shownMoment ? 'names here' : 'names beside';
    this.canvas.setAttribute('aria-hidden', 'true');
    scene.canvas.after(this.canvas);
    scene.postRender.addEventListener(() => this.rendered());
    effect(() => {
      void color('label');
      this.changed();
    });
    store.subscribe((_state, changed) => {
      if (!['view', 'layers', 'mode', 'underground', 'at', 'against', 'split'].some((name) => changed.has(name as 'view'))) return;
      this.changed();
      this.sheets.soon();
    });
    this.sheets.soon();
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

  /** False where it stands there already. */
  private draw(anew: boolean): boolean {
    const clusters = this.clusters();
    const context = this.cleared(anew, clusters);
    if (!context) return false;
    const room = new Room();
    for (const { position, size } of this.obstacles()) {
      const at = this.window(position);
      if (at && this.isSeen(at)) room.take({ left: at.x - size / 2, right: at.x + size / 2, top: at.y - size, bottom: at.y });
    }
    for (const cluster of clusters) this.number(context, room, cluster);
    this.written = [];
    const under = isUnder(this.store.get());
    for (const sheet of this.sheets.shown()) this.writeAll(context, room, sheet, under);
    return true;
  }

  /** The names of a layer, of one rank after the other. */
  private writeAll(context: CanvasRenderingContext2D, room: Room, { layer, names }: Sheet, under: boolean): void {
    let look: Look | null = null;
    let rank = -1;
    for (const name of names) {
      if (this.written.length >= MOST_WRITTEN) return;
      if (!look || name.rank !== rank) {
        look = lookOf(layer, under, name.rank);
        context.font = look.font;
        rank = name.rank;
      }
      if (this.write(context, room, look, name)) this.written.push(name.text);
    }
  }

  /** The sign of several points and how many they are; the engine's own disc is half under the ground when seen aslant. */
  private number(context: CanvasRenderingContext2D, room: Room, { lon, lat, count, color: own }: Sign): void {
    const at = this.window(Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat)));
    const size = signSize(count);
    if (!at || !this.isSeen(at)) return;
    room.take({ left: at.x - size / 2, right: at.x + size / 2, top: at.y - size / 2, bottom: at.y + size / 2 });
    context.beginPath();
    context.arc(at.x, at.y, size / 2, 0, 2 * Math.PI);
    context.fillStyle = own;
    context.fill();
    context.strokeStyle = color('halo');
    context.lineWidth = 1;
    context.stroke();
    context.font = `600 ${size > 26 ? 11 : 10}px ${FAMILY}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = color('on-accent');
    context.fillText(shortly(count), at.x, at.y + 0.5);
  }

  /** The empty sheet in the size of the picture; null where nothing has changed since it was written on. */
  private cleared(anew: boolean, clusters: readonly Sign[]): CanvasRenderingContext2D | null {
    const { canvas, scene } = this;
    const { clientWidth: width, clientHeight: height } = scene.canvas;
    [this.width, this.height] = [width, height];
    Matrix4.multiply(scene.camera.frustum.projectionMatrix, scene.camera.viewMatrix, this.clip);
    const ratio = Math.min(window.devicePixelRatio, 2);
    const signs = clusters.reduce((sum, { lon, count }) => sum + lon * count, clusters.length);
    const mark = `${signs} ${width} ${height} ${ratio} ${this.edition} ${Matrix4.toArray(scene.camera.viewMatrix).join()}`;
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
  private window({ x, y, z }: Cartesian3): Cartesian2 | null {
    const at = Matrix4.multiplyByVector(this.clip, Cartesian4.fromElements(x, y, z, 1, clipped), clipped);
    if (at.w <= 0) return null;
    return new Cartesian2(((at.x / at.w + 1) / 2) * this.width, ((1 - at.y / at.w) / 2) * this.height);
  }

  /** How wide so many metres are on the canvas at a place, in CSS pixels. */
  private pixels(metres: number, { x, y, z }: Cartesian3): number {
    const { w } = Matrix4.multiplyByVector(this.clip, Cartesian4.fromElements(x, y, z, 1, clipped), clipped);
    return (metres * this.scene.camera.frustum.projectionMatrix[0]! * this.width) / 2 / w;
  }

  private isSeen({ x, y }: Cartesian2): boolean {
    return x > -REACH && y > -REACH && x < this.width + REACH && y < this.height + REACH;
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

  private write(context: CanvasRenderingContext2D, room: Room, look: Look, name: PlacedName): boolean {
    const { text, a, b } = name;
    const from = this.window(a);
    const to = b ? this.window(b) : from;
    if (!from || !to) return false;
    const key = `${look.font} ${text}`;
    const width = this.widths.get(key) ?? context.measureText(text).width;
    this.widths.set(key, width);
    if (!b && name.size > 0 && this.pixels(name.size, a) < look.wide * width) return false;
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
  private place(room: Room, look: Look, name: PlacedName, { shares, half, width, angle }: Piece): Cartesian2 | null {
    const { key, a, b } = name;
    const on = (share: number): Cartesian3 => (b ? Cartesian3.lerp(a, b, share, new Cartesian3()) : a);
    // a town is meant as a whole: its name stands over it
    const hideable = this.solid && (b !== null || name.size > 0);
    const tried = hideable && !this.looking ? shares.filter((share) => share === name.share) : shares;
    const isHidden = (share: number): boolean =>
      hideable && this.looking && [share, share - half, share + half].some((one) => this.isBehind(on(one)));
    if (this.looking) name.share = null;
    for (const share of tried) {
      const at = this.window(on(share));
      if (!at || !this.isSeen(at) || room.isNear(key, at.x, at.y, APART)) continue;
      const box = boxAround(at, width, look.size, angle);
      if (!room.isFree(box) || isHidden(share)) continue;
      name.share = share;
      room.take(box);
      room.wrote(key, at.x, at.y);
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

/** Pixels of the letters of a rank, from the highest down; of all below, and of what has no ranks. */
const RANKED = [14, 13];
const USUAL = 12;

/** Towns, districts and what is of a high rank in larger letters, house numbers in smaller ones; light on the glass of the ground. */
function lookOf({ geometryType, style }: LayerConfig, under: boolean, rank: number): Look {
  const halo = color(under ? 'glass' : 'halo');
  const fill = color(under ? 'on-glass' : 'label');
  if (!geometryType.includes('Point')) {
    const size = (style.rank && RANKED[rank]) || USUAL;
    return { wide: style.rank ? WIDE_SHARE : 0, font: `500 ${size}px ${FAMILY}`, size, fill, halo };
  }
  const far = (style.labelWithin ?? 0) > 5000;
  return far
    ? { wide: 0, font: `600 15px ${FAMILY}`, size: 16, fill, halo }
    : { wide: 0, font: `11px ${FAMILY}`, size: 11, fill: color('soft'), halo };
}
