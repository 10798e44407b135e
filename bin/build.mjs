// Bundles src/cli/main.ts into dist/: one entry that is command line and worker by role, heavy libraries in chunks of their own.
// --if-stale: do nothing when dist/ is newer than every source.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(top, 'dist', 'colweave.js');

const newest = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs), 0);

const inputs = [
  newest(join(top, 'src')),
  statSync(join(top, 'package.json')).mtimeMs,
  statSync(fileURLToPath(import.meta.url)).mtimeMs,
];
if (process.argv.includes('--if-stale') && existsSync(out) && statSync(out).mtimeMs > Math.max(...inputs))
  process.exit(0);

if (Number.parseInt(process.versions.node, 10) < 22) {
  throw new Error(`build with Node 22 or later, not ${process.version}: what its modules have goes into the program`);
}
const { build } = await import('esbuild');
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8'));

// A builtin imported by name is loaded at once, with all that its getters bring (fs: readline, crypto: webcrypto): a third of
// the time that `--help` takes. Here each is loaded when something of it is used, and without its getters.
const lazyBuiltins = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z_0-9:/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({ contents: lazily(path) }));
  },
};

function lazily(builtin) {
  const itself = process.getBuiltinModule(builtin);
  if (typeof itself === 'function') return `module.exports = process.getBuiltinModule(${JSON.stringify(builtin)});`; // classes extend it
  const names = Object.keys(itself);
  return `
    let loaded;
    const load = () => (loaded ??= process.getBuiltinModule(${JSON.stringify(builtin)}));
    for (const name of ${JSON.stringify(names)})
      Object.defineProperty(exports, name, { enumerable: true, get: () => load()[name] });`;
}

const { metafile } = await build({
  absWorkingDir: top,
  metafile: true,
  entryPoints: { colweave: join(top, 'src', 'cli', 'main.ts') },
  outdir: join(top, 'dist'),
  bundle: true,
  plugins: [lazyBuiltins],
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minify: true,
  keepNames: true,
  legalComments: 'linked',
  logLevel: 'warning',
  chunkNames: 'chunks/[name]-[hash]',
  // optional native or named-by-the-user packages: found at run time, or a clear message
  external: [
    'parquetjs-lite',
    'canvas',
    'jsdom',
    'mathjax',
    'three',
    'tmp',
    'xhr2',
    '@resvg/resvg-js',
    '@oneidentity/zstd-js',
  ],
  define: { COLWEAVE_VERSION: JSON.stringify(version) },
  banner: {
    js: "const require = process.getBuiltinModule('module').createRequire(import.meta.url);",
  },
});

// licences of what is inside, as they ask for; found by the files that went in
const packages = new Set(
  Object.keys(metafile.inputs).flatMap((name) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(name)?.[1] ?? []),
);
const licences = [...packages].sort().map((folder) => {
  const { name, version: of, license } = JSON.parse(readFileSync(join(top, folder, 'package.json'), 'utf8'));
  const file = readdirSync(join(top, folder)).find((each) => /^licen[cs]e/i.test(each));
  const text = file === undefined ? '' : readFileSync(join(top, folder, file), 'utf8').trim();
  return `${name} ${of} (${license})\n\n${text}\n`;
});
writeFileSync(join(top, 'dist', 'LICENSES.txt'), licences.join(`\n${'-'.repeat(72)}\n`));

// chunks are named by their content: old ones go last, so that a program that runs meanwhile can still load its own
const made = new Set([...Object.keys(metafile.outputs).map((name) => basename(name)), 'LICENSES.txt']);
for (const entry of readdirSync(join(top, 'dist'), { recursive: true, withFileTypes: true })) {
  if (entry.isFile() && !made.has(entry.name)) rmSync(join(entry.parentPath ?? entry.path, entry.name));
}
