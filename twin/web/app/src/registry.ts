/** A list that parts of the page declare themselves in: what it holds is found by id, in a stated order. */

export interface Entry {
  readonly id: string;
  /** Where it stands among the others; 0 where it says nothing. */
  readonly order?: number;
}

const ID = /^[a-z][a-z0-9-]*$/;

export class Registry<T extends Entry> {
  private readonly entries = new Map<string, T>();

  constructor(entries: Iterable<T> = []) {
    for (const entry of entries) this.register(entry);
  }

  /** Throws where the id is taken, or could not stand in a link. */
  register(entry: T): void {
    if (!ID.test(entry.id)) throw new Error(`${entry.id}: an id is lower-case letters, digits and hyphens`);
    if (this.entries.has(entry.id)) throw new Error(`${entry.id} is registered twice`);
    this.entries.set(entry.id, entry);
  }

  get(id: string | null): T | undefined {
    return id === null ? undefined : this.entries.get(id);
  }

  all(): T[] {
    return [...this.entries.values()].sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  }
}
