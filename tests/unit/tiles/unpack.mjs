// The decoder of the npm package meshoptimizer, which browsers use: what each entry of a JSON file unpacks to.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, file] = process.argv.slice(2);
const { MeshoptDecoder } = await import(pathToFileURL(resolve(modules, 'meshoptimizer/meshopt_decoder.mjs')));
await MeshoptDecoder.ready;
const unpacked = JSON.parse(await readFile(file)).map(({ count, byteStride, mode, data }) => {
  const target = new Uint8Array(count * byteStride);
  MeshoptDecoder.decodeGltfBuffer(target, count, byteStride, Buffer.from(data, 'base64'), mode, 'NONE');
  return Buffer.from(target).toString('base64');
});
console.log(JSON.stringify(unpacked));
