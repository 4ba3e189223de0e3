/** The buttons at the map, as the registry lists them. */

import { html, nothing, type TemplateResult } from 'lit';
import { Panel } from '../panels/panel';
import { label } from '../panels/registry';
import { tools, type ToolEntry } from './registry';

export class ToolsPanel extends Panel {
  protected override render(): TemplateResult {
    const { map } = this.app;
    return html`${tools.all().map((tool) => (map || tool.withoutMap ? this.button(tool) : nothing))}`;
  }

  private button(tool: ToolEntry): TemplateResult {
    const state = this.app.store.get();
    const title = label(tool.title(state));
    const hint = tool.hint?.(state);
    return html`<button
      data-tool=${tool.id}
      title=${hint ? `${title} (${hint})` : title}
      aria-label=${title}
      aria-pressed=${tool.pressed ? tool.pressed(state) : nothing}
      @click=${() => tool.run(this.app)}
    >
      ${tool.icon(state)}
    </button>`;
  }
}
customElements.define('twin-tools', ToolsPanel);
