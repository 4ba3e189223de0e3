/** The dossier of a building in its card: storeys, rooms, parts, and what is near or names it. */

import { html, nothing, type TemplateResult } from 'lit';
import type { Dossier, DossierGroup, DossierMember } from '../../api';
import { layerConfig, select, type App } from '../../app';
import { decimal, hasWord, t, titleOf, type Word } from '../../i18n';
import { isFeature, type FeatureSelection, type Selection } from '../../state';
import { valueText } from './attributes';

/** So many members of a group are seen at once. */
const FEW = 12;
/** The cards of what is no layer of features, by the collection that tells of it. */
const LIVE: Readonly<Record<string, string>> = { observations_latest: 'sensor', incidents: 'incident' };

/** What is chosen for a member; a feature is looked at as the building is. */
export function selectionOf({ layer, id }: DossierMember, building: FeatureSelection): Selection {
  const type = LIVE[layer];
  return type ? { type, id } : { ...building, layer, fid: id };
}

/** What is told of a member beside its name: values, and how it belongs there. */
export function remark(app: App, { layer, belongs, distance_m: distance, properties = {} }: DossierMember): string {
  const fields = layerConfig(app, layer)?.fields ?? [];
  const { result, unit, status, state, reported: _, level: __, ...others } = properties as Record<string, string | number>;
  return [
    result === undefined ? '' : `${typeof result === 'number' ? decimal(result, 3) : result} ${unit ?? ''}`.trim(),
    state !== undefined && hasWord(`state.${state}`) ? t(`state.${state}` as Word) : '',
    status === undefined ? '' : titleOf(app.config.workflow.states[status]?.title, String(status)),
    ...Object.entries(others).map(([name, value]) => valueText(fields.find((field) => field.name === name), value)),
    belongs === 'named' ? t('dossier.named') : '',
    distance ? t(belongs === 'nearest' ? 'dossier.nearest' : 'dossier.distance', { metres: decimal(distance, 1) }) : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

export function dossier(app: App, building: FeatureSelection, { code, storeys, groups }: Dossier): TemplateResult {
  const told = Object.entries(groups);
  if (storeys.length === 0 && told.length === 0) return html`${nothing}`;
  return html`<section class="group dossier" data-dossier=${code ?? ''}>
    <h3>${t('dossier')}</h3>
    ${storeys.length > 0
      ? html`<details data-group="storeys">
          <summary>${t('dossier.storeys')} <span class="count">${storeys.length}</span></summary>
          <dl>
            ${storeys.map(
              (one) => html`<dt>${one.name}</dt>
                <dd>
                  ${[one.elevation_m === null ? '' : `${decimal(one.elevation_m, 2)} m`, t('dossier.on', { n: one.parts })].filter(Boolean).join(' · ')}
                </dd>`,
            )}
          </dl>
        </details>`
      : nothing}
    ${told.map(([name, group]) => groupOf(app, building, name, group))}
  </section>`;
}

function groupOf(app: App, building: FeatureSelection, name: string, group: DossierGroup): TemplateResult {
  const word = `dossier.${name}`;
  const { numberMatched: count, members } = group;
  // as `related` has it, the parts are those of the whole
  return html`<details data-group=${name} data-relation=${name === 'parts' ? 'hasPart' : nothing} ?open=${members.length <= FEW}>
    <summary>${hasWord(word) ? t(word as Word) : group.title} <span class="count">${count}</span></summary>
    <ul>
      ${members.map((member) => memberOf(app, building, member))}
    </ul>
    ${count > members.length ? html`<p class="empty">${t('dossier.more', { n: count - members.length })}</p>` : nothing}
  </details>`;
}

function memberOf(app: App, building: FeatureSelection, member: DossierMember): TemplateResult {
  const { layer, id, title } = member;
  const words = remark(app, member);
  return html`<li>
    <button class="action" data-feature=${`${layer}/${id}`} @click=${() => choose(app, selectionOf(member, building))}>${title}</button>
    ${words ? html`<small>${words}</small>` : nothing}
  </li>`;
}

function choose(app: App, selection: Selection): void {
  select(app, selection);
  if (isFeature(selection) && layerConfig(app, selection.layer)) app.store.setLayer(selection.layer, { visible: true });
}
