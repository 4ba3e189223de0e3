/** A changed feature in a list, and its old and new values side by side where it is the one that is looked at. */

import { html, nothing, type TemplateResult } from 'lit';
import { goTo, layerConfig, select, type App } from '../../app';
import { keyOf, type Change } from '../../history/changes';
import { marksOf } from '../../history/marks';
import { changeSign } from '../../history/sign';
import { dateTime, decimal, t, titleOf } from '../../i18n';
import type { FeatureSelection } from '../../state';
import { featureTitle, valueText } from '../feature/attributes';
import { kindWord, viaOf } from './counts';

function titleOfFeature(app: App, { layer, id, fields, title }: Change): string {
  if (title !== undefined) return title;
  const config = layerConfig(app, layer);
  const values = Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.new ?? one.old]));
  return config ? featureTitle(config, id, values) : `${layer} ${id}`;
}

/** `told` stands under its title; `inSet` is the change set whose changes are listed, which need not be named. */
export function changeRow(app: App, change: Change, inSet?: number, told: TemplateResult | typeof nothing = nothing): TemplateResult {
  const key = keyOf(change);
  const isChosen = marksOf(app).chosen.value === key;
  return html`<li>
    <button class="change" data-feature=${key} data-change=${change.change} aria-expanded=${isChosen} @click=${() => choose(app, change)}>
      ${changeSign(change.change)}
      <span class="title">${titleOfFeature(app, change)}<span class="unseen"> ${kindWord(change.change)}</span></span>
      ${change.distance_m === undefined ? nothing : html`<small>${t('change.distance', { metres: decimal(change.distance_m, 3) })}</small>`}
      ${change.change === 'changed' && !isChosen ? inShort(app, change) : nothing} ${told}
    </button>
    ${isChosen ? details(app, change, inSet) : nothing}
  </li>`;
}

function choose(app: App, change: Change): void {
  const { chosen } = marksOf(app);
  const key = keyOf(change);
  chosen.value = chosen.peek() === key ? null : key;
  if (chosen.peek() === null) return;
  const [west, south, east, north] = change.bbox.new ?? change.bbox.old ?? [];
  if (west !== undefined) goTo(app, [[west, south], [east, north]], null);
}

function fieldOf(app: App, { layer }: Change, name: string): { title: string; text(value: unknown): string } {
  const field = layerConfig(app, layer)?.fields.find((one) => one.name === name);
  return { title: titleOf(field?.title, name) || name, text: (value) => valueText(field, value) };
}

/** Fields with old → new, on a line each. */
function inShort(app: App, change: Change): TemplateResult {
  const names = Object.keys(change.fields);
  return html`${names.map((name) => {
    const { title, text } = fieldOf(app, change, name);
    const { old, new: fresh } = change.fields[name]!;
    return html`<small data-field=${name}>${title}: ${text(old)} → ${text(fresh)}</small>`;
  })}
  ${isElsewhere(change) ? html`<small>${shapeWord(change)}</small>` : nothing}`;
}

/** Whether more, or something else, has changed than its fields. */
function isElsewhere({ fields, geometryChanged, bodyChanged }: Change): boolean {
  return geometryChanged || bodyChanged || Object.keys(fields).length === 0;
}

function shapeWord({ geometryChanged, bodyChanged }: Change): string {
  return t(geometryChanged ? 'change.geometry' : bodyChanged ? 'change.body' : 'versions.shape');
}

function details(app: App, change: Change, inSet: number | undefined): TemplateResult {
  const { change: kind, set } = change;
  return html`<div class="values" data-values=${keyOf(change)}>
    ${values(app, change)}
    ${kind === 'changed' && isElsewhere(change) ? html`<p>${shapeWord(change)}</p>` : nothing}
    ${set && set.id !== inSet
      ? html`<button class="link" data-last-set=${set.id} @click=${() => app.store.set({ set: set.id })}>
          ${[dateTime(set.at), viaOf(set), set.actor].filter(Boolean).join(' · ')}
        </button>`
      : nothing}
    ${kind === 'removed'
      ? nothing
      : html`<button class="link" data-card=${keyOf(change)} @click=${() => select(app, cardOf(app, change))}>${t('change.card')}</button>`}
  </div>`;
}

/** What is new is there in the later one of two moments only. */
function cardOf({ store }: App, { change, layer, id }: Change): FeatureSelection {
  const isLater = change === 'added' && store.get().against !== null;
  return { type: 'feature', layer, fid: id, ...(isLater ? { against: true } : {}) };
}

/** Of what is new there is nothing before, of what is gone nothing after it. */
function values(app: App, change: Change): TemplateResult | typeof nothing {
  const { change: kind, fields } = change;
  const names = Object.keys(fields).filter((name) => kind === 'changed' || fields[name]!.old !== null || fields[name]!.new !== null);
  if (names.length === 0) return nothing;
  const sides = (old: TemplateResult, fresh: TemplateResult): TemplateResult => html`${kind === 'added' ? nothing : old}${kind === 'removed' ? nothing : fresh}`;
  return html`<table>
    <thead>
      <tr>
        <th scope="col"><span class="unseen">${t('change.field')}</span></th>
        ${sides(html`<th scope="col">${t('change.old')}</th>`, html`<th scope="col">${t('change.new')}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${names.map((name) => {
        const { title, text } = fieldOf(app, change, name);
        const { old, new: fresh } = fields[name]!;
        return html`<tr data-field=${name}>
          <th scope="row">${title}</th>
          ${sides(html`<td>${text(old)}</td>`, html`<td>${text(fresh)}</td>`)}
        </tr>`;
      })}
    </tbody>
  </table>`;
}
