import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const engine = resolve(import.meta.dirname, 'node_modules/@cesium/engine');
const version = (JSON.parse(readFileSync(join(engine, 'package.json'), 'utf8')) as { version: string }).version;
const out = resolve(import.meta.dirname, '../static');

/** The engine's run-time files live under its version, so that they may be cached for ever like hashed ones. */
const engineFolder = `assets/cesium-${version}`;
const unused = /SkyBox|NaturalEarthII|moonSmall|LensFlare|DirtMask|\.map$/;
const compressible = /\.(js|css|json|svg|html|xml|wasm)$/;

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

function engineFiles(): Plugin {
  return {
    name: 'engine-files',
    apply: 'build',
    closeBundle() {
      const filter = (path: string): boolean => !unused.test(path);
      const target = join(out, engineFolder);
      cpSync(join(engine, 'Build/Workers'), join(target, 'Workers'), { recursive: true, filter });
      cpSync(join(engine, 'Build/ThirdParty'), join(target, 'ThirdParty'), { recursive: true, filter });
      cpSync(join(engine, 'Source/Assets'), join(target, 'Assets'), { recursive: true, filter });
      for (const path of filesOf(out).filter((name) => compressible.test(name))) {
        const raw = readFileSync(path);
        const packed = gzipSync(raw, { level: 9 });
        if (packed.length < raw.length * 0.9) writeFileSync(`${path}.gz`, packed);
      }
    },
  };
}

export default defineConfig({
  base: './',
  define: { CESIUM_BASE_URL: JSON.stringify(`./${engineFolder}/`) },
  plugins: [engineFiles()],
  build: { outDir: out, emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 6000, reportCompressedSize: false },
});
