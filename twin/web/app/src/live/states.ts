/** The states of a sensor, from well to worst; what is silent stands between what is well and what is raised. */

import type { Severity } from '../config';

export type SensorState = 'ok' | 'stale' | Severity;

export const STATES: readonly SensorState[] = ['ok', 'stale', 'blue', 'yellow', 'orange', 'red'];
