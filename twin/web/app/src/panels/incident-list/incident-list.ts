/** Incident list by level. */

import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { levelName, showIncident } from '../../app';
import { ago, t, titleOf } from '../../i18n';
import { now } from '../../live/clock';
import type { Incident } from '../../live/stream';
import { sameSelection } from '../../state';
import { Panel } from '../panel';
import { levelSign } from '../sign';

const SHOWN = 200;

export class IncidentsPanel extends Panel {
  static override properties: PropertyDeclarations = { ...Panel.properties, closed: { state: true } };
  declare closed: boolean;

  constructor() {
    super();
    this.closed = false;
  }

  protected override render(): TemplateResult {
    const { incidents, store } = this.app;
    const list = incidents.sorted.value.filter((incident) => this.closed || incidents.isOpen(incident));
    return html`<header>
        <h2>${t('incidents')}</h2>
        <label class="switch">
          <input
            type="checkbox"
            .checked=${this.closed}
            @change=${(event: Event) => (this.closed = (event.target as HTMLInputElement).checked)}
          />${t('incidents.closed')}
        </label>
        <button class="close" aria-label=${t('close')} @click=${() => store.set({ right: null })}>×</button>
      </header>
      <div class="scroll">
        <ul class="incidents" aria-live="polite">
          ${list.slice(0, SHOWN).map((incident) => this.row(incident))}
        </ul>
        ${list.length === 0 ? html`<p class="empty">${t('incidents.none')}</p>` : nothing}
        ${list.length > SHOWN ? html`<p class="empty">${t('incidents.more', { n: list.length - SHOWN })}</p>` : nothing}
      </div>`;
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
