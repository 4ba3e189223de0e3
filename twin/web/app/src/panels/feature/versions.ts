/** What a feature was: when it changed, through what, by whom, and which fields. */

import { signal } from '@preact/signals-core';
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { getFeature, getJson } from '../../api';
import { layerConfig } from '../../app';
import { dateTime, hasWord, t, titleOf, type Word } from '../../i18n';
import { explain } from '../../i18n/errors';
import { show } from '../../past';
import type { FeatureSelection } from '../../state';
import { may } from '../../session';
import { Panel } from '../panel';
import { valueText } from './attributes';

const MOST = 20;

interface Version {
  since: number;
  at: string | null;
  there: boolean;
  set: { via: string; actor?: string | null; message?: string } | null;
  links: { rel: string; href: string }[];
}

export interface Told extends Version {
  /** The moment at which it is seen, as the server takes it; null for one that no moment shows. */
  moment: string | null;
  properties: Record<string, unknown> | null;
}

interface Change {
  name: string;
  was: unknown;
  is: unknown;
}

/** The fields in which a version differs from the one before it. */
export function changesOf(version: Told, before: Told | undefined): Change[] {
  const [is, was] = [version.properties, before?.properties];
  if (!is || !was) return [];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names.filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name])).map((name) => ({ name, was: was[name], is: is[name] }));
}

export class FeatureVersions extends Panel {
  private readonly versions = signal<readonly Told[] | null>(null);
  private readonly error = signal<unknown>(null);
  private turn = 0;

  private get feature(): FeatureSelection {
    return this.selection as FeatureSelection;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has('selection')) return;
    this.turn += 1;
    this.versions.value = null;
    this.error.value = null;
  }

  private async load(): Promise<void> {
    const turn = ++this.turn;
    const { layer, fid } = this.feature;
    try {
      const { versions } = await getJson<{ versions: Version[] }>(`ogc/collections/${layer}/items/${fid}/versions?limit=${MOST}`, { cache: 'no-cache' });
      const told = await Promise.all(versions.map((version) => this.read(version)));
      if (turn === this.turn) this.versions.value = told;
    } catch (error) {
      if (turn === this.turn) this.error.value = error;
    }
  }

  private async read(version: Version): Promise<Told> {
    const href = version.links.find(({ rel }) => rel === 'memento')?.href;
    const moment = href ? new URL(href, document.baseURI).searchParams.get('at') : null;
    const { layer, fid } = this.feature;
    const properties = moment ? (await getFeature(layer, fid, moment).catch(() => null))?.value.properties : null;
    return { ...version, moment, properties: properties ?? null };
  }

  protected override render(): TemplateResult {
    const { value } = this.versions;
    const { text, detail } = this.error.value ? explain(this.error.value) : { text: '', detail: null };
    return html`<details
      class="versions"
      @toggle=${(event: Event) => {
        if ((event.target as HTMLDetailsElement).open) void this.load();
      }}
    >
      <summary>${t('versions')}</summary>
      ${text ? html`<p class="message" role="alert">${[text, detail].filter(Boolean).join(' ')}</p>` : nothing}
      ${value ? html`<ol class="log">${value.map((one, i) => this.row(one, value[i + 1]))}</ol>` : nothing}
    </details>`;
  }

  private row(version: Told, before: Told | undefined): TemplateResult {
    const { set, at, there, moment } = version;
    const via = `versions.${set?.via ?? 'first'}`;
    const store = this.app.store;
    return html`<li data-version=${version.since}>
      <span>${at === null ? t('versions.begin') : dateTime(at)}</span>
      <small>${[hasWord(via) ? t(via as Word) : set?.via, set?.actor, set?.message].filter(Boolean).join(' · ')}</small>
      ${there ? (before?.there ? this.changes(version, before) : nothing) : html`<small>${t('versions.gone')}</small>`}
      ${moment && store.get().at !== moment
        ? html`<button class="link" data-moment=${moment} @click=${() => show(store, moment)}>${t('versions.show')}</button>`
        : nothing}
      ${moment && there && may('edit') && version !== this.versions.value?.[0]
        ? html`<button class="link" data-again=${moment} @click=${() => void this.again(moment)}>${t('undo.again')}</button>`
        : nothing}
    </li>`;
  }

  /** Shows what it would change to make the feature what it was then. */
  private async again(to: string): Promise<void> {
    const { layer, fid: feature } = this.feature;
    const { undoingOf } = await import('../../history/undo');
    await undoingOf(this.app).begin({ layer, feature, to });
  }

  private changes(version: Told, before: Told): TemplateResult {
    const fields = layerConfig(this.app, this.feature.layer)?.fields ?? [];
    const changes = changesOf(version, before);
    if (changes.length === 0) return html`<small>${t('versions.shape')}</small>`;
    return html`${changes.map(({ name, was, is }) => {
      const field = fields.find((one) => one.name === name);
      return html`<small data-changed=${name}>${titleOf(field?.title, name) || name}: ${valueText(field, was)} → ${valueText(field, is)}</small>`;
    })}`;
  }
}
customElements.define('twin-versions', FeatureVersions);
