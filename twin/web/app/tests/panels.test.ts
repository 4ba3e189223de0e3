import { signal } from '@preact/signals-core';
import { html, type TemplateResult } from 'lit';
import { expect, test } from 'vitest';
import { useLanguage } from '../src/i18n';
import { sourceWord } from '../src/panels/feature/attributes';
import { Panel, renders } from '../src/panels/panel';
import { panels } from '../src/panels/registry';
import { Shell } from '../src/panels/shell';
import { city, incident, layer, page, sensors } from './city';

/** All that is due has been drawn. */
async function drawn(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setTimeout(resolve));
}

test('a panel is drawn again for what it shows, and for nothing else', async () => {
  useLanguage('en', 'UTC');
  const app = page(city(layer('roads')), '#lang=en&p=layers,incidents');
  app.sensors.replace(sensors(1, 2));
  app.incidents.replace([incident(1)]);
  for (const entry of panels.all()) await entry.load();
  const shell = new Shell();
  shell.app = app;
  document.body.append(shell);
  await drawn();
  const before = new Map(renders);
  const since = (tag: string): number => (renders.get(tag) ?? 0) - (before.get(tag) ?? 0);
  for (let i = 0; i < 20; i += 1) {
    app.sensors.observe({ id: [1], value: [i], time: [2000 + i], state: [i % 2 ? 'red' : 'ok'] });
    await drawn();
  }
  expect(since('twin-layers')).toBe(0);
  expect(since('twin-incidents')).toBe(0);
  expect(since('twin-shell')).toBe(0);
  expect(since('twin-tools')).toBe(0);
  expect(since('twin-strip')).toBeGreaterThanOrEqual(19);
  app.incidents.put(incident(2));
  await drawn();
  // the tree counts the pins
  expect([since('twin-incidents'), since('twin-layers')]).toEqual([1, 1]);
  useLanguage('zh-CN', 'UTC');
  await drawn();
  expect(since('twin-layers')).toBe(2);
  shell.remove();
});

test('a panel that could not be drawn is drawn again when what it read has changed', async () => {
  const value = signal<string | null>(null);
  const thrown: unknown[] = [];
  class Fragile extends Panel {
    /** Lit would hand the error to the console of the page. */
    protected override scheduleUpdate(): void {
      try {
        void super.scheduleUpdate();
      } catch (error) {
        thrown.push(error);
      }
    }

    protected override render(): TemplateResult {
      return html`<p>${value.value!.length}</p>`;
    }
  }
  customElements.define('test-fragile', Fragile);
  const panel = new Fragile();
  panel.app = page(city());
  document.body.append(panel);
  await drawn();
  expect(thrown).toHaveLength(1);
  value.value = 'four';
  await drawn();
  expect(panel.textContent).toBe('4');
  panel.remove();
  value.value = 'seven';
  await drawn();
  expect(panel.textContent).toBe('4');
  document.body.append(panel);
  await drawn();
  expect(panel.textContent).toBe('5');
});

test.each(['en', 'zh-CN'] as const)('the legend marks what is assumed with the word of the card (%s)', async (lang) => {
  useLanguage(lang, 'UTC');
  const houses = layer('houses');
  houses.style.legend.push({ title: { en: 'Height assumed' }, color: '#cccccc', assumed: true });
  const raster = { url: '', minzoom: 0, maxzoom: 1, bands: [], colormaps: [], times: [], style: { hillshade: true } };
  const app = page(city(houses, layer('relief', { raster })), `#lang=${lang}&p=legend`);
  for (const entry of panels.all()) await entry.load();
  const shell = new Shell();
  shell.app = app;
  document.body.replaceChildren(shell);
  await drawn();
  expect(document.querySelector('twin-layers .mark')?.textContent).toBe(sourceWord('default'));
  // light and shade have no entry of their own, and a raster has no features
  expect(document.querySelectorAll('twin-layers .swatch').length).toBe(2);
});
