/** The buttons at the map: zoom, 2D/3D, north, underground. */

import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../i18n';
import { Panel } from '../panels/panel';

export class ToolsPanel extends Panel {
  protected override render(): TemplateResult {
    const { map, store } = this.app;
    if (!map) return html`${nothing}`;
    const { mode, underground, view } = store.get();
    return html`
      <button title=${t('zoom.in')} aria-label=${t('zoom.in')} @click=${() => map.camera.zoom(0.6)}>+</button>
      <button title=${t('zoom.out')} aria-label=${t('zoom.out')} @click=${() => map.camera.zoom(1.7)}>−</button>
      <button title="${t('north')} (N)" aria-label=${t('north')} @click=${() => map.camera.north()}>
        <svg viewBox="0 0 16 16" style="transform:rotate(${-view.heading}deg)" aria-hidden="true">
          <path d="M8 1l4 7H4z" fill="#c1121f"></path><path d="M8 15l4-7H4z" fill="#aab3bb"></path>
        </svg>
      </button>
      <button
        data-tool="mode"
        title="${t(mode === '3d' ? 'mode.to2d' : 'mode.to3d')} (${mode === '3d' ? '2' : '3'})"
        aria-label=${t(mode === '3d' ? 'mode.to2d' : 'mode.to3d')}
        @click=${() => store.set({ mode: mode === '3d' ? '2d' : '3d' })}
      >
        ${mode === '3d' ? '2D' : '3D'}
      </button>
      <button
        data-tool="underground"
        title="${t('underground')} (U)"
        aria-label=${t('underground')}
        aria-pressed=${underground}
        @click=${() => store.set({ underground: !underground, mode: '3d' })}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M1 5h14" stroke="currentColor" stroke-width="1.5"></path>
          <path d="M2 11h8a2.5 2.5 0 0 1 2.5 2.5V15" fill="none" stroke="currentColor" stroke-width="2.5"></path>
        </svg>
      </button>
    `;
  }
}
customElements.define('twin-tools', ToolsPanel);
