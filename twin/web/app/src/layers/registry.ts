/** The forms in which layers come to the map, one a file of `forms/`; `layers.ts` knows none of them by name. */

import { Registry } from '../registry';
import type { Form } from './form';

type Found = Record<string, { default: Form }>;

export const forms = new Registry<Form>(
  Object.values(import.meta.glob('./forms/*.ts', { eager: true }) as Found).map((module) => module.default),
);
