/**
 * Names on the map: streets along their line, places, squares and house numbers where they stand. They are drawn
 * on a sheet over the picture: the engine draws areas after its labels and leaves pieces of them.
 */

import { Cartesian3, Math as CesiumMath, Matrix4, SceneTransforms, type Scene } from '@cesium/engine';
import { effect } from '@preact/signals-core';
import { getJson, type Feature } from '../api';
import type { CityConfig, LayerConfig } from '../config';
import type { Ground } from '../map/ground';
import type { Store } from '../state';
import { color } from '../tokens';
import { isUnder } from './form';
import { isLabelled, isWritten, namesOf, Room, type Name } from './names';

const MOST = 1000;
const DELAY_MS = 300;
/** How much further than the picture is asked for, as a share of it. */
const MARGIN = 0.4;
const FAMILY = 'system-ui, "Noto Sans CJK SC", sans-serif';
/** Pixels between two of the same name. */
const APART = 320;
const MOST_WRITTEN = 120;

interface Sheet {
  layer: LayerConfig;
  names: (Name & { a: Cartesian3; b: Cartesian3 | null })[];
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
  private readonly sheets: Sheet[];
  private timer = 0;
  private drawn = '';
  private edition = 0;
  private readonly widths = new Map<string, number>();

  constructor(
    private readonly scene: Scene,
    config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
    private readonly obstacles: () => Obstacle[],
  ) {
    this.sheets = config.layers.filter(isLabelled).map((layer) => ({ layer, names: [], box: null, request: null }));
    this.canvas.className = 'names';
    this.canvas.setAttribute('aria-hidden', 'true');
    scene.canvas.after(this.canvas);
    scene.postRender.addEventListener(() => this.draw());
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

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      for (const sheet of this.sheets) void this.update(sheet);
    }, DELAY_MS);
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

  private placed(name: Name): Sheet['names'][number] {
    const at = ([lon, lat]: readonly [number, number]): Cartesian3 => Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + 1);
    return { ...name, a: at(name.from), b: name.to && at(name.to) };
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

  private draw(): void {
    const context = this.cleared();
    if (!context) return;
    const room = new Room();
    for (const { position, size } of this.obstacles()) {
      const at = this.window(position);
      if (at) room.take({ left: at.x - size / 2, right: at.x + size / 2, top: at.y - size, bottom: at.y });
    }
    let left = MOST_WRITTEN;
    for (const { layer, names } of this.sheets.filter((sheet) => isWritten(sheet.layer, this.store.get()))) {
      const look = lookOf(layer, isUnder(this.store.get()));
      context.font = look.font;
      for (const name of names) {
        if (left > 0 && this.write(context, room, look, name)) left -= 1;
      }
    }
  }

  /** The empty sheet in the size of the picture; null where nothing has changed since it was written on. */
  private cleared(): CanvasRenderingContext2D | null {
    const { canvas, scene } = this;
    const { clientWidth: width, clientHeight: height } = scene.canvas;
    const ratio = Math.min(window.devicePixelRatio, 2);
    const mark = `${width} ${height} ${ratio} ${this.edition} ${Matrix4.toArray(scene.camera.viewMatrix).join()}`;
    if (mark === this.drawn) return null;
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

  private window(position: Cartesian3): { x: number; y: number } | null {
    const at = SceneTransforms.worldToWindowCoordinates(this.scene, position);
    if (!at) return null;
    const { clientWidth, clientHeight } = this.scene.canvas;
    return at.x < -50 || at.y < -50 || at.x > clientWidth + 50 || at.y > clientHeight + 50 ? null : at;
  }

  private write(context: CanvasRenderingContext2D, room: Room, look: Look, { text, a, b }: Sheet['names'][number]): boolean {
    const from = this.window(a);
    const to = b ? this.window(b) : from;
    if (!from || !to) return false;
    const key = `${look.font} ${text}`;
    const width = this.widths.get(key) ?? context.measureText(text).width;
    this.widths.set(key, width);
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    if (b && length < width + 6) return false;
    const x = (from.x + to.x) / 2;
    const y = (from.y + to.y) / 2;
    let angle = b ? Math.atan2(to.y - from.y, to.x - from.x) : 0;
    if (Math.abs(angle) > Math.PI / 2) angle += Math.PI;
    const across = Math.abs(Math.cos(angle)) * width + Math.abs(Math.sin(angle)) * look.size;
    const down = Math.abs(Math.sin(angle)) * width + Math.abs(Math.cos(angle)) * look.size;
    const box = { left: x - across / 2 - 2, right: x + across / 2 + 2, top: y - down / 2 - 1, bottom: y + down / 2 + 1 };
    if (room.isNear(text, x, y, APART) || !room.take(box)) return false;
    room.wrote(text, x, y);
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
    return true;
  }
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
