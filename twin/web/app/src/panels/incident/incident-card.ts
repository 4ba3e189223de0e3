/** The card of an incident: what is known, the moves allowed now, and who did what. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { getJson, postAction } from '../../api';
import { levelName, select } from '../../app';
import { dateTime, t, titleOf } from '../../i18n';
import { may } from '../../session';
import type { Incident } from '../../live/stream';
import type { LiveSelection } from '../../state';
import { message } from '../message';
import { Panel } from '../panel';
import { levelSign } from '../sign';

type Action = Incident['actions'][number];

export class IncidentCard extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    log: { state: true },
    error: { state: true },
    asking: { state: true },
  };
  declare log: NonNullable<Incident['log']>;
  declare error: unknown;
  declare asking: Action | null;
  private seen = -1;

  constructor() {
    super();
    this.log = [];
    this.error = null;
    this.asking = null;
  }

  private get incident(): number {
    return (this.selection as LiveSelection).id;
  }

  protected override willUpdate(changed: PropertyValues): void {
    const revision = this.app.incidents.get(this.incident)?.revision ?? 0;
    if (changed.has('selection')) {
      this.log = [];
      this.asking = null;
    } else if (revision === this.seen) return;
    this.seen = revision;
    void this.load();
  }

  private async load(): Promise<void> {
    const id = this.incident;
    try {
      const incident = await getJson<Incident>(`incidents/${id}`);
      if (id !== this.incident) return;
      this.log = incident.log ?? [];
      this.error = null;
      this.app.incidents.put(incident);
      this.seen = this.app.incidents.all.get(id)?.revision ?? incident.revision;
      this.requestUpdate();
    } catch (error) {
      if (id === this.incident) this.error = error;
    }
  }

  protected override render(): TemplateResult {
    const incident = this.app.incidents.get(this.incident);
    return html`<header>
        <div>
          <small>${t('live.incident')} ${incident?.code ?? ''}
            ${incident?.simulated ? html`<span class="mark">${t('simulated')}</span>` : nothing}</small>
          <h2>${incident?.title ?? this.incident}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(this.app, null)}>×</button>
      </header>
      <div class="scroll" data-incident=${this.incident}>
        ${message(this.error, { PreconditionFailed: 'incident.stale' })}
        ${incident ? this.body(incident) : nothing}
      </div>`;
  }

  private stateTitle(id: string | null): string {
    return id ? titleOf(this.app.config.workflow.states[id]?.title, id) : '';
  }

  private body(incident: Incident): TemplateResult {
    const rows: [string, string | null][] = [
      [t('incident.reported'), dateTime(incident.reported)],
      [t('incident.class'), incident.class],
      [t('incident.address'), incident.address],
      [t('incident.source'), incident.source],
    ];
    return html`<div class="reading" data-status=${incident.status}>
        <div>${levelSign(incident.level)} <strong>${t(levelName(incident.level))}</strong></div>
        <div class="state">${this.stateTitle(incident.status)}</div>
      </div>
      ${incident.description ? html`<p>${incident.description}</p>` : nothing}
      <dl>${rows.filter(([, text]) => text).map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>
      ${this.moves(incident)}
      <section class="group">
        <h3>${t('incident.log')}</h3>
        <ol class="log">
          ${this.log.map(
            (entry) => html`<li>
              <span>${this.actionTitle(entry.action)} → ${this.stateTitle(entry.to)}</span>
              <small>${dateTime(entry.at)} · ${entry.actor}${entry.note ? html` · ${entry.note}` : nothing}</small>
            </li>`,
          )}
        </ol>
      </section>`;
  }

  private actionTitle(id: string): string {
    const action = this.app.config.workflow.actions[id];
    return action ? titleOf(action.title, id) : id === 'create' || id === 'report' ? t('incident.created') : id;
  }

  private moves(incident: Incident): TemplateResult {
    if (!may('incident')) return html`${nothing}`;
    if (this.asking) return this.noteForm(incident, this.asking);
    return html`<div class="buttons">
      ${incident.actions.map(
        (action) => html`<button
          class="action"
          data-action=${action.action}
          @click=${() => this.choose(incident, action)}
        >
          ${titleOf(action.title, action.action)}
        </button>`,
      )}
    </div>`;
  }

  private choose(incident: Incident, action: Action): void {
    if (this.app.config.workflow.actions[action.action]?.note === 'required') this.asking = action;
    else void this.move(incident, action, null);
  }

  private noteForm(incident: Incident, action: Action): TemplateResult {
    const submit = (event: Event): void => {
      event.preventDefault();
      const data = new FormData(event.target as HTMLFormElement);
      void this.move(incident, action, String(data.get('note')));
    };
    return html`<form class="edit" @submit=${submit}>
      <label><span>${t('incident.note')}</span><textarea name="note" required maxlength="2000" rows="2"></textarea></label>
      <div class="buttons">
        <button class="action primary" data-action="confirm">${titleOf(action.title, action.action)}</button>
        <button class="action" type="button" @click=${() => (this.asking = null)}>${t('cancel')}</button>
      </div>
    </form>`;
  }

  private async move(incident: Incident, action: Action, note: string | null): Promise<void> {
    try {
      const body = note ? { action: action.action, note } : { action: action.action };
      const moved = await postAction<Incident>(`incidents/${incident.id}/actions`, body, `"${incident.revision}"`);
      this.asking = null;
      this.error = null;
      this.app.incidents.put(moved);
      this.seen = -1;
      this.requestUpdate();
    } catch (error) {
      this.error = error;
    }
  }
}
customElements.define('twin-incident', IncidentCard);
