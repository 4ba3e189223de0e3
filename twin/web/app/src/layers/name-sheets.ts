/** The names of each labelled layer around what is seen, asked for when the view rests and placed on the ground. */

import { Cartesian3, Math as CesiumMath, type Scene } from '@cesium/engine';
import { getJson, type Feature } from '../api';
import type { CityConfig, LayerConfig } from '../config';
import type { Ground } from '../map/ground';
import { asOf, type MomentOf } from '../past';
import type { Store } from '../state';
import { byImportance, isLabelled, isWritten, namesOf, needed, written, type Name } from './names';
import { lowestWritten, ranked, writtenWithin } from './ranks';

/** Features of an answer; where there are more each quarter of the place is asked for, so often. */
const MOST = 1000;
const QUARTERED = 2;
const DELAY_MS = 300;
/** How much further than the picture is asked for, as a share of it. */
const MARGIN = 0.4;

/** `share`: where on its line it stands; null where it is hidden, or was not looked for yet. */
export type PlacedName = Name & { a: Cartesian3; b: Cartesian3 | null; share: number | null };

export interface Sheet {
  layer: LayerConfig;
  /** The moment that they are of. */
  at: string | null;
  names: PlacedName[];
  /** west, south, east, north of what is known, and the lowest rank of it. */
  box: number[] | null;
  lowest: number;
  request: AbortController | null;
}

export class NameSheets {
  private readonly sheets = new Map<string, Sheet>();
  private timer = 0;

  constructor(
    private readonly scene: Scene,
    private readonly config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
    private readonly changed: () => void,
    private readonly moment: MomentOf,
  ) {
    ground.follow(() => this.stand());
  }

  /** The ground is known better. */
  private stand(): void {
    for (const sheet of this.sheets.values()) {
      for (const name of sheet.names) Object.assign(name, this.placed(name), { share: name.share });
    }
    this.changed();
  }

  /** Those of the layers whose names are written in this view; first what is written from farther away. */
  shown(): Sheet[] {
    const shown = [...this.sheets.values()].filter((sheet) => isWritten(sheet.layer, this.store.get()));
    return shown.sort((a, b) => writtenWithin(b.layer, 0) - writtenWithin(a.layer, 0));
  }

  /** Asks when nobody has called for so long. */
  soon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      for (const sheet of this.open()) void this.update(sheet);
    }, DELAY_MS);
  }

  /** A sheet for each layer with names, as the layer is now. */
  private open(): Sheet[] {
    const at = this.moment(this.store.get());
    if (at === undefined) {
      this.sheets.clear();
      return [];
    }
    return this.config.layers.filter(isLabelled).map((layer) => {
      const known = this.sheets.get(layer.id);
      const kept = known?.at === at ? known.names : [];
      const sheet = known?.layer === layer && known.at === at ? known : { layer, at, names: kept, box: null, lowest: -1, request: null };
      this.sheets.set(layer.id, sheet);
      return sheet;
    });
  }

  /** Asks for the names around what is seen, unless they are known. */
  private async update(sheet: Sheet): Promise<void> {
    if (!isWritten(sheet.layer, this.store.get())) return;
    const lowest = lowestWritten(sheet.layer, this.store.get().view.height);
    const seen = this.seen(sheet.layer, lowest);
    if (seen === null || (sheet.box && sheet.lowest >= lowest && contains(sheet.box, seen))) return;
    const box = padded(seen);
    sheet.request?.abort();
    sheet.request = new AbortController();
    try {
      const found = await this.asked(sheet, box, lowest, sheet.request.signal, QUARTERED);
      const features = new Map(found.map((feature) => [feature.id, feature])).values();
      const names = [...features].flatMap((feature) => namesOf(sheet.layer, feature));
      sheet.names = byImportance(names).map((name) => this.placed(name));
      [sheet.box, sheet.lowest] = [box, lowest];
      this.changed();
    } catch {
      // names are an extra: the map is whole without them, and the next move asks again
    }
  }

  /** The features with names in a box; of a dense place as many of each part of it. */
  private async asked({ layer, at }: Pick<Sheet, 'layer' | 'at'>, box: number[], lowest: number, signal: AbortSignal, quartered: number): Promise<Feature[]> {
    const named = written(layer).map((name) => `"${name}" IS NOT NULL`).join(' OR ');
    const query = new URLSearchParams({
      bbox: box.map((one) => one.toFixed(5)).join(','),
      limit: String(MOST),
      properties: needed(layer).join(','),
      filter: [`(${named})`, ranked(layer, lowest)].filter(Boolean).join(' AND '),
    });
    const address = asOf(`ogc/collections/${layer.id}/items?${query}`, at);
    const { features, links } = await getJson<{ features: Feature[]; links: { rel: string }[] }>(address, { signal });
    if (quartered === 0 || !links.some(({ rel }) => rel === 'next')) return features;
    const parts = quarters(box).map((part) => this.asked({ layer, at }, part, lowest, signal, quartered - 1));
    return (await Promise.all(parts)).flat();
  }

  private placed(name: Name): PlacedName {
    const at = ([lon, lat]: readonly [number, number]): Cartesian3 => Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat) + 1);
    return { ...name, a: at(name.from), b: name.to && at(name.to), share: null };
  }

  /**
   * The ground in view, at most so far around what is looked at as the names are written; null where that is none of it, as
   * while the camera is still on its way.
   */
  private seen(layer: LayerConfig, lowest: number): number[] | null {
    const { lon, lat, height } = this.store.get().view;
    const reach = Math.min(writtenWithin(layer, lowest), 2 * height) / 111_320;
    const wide = reach / Math.max(Math.cos(CesiumMath.toRadians(lat)), 0.1);
    const rectangle = this.scene.camera.computeViewRectangle();
    const [west, south, east, north] = rectangle
      ? [rectangle.west, rectangle.south, rectangle.east, rectangle.north].map(CesiumMath.toDegrees)
      : [-180, -90, 180, 90];
    const seen = [Math.max(west!, lon - wide), Math.max(south!, lat - reach), Math.min(east!, lon + wide), Math.min(north!, lat + reach)];
    return seen[0]! < seen[2]! && seen[1]! < seen[3]! ? seen : null;
  }
}

function contains([west, south, east, north]: number[], inner: number[]): boolean {
  return west! <= inner[0]! && south! <= inner[1]! && east! >= inner[2]! && north! >= inner[3]!;
}

function padded([west, south, east, north]: number[]): number[] {
  const wide = (east! - west!) * MARGIN;
  const high = (north! - south!) * MARGIN;
  return [Math.max(west! - wide, -180), Math.max(south! - high, -90), Math.min(east! + wide, 180), Math.min(north! + high, 90)];
}

function quarters([west, south, east, north]: number[]): number[][] {
  const [lon, lat] = [(west! + east!) / 2, (south! + north!) / 2];
  return [[west!, south!, lon, lat], [lon, south!, east!, lat], [west!, lat, lon, north!], [lon, lat, east!, north!]];
}
