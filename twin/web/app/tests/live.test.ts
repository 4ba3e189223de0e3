import { effect } from '@preact/signals-core';
import { expect, test } from 'vitest';
import { Incidents } from '../src/live/incidents';
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
