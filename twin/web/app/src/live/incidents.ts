/** Incidents: the list of those that are known. Their pins on the map: `incident-pins.ts`. */

import { batch, computed, signal } from '@preact/signals-core';
import { bump, Cells } from './cells';
import type { LiveLayer } from './layer';
import type { Incident, OpenCounts } from './stream';

/** What the map must follow. */
export interface IncidentView {
  put(incident: Incident): void;
  remove(id: number): void;
  settle(): void;
}

export class Incidents implements LiveLayer {
  readonly id = 'incidents';
  readonly title = 'live.incidents';
  readonly all = new Map<number, Incident>();
  private readonly cells = new Cells();
  private readonly version = signal(0);
  private readonly counts = signal<OpenCounts | null>(null);
  private view: IncidentView | null = null;

  constructor(private readonly isFinal: (status: string) => boolean) {}

  /** Open ones first, then by level (1 is the worst), then the newest. */
  readonly sorted = computed(() => {
    void this.version.value;
    return [...this.all.values()].sort(
      (a, b) =>
        Number(this.isOpen(b)) - Number(this.isOpen(a)) ||
        a.level - b.level ||
        b.reported.localeCompare(a.reported) ||
        b.id - a.id,
    );
  });

  /** How many are open, as the server counts them; those that are known until it has said so. */
  readonly open = computed(() => {
    const counts = this.counts.value;
    if (counts) return Object.values(counts).reduce((sum, count) => sum + count, 0);
    return this.knownOpen.value;
  });

  readonly knownOpen = computed(() => this.sorted.value.filter((incident) => this.isOpen(incident)).length);

  /** How many are open of which nothing else is known here. */
  readonly unknown = computed(() => Math.max(0, this.open.value - this.knownOpen.value));

  /** The ids of those that have a pin: open ones with a place. */
  readonly pinned = computed(() => this.sorted.value.filter((one) => this.hasPin(one)).map(({ id }) => id));

  get count(): number {
    return this.pinned.value.length;
  }

  isOpen(incident: Incident): boolean {
    return !this.isFinal(incident.status);
  }

  /** One of them; whoever reads it while it is drawn follows this one alone. */
  get(id: number): Incident | undefined {
    this.cells.track(id);
    return this.all.get(id);
  }

  show(view: IncidentView): void {
    this.view = view;
    for (const incident of this.all.values()) this.pin(incident);
    view.settle();
  }

  replace(list: Incident[]): void {
    batch(() => {
      for (const id of this.all.keys()) {
        this.view?.remove(id);
        this.cells.touch(id);
      }
      this.all.clear();
      for (const incident of list) this.put(incident);
      bump(this.version);
    });
    this.view?.settle();
  }

  /** Newer knowledge of one incident; an answer that was overtaken by an event is ignored. */
  put(incident: Incident): void {
    const known = this.all.get(incident.id);
    if (known && known.revision > incident.revision) return;
    batch(() => {
      this.all.set(incident.id, incident);
      this.pin(incident);
      this.cells.touch(incident.id);
      bump(this.version);
    });
    this.view?.settle();
  }

  /** What the server says of how many are open. */
  counted(counts: OpenCounts): void {
    this.counts.value = counts;
  }

  putAll(list: readonly Incident[]): void {
    batch(() => {
      for (const incident of list) this.put(incident);
    });
  }

  private hasPin(incident: Incident): boolean {
    return incident.lon !== null && incident.lat !== null && this.isOpen(incident);
  }

  private pin(incident: Incident): void {
    if (this.hasPin(incident)) this.view?.put(incident);
    else this.view?.remove(incident.id);
  }
}
