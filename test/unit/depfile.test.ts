// Depfiles as GNU make itself reads them: every name it can hold comes back as it was, and a file that is gone stops nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { depfileText } from '../../src/command/depfile.ts';

const NAMES = [
  'plain.root',
  'with blank.root',
  'two  blanks.root',
  'dollar$x.root',
  'hash#1.root',
  'colon:Events.root',
  'per%cent.root',
  'star*.root',
  'any?.root',
  'set[1].root',
  'pipe|.root',
  'back\\slash.root',
  'back\\ blank.root',
  'back\\\\#hash.root',
  '~tilde.root',
  'year=2018/run=1.root',
  'comma,amp&at@plus+.root',
  "quote'.root",
  'ünï.root',
];
const noMake = spawnSync('make', ['--version']).status !== 0;
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-depfile-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(noMake).each(NAMES)('make reads %s', (name) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), '');
  writeFileSync(join(folder, 'dep.d'), depfileText('out', [name]));
  writeFileSync(join(folder, 'Makefile'), 'all: out\ninclude dep.d\nout:\n\tsleep 0.01; touch out\n');
  const make = () => spawnSync('make', ['-r'], { cwd: folder, encoding: 'utf8' });
  expect(make().stderr).toBe('');
  expect(make().stdout, 'nothing to do').not.toContain('touch');
  spawnSync('touch', ['-d', '+2 seconds', name], { cwd: folder });
  expect(make().stdout, 'touched').toContain('touch');
  rmSync(join(folder, name));
  const gone = make();
  expect(gone.stderr, 'removed').toBe('');
  expect(gone.stdout, 'removed').toContain('touch');
  rmSync(join(folder, 'out'));
});

it.skipIf(noMake)('the target may have any such name too', () => {
  for (const target of ['o 1.parquet', 'o$.parquet', 'o:1%.parquet', 'run=1.parquet']) {
    writeFileSync(join(folder, 'in.root'), '');
    writeFileSync(join(folder, 'Makefile'), `${depfileText(target, ['in.root'])}\nMAKEFLAGS += -r\n`);
    const { stdout, stderr } = spawnSync('make', ['-n', '-d', target], { cwd: folder, encoding: 'utf8' });
    expect(stdout + stderr, target).toContain('in.root');
    expect(stderr, target).not.toContain('No rule');
  }
});

it.each(['line\nend', 'semi;colon', 'lib(member)', 'quote".root', 'ends\\'])('refuses %j', (name) => {
  expect(() => depfileText('out', [name])).toThrow(/make cannot read/);
});

it('names each input once', () => {
  expect(depfileText('out', ['a', 'b', 'a'])).toBe('out: \\\n  a \\\n  b\n\na:\n\nb:\n');
});
