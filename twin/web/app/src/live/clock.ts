import { signal } from '@preact/signals-core';

const EVERY_MS = 10_000;

/** The time in milliseconds, often enough for "3 minutes ago"; whoever reads it while drawing follows it. */
export const now = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, EVERY_MS);
