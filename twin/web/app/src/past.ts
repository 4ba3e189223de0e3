/**
 * The city as it was: `state.at` is the moment that is shown, as the server takes it, an instant (RFC 3339, with
 * a zone) or a change (`@4711`); null for now.
 */

import { signal } from '@preact/signals-core';
import { isFeature, PICK, PUT_POINT, type Selection, type State, type Store } from './state';

/** With what a moment is compared where it is the city as it is. */
export const NOW = 'now';

/** Whether the place where a moment is chosen is open. */
export const choosing = signal(false);

/** While the divide is moved: where it is. */
export const moving = signal<number | null>(null);

/** Whether two moments stand side by side. */
export function isSplit({ at, against, split }: Pick<State, 'at' | 'against' | 'split'>): boolean {
  return at !== null && against !== null && split !== null;
}

/** Of which moment a part of the map is: null for now, undefined where that part is not there. */
export type MomentOf = (state: Readonly<State>) => string | null | undefined;

export const shownMoment: MomentOf = ({ at }) => at;
/** Of what stands right of the divide. */
export const besideMoment: MomentOf = (state) => (isSplit(state) ? (state.against === NOW ? null : state.against) : undefined);

/** Of which moment what is chosen is meant; null for now. */
export function chosenMoment({ at, against }: Pick<State, 'at' | 'against'>, selection: Selection | null): string | null {
  const isOther = at !== null && against !== null && isFeature(selection) && selection.against;
  return isOther ? (against === NOW ? null : against) : at;
}

/** Ends a comparison; the moment that is shown stays. */
export const ALONE: Partial<State> = { against: null, split: null };

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/i;

/** A moment as a link may have it, or null. */
export function readMoment(text: string | null): string | null {
  if (!text) return null;
  if (/^@\d{1,15}$/.test(text)) return text;
  return INSTANT.test(text) && Number.isFinite(Date.parse(text)) ? text.toUpperCase() : null;
}

/** An address of the server, as of a moment. */
export function asOf(address: string, at: string | null): string {
  return at === null ? address : `${address}${address.includes('?') ? '&' : '?'}at=${encodeURIComponent(at)}`;
}

/** Whether a moment is before another; false where that cannot be known without the server. */
export function isBefore(one: string, other: string): boolean {
  if (one.startsWith('@') !== other.startsWith('@')) return false;
  return one.startsWith('@') ? Number(one.slice(1)) < Number(other.slice(1)) : Date.parse(one) < Date.parse(other);
}

/** Shows the city as it was, or as it is, alone or compared with another moment: what lives only now is closed. */
export function show(store: Store, at: string | null, against: string | null = null): void {
  const { selection, right, pointer, split } = store.get();
  const compared = at === null || against === null ? ALONE : { against, split };
  const closed: Partial<State> = {
    selection: isFeature(selection) ? selection : null,
    right: right === 'incidents' ? null : right,
    pointer: pointer === PUT_POINT ? PICK : pointer,
  };
  store.set({ at, ...compared, ...(at === null ? {} : closed) });
}

/** The clock on the wall of a zone (ms as if it were UTC) at an instant (ms). */
function wall(instant: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(instant);
  const part = (type: string): number => Number(parts.find((one) => one.type === type)?.value);
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

/** An instant (ms) as a field for date and time holds it, by the clock of a zone. */
export function localOf(instant: number, zone: string): string {
  return new Date(wall(instant, zone)).toISOString().slice(0, 19);
}

/** The instant (RFC 3339, UTC) of what such a field holds, or null; of an hour that is there twice the first. */
export function instantOf(local: string, zone: string): string | null {
  const asUtc = Date.parse(`${local}Z`);
  if (!Number.isFinite(asUtc)) return null;
  const offset = (instant: number): number => wall(instant, zone) - instant;
  // the offset a day before and a day after: one of them holds on both sides of a change
  const [early, late] = [offset(asUtc - 86_400_000), offset(asUtc + 86_400_000)];
  const found = [asUtc - early, asUtc - late].filter((instant) => wall(instant, zone) === asUtc);
  return new Date(found.length > 0 ? Math.min(...found) : asUtc - early).toISOString().replace('.000Z', 'Z');
}
