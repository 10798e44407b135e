// make and colweave together: test/make/Makefile in a fresh directory. What is remade after a touch, a change, a loss; and that make settles.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const HERE = dirname(fileURLToPath(import.meta.url));
const TOP = dirname(HERE);
const noMake = spawnSync('make', ['--version']).status !== 0;
let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-make-'));
  for (const name of ['data', 'friends']) mkdirSync(at(name));
  for (const i of [1, 2, 3]) {
    copyFileSync(join(TOP, 'fixtures', `nano_${i}.root`), at(`data/mc_${i}.root`));
    copyFileSync(join(TOP, 'fixtures', `friend_aligned_${i}.root`), at(`friends/mc_${i}.root`));
  }
  copyFileSync(join(HERE, 'make', 'Makefile'), at('Makefile'));
  writeFileSync(at('files.txt'), 'data/mc_1.root\ndata/mc_2.root\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The recipes that ran, by their outputs. */
function make(...words: string[]): { readonly ran: string[]; readonly stderr: string; readonly status: number | null } {
  const colweave = [process.execPath, join(TOP, 'bin', 'colweave.js')].map((word) => `'${word}'`).join(' ');
  const { stdout, stderr, status } = spawnSync('make', ['-j', '2', ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, COLWEAVE: colweave, MAKEFLAGS: '' },
  });
  const ran = [...stdout.matchAll(/ -o (\S+)$|(ls) .* > summary.txt$/gm)].map(([, output, ls]) => output ?? ls!);
  return { ran: ran.sort(), stderr, status };
}

/** Later than everything there is, by the file system's own clock. */
function touch(name: string): void {
  const later = new Date(Math.max(...everything().map((path) => statSync(path).mtimeMs)) + 10);
  utimesSync(at(name), later, later);
}

const everything = (): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const bytesOf = (name: string) => readFileSync(at(name)).toString('base64');

test.skipIf(noMake)('only what is left is made, and then nothing', { timeout: 60_000 }, () => {
  const first = make();
  expect(first.stderr).toBe('');
  expect(first.ran).toEqual([
    'joined/mc_1.parquet',
    'joined/mc_2.parquet',
    'joined/mc_3.parquet',
    'joined/whole/',
    'ls',
  ]);
  expect(make().ran).toEqual([]);
  expect(make('verify').status).toBe(0);

  // a touched input: its own output's recipe runs, finds it up to date, and make settles
  const before = bytesOf('joined/mc_3.parquet');
  touch('data/mc_3.root');
  expect(make().ran).toEqual(['joined/mc_3.parquet', 'ls']);
  expect(bytesOf('joined/mc_3.parquet')).toBe(before);
  expect(make().ran).toEqual([]);

  // an input that only the depfile knows: the friend of one, a file named in a list
  touch('friends/mc_2.root');
  expect(make().ran).toEqual(['joined/mc_2.parquet', 'ls']);
  touch('data/mc_1.root');
  expect(make().ran).toEqual(['joined/mc_1.parquet', 'joined/whole/', 'ls']);

  // an input that changed: its output is made again, with other bytes
  copyFileSync(join(TOP, 'fixtures', 'friend_aligned_1.root'), at('friends/mc_3.root'));
  touch('friends/mc_3.root');
  expect(make().ran).toEqual(['joined/mc_3.parquet', 'ls']);
  expect(bytesOf('joined/mc_3.parquet')).not.toBe(before);

  // a list that names fewer files: the directory is made again, without the files of before
  writeFileSync(at('files.txt'), 'data/mc_1.root\n');
  touch('files.txt');
  expect(make().ran).toEqual(['joined/whole/']);
  expect(readdirSync(at('joined/whole')).sort()).toEqual(['_receipt.json', 'part-0.parquet']);

  // an input that is gone and no longer wanted does not stop make
  rmSync(at('data/mc_2.root'));
  const without = make();
  expect(without.stderr).toBe('');
  expect(without.status).toBe(0);

  // lost outputs alone are made
  rmSync(at('joined/mc_1.parquet'));
  rmSync(at('joined/whole/_receipt.json'));
  expect(make().ran).toEqual(['joined/mc_1.parquet', 'joined/whole/', 'ls']);
  expect(make('verify').status).toBe(0);
});
