/** The box of the ground that is in the picture. */

import { Cartesian2 } from '@cesium/engine';
import type { App } from '../app';

/** Places across and down at which the picture is looked at. */
const STEPS = 5;

/** In degrees, within the surroundings of the city; these where there is no map, or where it shows none of the ground. */
export function viewBox({ map, config }: Pick<App, 'map' | 'config'>): [west: number, south: number, east: number, north: number] {
  const [west, south, east, north] = config.surroundings;
  if (!map) return [west, south, east, north];
  const { clientWidth, clientHeight } = map.scene.canvas;
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < STEPS * STEPS; i += 1) {
    const across = ((i % STEPS) / (STEPS - 1)) * (clientWidth - 1);
    const down = (Math.floor(i / STEPS) / (STEPS - 1)) * (clientHeight - 1);
    const at = map.picker.ground(new Cartesian2(across, down));
    if (!at) continue;
    box[0] = Math.min(box[0], at.lon);
    box[1] = Math.min(box[1], at.lat);
    box[2] = Math.max(box[2], at.lon);
    box[3] = Math.max(box[3], at.lat);
  }
  const kept: [number, number, number, number] = [Math.max(box[0], west), Math.max(box[1], south), Math.min(box[2], east), Math.min(box[3], north)];
  return kept[0] < kept[2] && kept[1] < kept[3] ? kept : [west, south, east, north];
}
