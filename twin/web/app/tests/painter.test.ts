import * as engine from '@cesium/engine';
import type { MVTDataProvider, Scene } from '@cesium/engine';
import { beforeAll, expect, test } from 'vitest';
import { Painter } from '../src/map/painter';

beforeAll(() => {
  // what a WebGL context would have told
  Object.assign((engine as unknown as { ContextLimits: object }).ContextLimits, { _minimumAliasedLineWidth: 1, _maximumAliasedLineWidth: 1 });
});

/** What draws one command that bears its name. */
function shapes(name: string): MVTDataProvider {
  const update = ({ commandList }: { commandList: unknown[] }): number => commandList.push({ owner: name });
  return { update, destroy: () => undefined } as unknown as MVTDataProvider;
}

function drawn(painter: Painter): string[] {
  const frame = { frameNumber: 0, passes: { render: true }, commandList: [] as { owner: string }[], afterRender: [] };
  painter.update(frame);
  return frame.commandList.map(({ owner }) => owner);
}

test('layers are painted by their place, whichever was opened last', () => {
  const scene = { primitives: { add: () => undefined }, globe: { translucency: { enabled: false } } } as unknown as Scene;
  const painter = new Painter(scene);
  const [cover, roads, houses] = [shapes('cover'), shapes('roads'), shapes('houses')];
  for (const [one, level] of [[houses, 2], [roads, 1], [cover, 0]] as const) {
    painter.add(one);
    painter.place(one, level);
  }
  expect(drawn(painter)).toEqual(['cover', 'roads', 'houses']);
});
