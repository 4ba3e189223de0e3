/** Incident list by level. */

import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { getJson } from '../../api';
import { levelName, showIncident } from '../../app';
import { ago, t, titleOf } from '../../i18n';
import { now } from '../../live/clock';
import type { Incident } from '../../live/stream';
import { sameSelection } from '../../state';
import { Engaged } from '../engaged';
import { message } from '../message';
import { Panel } from '../panel';
import { levelSign } from '../sign';

const SHOWN = 200;
/** What the server gives at once. */
const PAGE = 1000;

interface Listed {
  incidents: Incident[];
  numberMatched: number;
}

export class IncidentsPanel extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    closed: { state: true },
    most: { state: true },
    fetching: { state: true },
    error: { state: true },
  };
  declare closed: boolean;
  declare most: number;
  declare fetching: boolean;
  declare error: unknown;
  private readonly engaged = new Engaged();
  /** The order in which the rows stand while somebody is at them. */
  private held: number[] = [];

  constructor() {
    super();
    this.closed = false;
    this.most = SHOWN;
    this.fetching = false;
    this.error = null;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.engaged.end();
  }

  /** The rows, and how many more there are that would move them. */
  private rows(): { list: Incident[]; waiting: number } {
    const { incidents } = this.app;
    const due = incidents.sorted.value.filter((incident) => this.closed || incidents.isOpen(incident));
    if (!this.engaged.value) {
      this.held = due.map(({ id }) => id);
      return { list: due, waiting: 0 };
    }
    const kept = new Set(this.held);
    const list = this.held.flatMap((id) => incidents.all.get(id) ?? []);
    return { list, waiting: due.filter(({ id }) => !kept.has(id)).length };
  }

  protected override render(): TemplateResult {
    const { incidents, store } = this.app;
    const { list, waiting } = this.rows();
    const unlisted = list.length - Math.min(list.length, this.most);
    const { enter, leave, focusIn, focusOut } = this.engaged;
    return html`<div class="header">
        <h2>${t('incidents')}</h2>
        <label class="switch">
          <input
            type="checkbox"
            .checked=${this.closed}
            @change=${(event: Event) => this.showClosed((event.target as HTMLInputElement).checked)}
          />${t('incidents.closed')}
        </label>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null })}>×</button>
      </div>
      <p class="told" role="status">${waiting > 0 ? t('incidents.waiting', { n: waiting }) : nothing}</p>
      <div class="scroll" tabindex="0">
        <ul
          class="incidents"
          @pointerenter=${enter}
          @pointerdown=${enter}
          @pointerleave=${leave}
          @focusin=${focusIn}
          @focusout=${focusOut}
        >
          ${repeat(list.slice(0, this.most), ({ id }) => id, (incident) => this.row(incident))}
        </ul>
        ${list.length === 0 ? this.empty() : nothing}
        ${unlisted > 0
          ? html`<p class="empty">${t('incidents.more', { n: unlisted })}</p>
              <button class="action" data-action="more" @click=${() => (this.most += SHOWN)}>${t('incidents.next')}</button>`
          : nothing}
        ${unlisted === 0 && incidents.unknown.value > 0 ? this.rest(incidents.unknown.value) : nothing}
        ${message(this.error)}
      </div>`;
  }

  private showClosed(closed: boolean): void {
    this.closed = closed;
    this.held = [];
  }

  /** Why there is nothing to see, and what to do. */
  private empty(): TemplateResult {
    const { stream } = this.app;
    if (stream && stream.snapshots === 0) {
      return html`<p class="empty">${t(stream.connected.value ? 'incidents.loading' : 'incidents.offline')}</p>`;
    }
    if (this.closed) return html`<p class="empty">${t('incidents.none')}</p>`;
    return html`<p class="empty">${t('incidents.noneOpen')}</p>
      <button class="action" data-action="closed" @click=${() => this.showClosed(true)}>${t('incidents.showClosed')}</button>`;
  }

  /** The open ones that the first picture left out: those of the lowest levels. */
  private rest(count: number): TemplateResult {
    return html`<p class="empty">${t('incidents.rest', { n: count })}</p>
      <button class="action" data-action="rest" ?disabled=${this.fetching} @click=${() => void this.fetchRest()}>
        ${t(this.fetching ? 'chart.loading' : 'incidents.all')}
      </button>`;
  }

  private async fetchRest(): Promise<void> {
    this.fetching = true;
    this.error = null;
    try {
      for (let offset = 0, matched = 1; offset < matched; offset += PAGE) {
        const found = await getJson<Listed>(`incidents?open=true&limit=${PAGE}&offset=${offset}`);
        matched = found.numberMatched;
        this.app.incidents.putAll(found.incidents);
      }
    } catch (error) {
      this.error = error;
    }
    this.fetching = false;
  }

  private row(incident: Incident): TemplateResult {
    const { selection } = this.app.store.get();
    const chosen = sameSelection(selection, { type: 'incident', id: incident.id });
    const status = titleOf(this.app.config.workflow.states[incident.status]?.title, incident.status);
    return html`<li>
      <button
        class="incident"
        data-incident=${incident.id}
        data-level=${incident.level}
        data-status=${incident.status}
        aria-current=${chosen}
        @click=${() => showIncident(this.app, incident)}
      >
        ${levelSign(incident.level)}
        <span class="title">${incident.title}</span>
        <span class="status">${status}</span>
        <small>
          ${t(levelName(incident.level))} · ${ago(Date.parse(incident.reported), now.value)}
          ${incident.address ? html` · ${incident.address}` : nothing}
          ${incident.simulated ? html`<span class="mark">${t('simulated')}</span>` : nothing}
        </small>
      </button>
    </li>`;
  }
}
customElements.define('twin-incidents', IncidentsPanel);
