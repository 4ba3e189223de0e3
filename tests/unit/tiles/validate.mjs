// The official glTF validator (npm: gltf-validator) over files; prints a report for each as JSON.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { createRequire } from 'node:module';

const [modules, ...files] = process.argv.slice(2);
const { validateBytes } = createRequire(resolve(modules, 'any.js'))('gltf-validator');
const reports = {};
for (const file of files) {
  const around = { externalResourceFunction: (uri) => readFile(resolve(dirname(file), decodeURIComponent(uri))) };
  reports[file] = await validateBytes(new Uint8Array(await readFile(file)), { uri: file, maxIssues: 0, ...around });
}
console.log(JSON.stringify(reports));
