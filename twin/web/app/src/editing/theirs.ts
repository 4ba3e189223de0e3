/** What somebody else made of a feature since an edit of it began. */

import { ApiError, getFeature, getJson, type Feature, type Versioned } from '../api';
import type { Base, Change } from './change';

export interface Theirs {
  /** The feature as it is now; null where it is gone. */
  now: Base | null;
  /** Who has changed it since, the last one first. */
  actors: string[];
  /** When it was changed last. */
  at: string | null;
}

const MOST = 20;

interface Version {
  since: number;
  at: string | null;
  set: { actor?: string | null; via: string } | null;
}

export function baseOf({ value, etag }: Versioned<Feature>): Base {
  const { geometry, properties } = value;
  return { etag, properties, point: geometry?.type === 'Point' ? (geometry.coordinates as number[]) : null };
}

/** The number of the log that an ETag ends with. */
function revisionOf(etag: string | null): number {
  return Number(/-(\d+)"?$/.exec(etag ?? '')?.[1] ?? 0);
}

async function nowOf({ layer, fid }: Change): Promise<Base | null> {
  try {
    return baseOf(await getFeature(layer, fid, null));
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 410)) return null;
    throw error;
  }
}

async function versionsOf({ layer, fid }: Change): Promise<Version[]> {
  try {
    return (await getJson<{ versions: Version[] }>(`ogc/collections/${layer}/items/${fid}/versions?limit=${MOST}`, { cache: 'no-cache' })).versions;
  } catch (error) {
    // a layer of which nothing is kept: it is not known who it was
    if (error instanceof ApiError) return [];
    throw error;
  }
}

/** Throws ApiError, and TypeError where nobody answered. */
export async function theirsOf(change: Change): Promise<Theirs> {
  const [now, versions] = await Promise.all([nowOf(change), versionsOf(change)]);
  const from = revisionOf(change.base.etag);
  const since = versions.filter((version) => version.since > from);
  const actors = since.flatMap(({ set }) => (set ? [set.actor ?? set.via] : []));
  return { now, actors: [...new Set(actors)], at: since[0]?.at ?? null };
}
