/** The card of an incident: what is known, the moves allowed now, and who did what. */

import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { ApiError, getJson, postAction } from '../../api';
import { levelName, select } from '../../app';
import { dateTime, hasWord, t, titleOf } from '../../i18n';
import { may } from '../../session';
import type { Incident } from '../../live/stream';
import type { LiveSelection } from '../../state';
import { Engaged } from '../engaged';
import { again, message, type Next } from '../message';
import { Panel } from '../panel';
import { Recovery } from '../recovery';
import { levelSign } from '../sign';

type Action = Incident['actions'][number];

/** A form for the note of a move, and the revision that its writer saw. */
interface Asking {
  action: Action;
  revision: number;
}

export class IncidentCard extends Panel {
  static override properties: PropertyDeclarations = {
    ...Panel.properties,
    log: { state: true },
    error: { state: true },
    asking: { state: true },
  };
  declare log: NonNullable<Incident['log']>;
  declare error: unknown;
  declare asking: Asking | null;
  private seen = -1;
  /** The incident as it was when its buttons were drawn: they change only while nobody is about to press. */
  private offered: Incident | null = null;
  private readonly engaged = new Engaged();
  private recovery: Recovery | null = null;
  private release: (() => void) | null = null;

  constructor() {
    super();
    this.log = [];
    this.error = null;
    this.asking = null;
  }

  private get incident(): number {
    return (this.selection as LiveSelection).id;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.recovery = new Recovery(this.app.events, () => void this.load());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.recovery?.end();
    this.engaged.end();
    this.ask(null);
  }

  protected override willUpdate(changed: PropertyValues): void {
    const known = this.app.incidents.get(this.incident);
    if (changed.has('selection')) {
      this.log = [];
      this.error = null;
      this.offered = null;
      this.ask(null);
    }
    if (known && (!this.offered || (!this.engaged.value && !this.asking))) this.offered = known;
    const revision = known?.revision ?? 0;
    if (!changed.has('selection') && revision === this.seen) return;
    this.seen = revision;
    void this.load();
  }

  private async load(): Promise<void> {
    const id = this.incident;
    try {
      const incident = await getJson<Incident>(`incidents/${id}`, { cache: 'no-cache' });
      if (id !== this.incident) return;
      this.recovery?.done();
      this.log = incident.log ?? [];
      if (!this.asking) this.error = null;
      this.app.incidents.put(incident);
      this.seen = this.app.incidents.all.get(id)?.revision ?? incident.revision;
      this.requestUpdate();
    } catch (error) {
      if (id !== this.incident) return;
      this.error = error;
      this.recovery?.failed(error);
    }
  }

  protected override render(): TemplateResult {
    const incident = this.app.incidents.get(this.incident);
    return html`<div class="header">
        <div>
          <small>${t('live.incident')} ${incident?.code ?? ''}
            ${incident?.simulated ? html`<span class="mark">${t('simulated')}</span>` : nothing}</small>
          <h2>${incident?.title ?? this.incident}</h2>
        </div>
        <button class="close" aria-label=${t('close')} @click=${() => select(this.app, null)}>×</button>
      </div>
      <div class="scroll" tabindex="0" data-incident=${this.incident}>
        ${incident ? this.body(incident) : message(this.error, { NotFound: 'incident.gone' }, this.next())}
      </div>`;
  }

  /** What helps where the incident is not known. */
  private next(): Next {
    if (!(this.error instanceof ApiError && this.error.status === 404)) return again(() => void this.load());
    const { store } = this.app;
    return { word: 'step.incidents', action: 'list', run: () => store.set({ selection: null, right: 'incidents' }) };
  }

  private stateTitle(id: string | null): string {
    return id ? titleOf(this.app.config.workflow.states[id]?.title, id) : '';
  }

  private body(incident: Incident): TemplateResult {
    const rows: [string, string | null][] = [
      [t('incident.reported'), dateTime(incident.reported)],
      [t('incident.class'), worded(`class.${incident.class}`, incident.class)],
      [t('incident.address'), incident.address],
      [t('incident.source'), worded(`origin.${incident.source}`, incident.source)],
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

  /** The buttons stay while somebody is at them; what is told of a change stands under them. */
  private moves(incident: Incident): TemplateResult {
    const { enter, leave, focusIn, focusOut } = this.engaged;
    const told = message(this.error, { PreconditionFailed: 'incident.stale' }, this.asking ? undefined : again(this.renew));
    if (!may('incident')) return html`<p class="empty" data-why="right">${t('incident.key')}</p>${told}`;
    return html`<div
      class="moves"
      @pointerenter=${enter}
      @pointerdown=${enter}
      @pointerleave=${leave}
      @focusin=${focusIn}
      @focusout=${focusOut}
    >
      ${this.asking ? this.noteForm(incident, this.asking) : this.buttons(incident)} ${told}
    </div>`;
  }

  private buttons(incident: Incident): TemplateResult {
    const offered = this.offered ?? incident;
    const stale = offered.revision !== incident.revision;
    return html`<div class="buttons">
        ${offered.actions.map(
          (action) => html`<button
            class="action"
            data-action=${action.action}
            ?disabled=${stale}
            @click=${(event: MouseEvent) => this.choose(event, offered, action)}
          >
            ${titleOf(action.title, action.action)}
          </button>`,
        )}
      </div>
      ${stale
        ? html`<div class="message" role="status">
            ${t('incident.moved', { state: this.stateTitle(incident.status) })}
            <button class="action" data-action="renew" @click=${this.renew}>${t('incident.renew')}</button>
          </div>`
        : nothing}`;
  }

  private readonly renew = (): void => {
    this.offered = this.app.incidents.all.get(this.incident) ?? null;
    this.error = null;
    void this.load();
  };

  private choose(event: MouseEvent, offered: Incident, action: Action): void {
    // the second click of a double click was not meant for the button that came with the first
    if (event.detail > 1) return;
    const { revision } = offered;
    if (this.app.config.workflow.actions[action.action]?.note === 'required') this.ask({ action, revision });
    else void this.move({ action, revision }, null);
  }

  private ask(asking: Asking | null): void {
    this.release?.();
    this.release = asking ? this.app.store.draft.hold(() => this.note() !== '') : null;
    this.asking = asking;
    if (!asking) this.error = null;
  }

  private note(): string {
    return this.querySelector<HTMLTextAreaElement>('textarea[name=note]')?.value.trim() ?? '';
  }

  private noteForm(incident: Incident, asking: Asking): TemplateResult {
    const { action } = asking;
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.move(asking, this.note());
    };
    const possible = incident.actions.some((one) => one.action === action.action);
    return html`<form class="edit" @submit=${submit}>
      <label><span>${t('incident.note')}</span><textarea name="note" required maxlength="2000" rows="2"></textarea></label>
      <div class="buttons">
        <button class="action primary" data-action="confirm" ?disabled=${!possible}>
          ${titleOf(action.title, action.action)}
        </button>
        <button class="action" type="button" data-action="cancel" @click=${() => this.ask(null)}>${t('cancel')}</button>
      </div>
      ${possible ? nothing : html`<p class="message" role="status">${t('incident.impossible', { state: this.stateTitle(incident.status) })}</p>`}
    </form>`;
  }

  /** Sends the revision that was seen when the move was chosen. */
  private async move({ action, revision }: Asking, note: string | null): Promise<void> {
    const id = this.incident;
    try {
      const body = note ? { action: action.action, note } : { action: action.action };
      const moved = await postAction<Incident>(`incidents/${id}/actions`, body, `"${revision}"`);
      this.app.incidents.put(moved);
      if (id !== this.incident) return;
      this.ask(null);
      this.offered = this.app.incidents.all.get(id) ?? moved;
      this.seen = -1;
      this.requestUpdate();
    } catch (error) {
      if (id !== this.incident) return;
      this.error = error;
      if (error instanceof ApiError && error.status === 412) await this.overtaken(id);
    }
  }

  /** The newest state is shown; whoever sends the form now has seen it. */
  private async overtaken(id: number): Promise<void> {
    const told = this.error;
    await this.load();
    const now = this.app.incidents.all.get(id);
    if (id !== this.incident || !now) return;
    this.error = told;
    if (this.asking) this.asking = { ...this.asking, revision: now.revision };
  }
}
customElements.define('twin-incident', IncidentCard);

/** A word of the trade in the page's language; another text as it was sent. */
function worded(word: string, text: string | null): string | null {
  return hasWord(word) ? t(word) : text;
}
