import { effect } from '@preact/signals-core';
import { expect, test } from 'vitest';
import { Incidents } from '../src/live/incidents';
import { Clusters, type ClusterView } from '../src/live/clusters';
import { Sensors, type SensorView } from '../src/live/sensors';
import { withGaps } from '../src/panels/sensor/chart';
import { incident, sensors } from './city';

function counted(read: () => unknown): { runs: number } {
  const counter = { runs: 0 };
  effect(() => {
    read();
    counter.runs += 1;
  });
  return counter;
}

test('an observation is heard by those who look at that sensor, and by no other', () => {
  const all = new Sensors();
  all.replace(sensors(1, 2));
  const one = counted(() => all.get(1)?.value);
  const other = counted(() => all.get(2)?.value);
  const members = counted(() => all.count);
  const states = counted(() => all.counts.value);
  all.observe({ id: [1], value: [5], time: [2000], state: ['ok'] });
  expect([one.runs, other.runs, members.runs, states.runs]).toEqual([2, 1, 1, 1]);
  all.observe({ id: [1], value: [9], time: [3000], state: ['red'] });
  expect([one.runs, other.runs, members.runs, states.runs]).toEqual([3, 1, 1, 2]);
  expect(all.counts.value).toMatchObject({ ok: 1, red: 1 });
  all.observe({ id: [99], value: [1], time: [1], state: ['ok'] });
  all.replace(sensors(2, 3));
  expect(all.get(1)).toBeUndefined();
  expect([one.runs, members.runs]).toEqual([4, 2]);
});

test('the map hears of signs that change, and rests while only values do', () => {
  const all = new Sensors();
  const heard: string[] = [];
  const view: SensorView = {
    put: ({ id }) => heard.push(`put ${id}`),
    remove: (id) => heard.push(`remove ${id}`),
    repaint: ({ id }) => heard.push(`repaint ${id}`),
    settle: () => heard.push('settle'),
  };
  all.replace(sensors(1, 2));
  all.show(view);
  expect(heard.splice(0)).toEqual(['put 1', 'put 2', 'settle']);
  all.observe({ id: [1, 2], value: [5, 6], time: [2, 2], state: ['ok', 'ok'] });
  expect(heard.splice(0)).toEqual([]);
  all.observe({ id: [1, 2], value: [5, 6], time: [3, 3], state: ['ok', 'red'] });
  expect(heard.splice(0)).toEqual(['repaint 2', 'settle']);
  all.replace(sensors(2));
  expect(heard).toEqual(['remove 1', 'put 2', 'settle']);
});

test('incidents: open ones first, the worst first; an answer that was overtaken is ignored', () => {
  const all = new Incidents((status) => status === 'closed');
  all.replace([
    incident(1, { level: 4 }),
    incident(2, { level: 1, status: 'closed' }),
    incident(3, { level: 1 }),
    incident(4, { level: 2, lon: null }),
  ]);
  expect(all.sorted.value.map(({ id }) => id)).toEqual([3, 4, 1, 2]);
  expect(all.open.value).toBe(3);
  expect(all.pinned.value).toEqual([3, 1]);
  all.put(incident(3, { revision: 5, status: 'closed' }));
  all.put(incident(3, { revision: 4 }));
  expect(all.get(3)?.status).toBe('closed');
  expect(all.count).toBe(1);
});

test('a chart has a gap where the sensor was silent', () => {
  expect(withGaps({ times: [0, 10, 100], values: [1, 2, 3] }, 10)).toEqual({
    times: [0, 10, 55, 100],
    values: [1, 2, null, 3],
  });
  expect(withGaps({ times: [0, 100], values: [1, 2] }, 0).times).toEqual([0, 100]);
});

test('counted sensors: the worst state of each cell, changed cells only, and none where it is empty', () => {
  const all = new Clusters();
  const heard: string[] = [];
  const view: ClusterView = {
    put: ({ key, count, worst }) => heard.push(`put ${key} ${count} ${worst}`),
    remove: (key) => heard.push(`remove ${key}`),
    settle: () => undefined,
  };
  const cells = (x: number[], states: number[][], whole = false) => ({
    zoom: 5,
    x,
    y: x.map(() => 7),
    lon: x.map(() => 24.9),
    lat: x.map(() => 60.1),
    count: states.map((some) => some.reduce((sum, one) => sum + one, 0)),
    states,
    whole,
  });
  all.show(view);
  all.replace(cells([1, 2], [[3, 0, 0, 0, 0, 0], [2, 1, 0, 1, 0, 0]]));
  expect(heard.splice(0)).toEqual(['put 5/1/7 3 ok', 'put 5/2/7 4 yellow']);
  all.merge(cells([1], [[2, 0, 0, 0, 0, 1]]));
  expect([heard.splice(0), all.count.value]).toEqual([['put 5/1/7 3 red'], 7]);
  all.merge(cells([2], [[0, 0, 0, 0, 0, 0]]));
  expect([heard.splice(0), all.count.value]).toEqual([['remove 5/2/7'], 3]);
  all.merge(cells([9], [[1, 0, 0, 0, 0, 0]], true));
  expect(heard.splice(0)).toEqual(['remove 5/1/7', 'put 5/9/7 1 ok']);
});

test('where the server counts all sensors, that is what is told of them', () => {
  const all = new Sensors();
  const states = { ok: 5, stale: 0, blue: 0, yellow: 0, orange: 0, red: 1 };
  all.sight({ sensors: sensors(1), view: { box: [24, 60, 25, 61], clusters: null }, states: { states, simulated: true } });
  expect([all.counts.value, all.simulated.value, all.count]).toEqual([states, true, 1]);
  all.sight({ sensors: sensors(1, 2) });
  expect([all.counts.value['ok'], all.simulated.value, all.count]).toEqual([2, false, 2]);
});
