"""The doors of the page: a panel, a tool and a form of layers are one new file each; nothing else changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

APP = Path(__file__).parents[2] / "twin" / "web" / "app"

PANEL = """
import { html } from 'lit';
import { Panel } from '../panel';

class Toy extends Panel {
  protected override render(): unknown {
    return html`<h2>A toy at ${this.app.store.get().view.lon}</h2>`;
  }
}
customElements.define('twin-toy', Toy);
const title = { en: 'Toy' };
const load = async (): Promise<unknown> => Toy;
export default { id: 'toy', side: 'right', title, key: 'y', button: true, tag: 'twin-toy', load };
"""

TOOL = """
import type { App } from '../../app';

const home = ({ config, store }: App): void => store.set({ view: config.view });
const title = () => ({ en: 'Home' });
export default { id: 'home', title, icon: () => 'H', keys: { h: home }, run: home, withoutMap: true };
"""

FORM = """
import type { LayerConfig } from '../../config';

export default {
  id: 'toy',
  folder: 'toys',
  offered: (layer: LayerConfig) => layer.kind === 'toy',
  wanted: () => true,
  open: async () => null,
};
"""

USE = """
import { expect, test } from 'vitest';
import { listenToKeys } from '../src/keyboard';
import { forms } from '../src/layers/registry';
import { writeLink } from '../src/link';
import { Shell } from '../src/panels/shell';
import { city, layer, page } from './city';

test('the toys are opened by key, by link and by their buttons', async () => {
  const app = page(city(), '#lang=en&p=toy');
  const shell = new Shell();
  shell.app = app;
  document.body.append(shell);
  listenToKeys(app);
  const drawn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  const press = async (key: string): Promise<void> => {
    document.dispatchEvent(new KeyboardEvent('keydown', { key }));
    await drawn();
  };
  await drawn();
  expect(document.querySelector('twin-toy.drawer.right')?.textContent).toContain('A toy at 24.95');
  await press('Escape');
  expect(document.querySelector('twin-toy')).toBeNull();
  await press('y');
  expect(document.querySelector('twin-toy')).not.toBeNull();
  expect(writeLink(app.store.get())).toContain('&p=toy&');
  document.querySelector<HTMLElement>('[data-panel=toy]')!.click();
  await drawn();
  expect(document.querySelector('twin-toy')).toBeNull();
  app.store.set({ view: { ...app.config.view, lon: 1 } });
  await press('h');
  expect(app.store.get().view.lon).toBe(24.95);
  expect(document.querySelector('[data-tool=home]')?.getAttribute('title')).toBe('Home');
  expect(forms.get('toy')?.offered(layer('x', { kind: 'toy' }))).toBe(true);
});
"""


def test_a_panel_a_tool_and_a_form_are_one_file_each(tmp_path: Path):
    """On a copy of the page's source: the new files are found in their folders, nothing names them."""
    copy = tmp_path / "app"
    shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("node_modules", "*.test.ts"))
    (copy / "node_modules").symlink_to(APP / "node_modules")
    for path, text in {
        "src/panels/toy/panel.ts": PANEL,
        "src/tools/toy/tool.ts": TOOL,
        "src/layers/forms/toy.ts": FORM,
        "tests/toys.test.ts": USE,
    }.items():
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text(text, "utf-8")
    node = Path(sys.executable).with_name("node")
    done = subprocess.run(
        [str(node), "node_modules/vitest/vitest.mjs", "run", "--reporter=verbose"],
        cwd=copy,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 passed" in done.stdout
