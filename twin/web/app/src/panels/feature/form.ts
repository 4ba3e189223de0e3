/** The form of a feature: what is typed goes into the draft of edits at once. */

import { html, noChange, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { App } from '../../app';
import type { FieldConfig, LayerConfig } from '../../config';
import { PLACE, textOf, type Change } from '../../editing/change';
import { putPoint, putting } from '../../editing/sketch';
import { t, titleOf } from '../../i18n';
import { PICK, PUT_POINT } from '../../state';
import { editable } from './attributes';

export interface Typing {
  type(name: string, text: string): void;
  place(text: string): void;
}

/** What is wrong with a value: our words for one that is none of the field, else the server's. */
export function faultText(name: string, fault: string, text: string): string {
  if (fault !== '') return fault;
  return name === PLACE ? t('place.wrong') : t('edit.notNumber', { text });
}

/** The element is told what it shows, but not while somebody types in it. */
function shown(form: Element, name: string, text: string): unknown {
  const focused = document.activeElement;
  return focused instanceof HTMLInputElement && form.contains(focused) && focused.name === name ? noChange : live(text);
}

export interface FormOf {
  app: App;
  layer: LayerConfig;
  /** The values as they were read. */
  properties: Readonly<Record<string, unknown>>;
  /** Where its point is; null of other geometries, which the page does not put anywhere. */
  place: string | null;
  change: Change | undefined;
  typing: Typing;
  /** In which the form stands. */
  within: Element;
}

export function fieldsForm(of: FormOf): TemplateResult {
  const { app, layer, place } = of;
  return html`<fieldset class="edit" ?disabled=${app.edits.saving.value}>
    ${editable(layer).map((field) => row(of, field.name, html`<label><span>${fieldTitle(field)}</span>${input(of, field)}</label>`))}
    ${place === null ? nothing : row(of, PLACE, placeInput(of, place))}
  </fieldset>`;
}

function fieldTitle(field: FieldConfig): TemplateResult {
  return html`${titleOf(field.title, field.name)}${field.unit ? html` <small>${field.unit}</small>` : nothing}`;
}

const idOf = (name: string): string => `fault-${name || 'place'}`;

function row({ app, change }: FormOf, name: string, control: TemplateResult): TemplateResult {
  const fault = change && app.edits.fault(change, name);
  const isEdited = change && (name === PLACE ? change.place !== undefined : change.texts[name] !== undefined);
  const text = change ? (name === PLACE ? (change.place ?? '') : (change.texts[name] ?? '')) : '';
  return html`<div class="row ${isEdited ? 'unsaved' : ''}">
    ${control}
    ${fault === undefined ? nothing : html`<small class="fault" id=${idOf(name)} role="alert">${faultText(name, fault, text)}</small>`}
  </div>`;
}

function input({ app, change, properties, typing, within }: FormOf, field: FieldConfig): TemplateResult {
  const { name } = field;
  const text = change?.texts[name] ?? textOf(properties[name]);
  const fault = change && app.edits.fault(change, name);
  const type = (event: Event): void => typing.type(name, (event.target as HTMLInputElement).value);
  const choices =
    field.type === 'boolean'
      ? [['true', t('yes')] as const, ['false', t('no')] as const]
      : Object.entries(field.codes ?? {}).map(([code, titles]) => [code, titleOf(titles, code)] as const);
  if (choices.length > 0) {
    return html`<select name=${name} aria-invalid=${fault !== undefined} aria-describedby=${fault === undefined ? nothing : idOf(name)} @change=${type}>
      <option value="" .selected=${live(text === '')}></option>
      ${choices.map(([code, title]) => html`<option value=${code} .selected=${live(code === text)}>${title}</option>`)}
    </select>`;
  }
  return html`<input
    type=${field.type === 'date' ? 'date' : 'text'}
    name=${name}
    inputmode=${field.type === 'number' || field.type === 'integer' ? 'decimal' : 'text'}
    .value=${shown(within, name, text)}
    aria-invalid=${fault !== undefined}
    aria-describedby=${fault === undefined ? nothing : idOf(name)}
    autocomplete="off"
    @input=${type}
  />`;
}

function placeInput({ app, change, typing, within }: FormOf, place: string): TemplateResult {
  const fault = change && app.edits.fault(change, PLACE);
  const isPutting = app.store.get().pointer === PUT_POINT && putting.value !== null && 'put' in putting.value;
  return html`<label><span>${t('place')}</span>
      <input
        name="twin-place"
        .value=${shown(within, 'twin-place', change?.place ?? place)}
        aria-invalid=${fault !== undefined}
        aria-describedby=${fault === undefined ? nothing : idOf(PLACE)}
        autocomplete="off"
        @input=${(event: Event) => typing.place((event.target as HTMLInputElement).value)}
      />
    </label>
      ${app.map
        ? html`<button
            class="action"
            type="button"
            data-action="put"
            aria-pressed=${isPutting}
            @click=${() => (isPutting ? app.store.set({ pointer: PICK }) : putPoint(app, { put: (text) => typing.place(text) }))}
          >
            ${t(isPutting ? 'place.click' : 'place.put')}
          </button>`
        : nothing}`;
}
