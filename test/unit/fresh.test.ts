// An output is up to date only when it is whole and what would be written: cut, edited, renamed, re-made with anything else, it is not.
import {
  appendFileSync,
  copyFileSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions } from '../../src/command/types.ts';

const FIXTURES = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'fixtures');
const fixture = (name: string) => join(FIXTURES, name);
let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-fresh-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BASE: JoinOptions = {
  primary: [fixture('nano_1.root'), fixture('nano_2.root')],
  friends: [{ label: 'up', files: [fixture('friend_jes_up.root')] }],
  how: 'left',
  columns: ['MET_pt', 'Jet_pt_up'],
  layout: 'arrow',
  missing: { kind: 'reason' },
  schema: 'strict',
  dropUnreadable: false,
  writer: 'parquet',
  compression: 'zstd',
  dryRun: false,
  receipt: false,
  force: false,
  jobs: 1,
};

const join_ = (options: Partial<JoinOptions>) =>
  runJoin({ ...BASE, ...options }, { emit: () => {}, signal: new AbortController().signal });
const isFresh = async (options: Partial<JoinOptions>) => 'upToDate' in (await join_(options));
const refused = (options: Partial<JoinOptions>, why: string | RegExp) =>
  expect(join_(options)).rejects.toMatchObject({ code: 'output/exists', message: expect.stringMatching(why) });

describe('one file', () => {
  const output = () => at('out.parquet');
  beforeAll(async () => {
    await join_({ output: output() });
    copyFileSync(output(), at('whole.parquet'));
  });

  it('is up to date whatever its time, and where inputs lie, and how fast it shall go', async () => {
    const old = new Date(0);
    utimesSync(output(), old, old);
    expect(await isFresh({ output: output() })).toBe(true);
    expect(statSync(output()).mtimeMs, 'newer than its inputs, for make').toBeGreaterThan(1e12);
    const before = statSync(output()).mtimeMs;
    expect(
      await isFresh({ output: output(), jobs: 2, memoryBytes: 2 ** 30, receipt: true, keyIndex: at('keys') }),
    ).toBe(true);
    expect(statSync(output()).mtimeMs).toBe(before);
    for (const name of ['nano_1.root', 'nano_2.root']) copyFileSync(fixture(name), at(name));
    expect(await isFresh({ output: output(), primary: [at('nano_1.root'), at('nano_2.root')] })).toBe(true);
  });

  it.each<[string, Partial<JoinOptions>, RegExp]>([
    ['fewer files', { primary: [fixture('nano_1.root')] }, /other inputs/],
    ['another order', { primary: [...BASE.primary].reverse() }, /other inputs/],
    ['another friend', { friends: [{ label: 'up', files: [fixture('friend_jes_down.root')] }] }, /other inputs/],
    ['another label', { friends: [{ label: 'xx', files: [fixture('friend_jes_up.root')] }] }, /other options/],
    ['columns', { columns: ['MET_pt'] }, /other options/],
    ['how', { how: 'inner' }, /other options/],
    ['compression', { compression: 'snappy' }, /other options/],
    ['sample', { sample: 'TT' }, /other options/],
    ['missing', { missing: { kind: 'fill', value: '0' } }, /other options/],
    ['primary datasets', { primary: ['A:', BASE.primary[0]!, 'B:', BASE.primary[1]!] }, /other options/],
    ['columns of a friend', { friends: [{ ...BASE.friends[0]!, columns: ['Jet_*'] }] }, /other options/],
    ['writer', { writer: 'arrow' }, /cannot be told/],
  ])('is refused with %s, with --redo too', async (_, options, why) => {
    await refused({ output: output(), ...options }, why);
    await refused({ output: output(), ...options, redo: true }, why);
  });

  it('cut anywhere, or longer by a byte, is never up to date', async () => {
    const { size } = statSync(output());
    for (let i = 0; i < 20; i++) {
      const path = at(`cut_${i}.parquet`);
      copyFileSync(output(), path);
      truncateSync(path, Math.floor((size * i) / 20));
      await refused({ output: path }, /no whole output/);
    }
    const longer = at('longer.parquet');
    copyFileSync(output(), longer);
    appendFileSync(longer, '\0');
    await refused({ output: longer }, /no whole output/);
  });

  it('with an edited receipt or footer is not up to date', async () => {
    const bytes = readFileSync(output());
    const edit = (from: string, to: string) => {
      const copy = Buffer.from(bytes);
      const place = copy.indexOf(from);
      expect(place, from).toBeGreaterThan(0);
      copy.write(to, place);
      writeFileSync(at('edited.parquet'), copy);
    };
    edit('"how":"left"', '"how":"LEFT"');
    await refused({ output: at('edited.parquet') }, /does not hold what its receipt says/);
    edit('"tool":"colweave ', '"tool":"Colweave ');
    await refused({ output: at('edited.parquet') }, /another version/);
    edit('colweave version', 'COLWEAVE version');
    await refused({ output: at('edited.parquet') }, /another program/);
  });

  it('is made again, to the same bytes, on --redo; replaced by another on -f', async () => {
    expect(await isFresh({ output: output(), redo: true })).toBe(false);
    expect(readFileSync(output()).equals(readFileSync(at('whole.parquet')))).toBe(true);
    expect(await isFresh({ output: output(), force: true })).toBe(true);
    expect(await isFresh({ output: output(), force: true, columns: ['MET_phi'] })).toBe(false);
    expect(await isFresh({ output: output(), columns: ['MET_phi'] })).toBe(true);
  });

  it('by parquetjs-lite is told by its own name', async () => {
    const primary = [fixture('nano_3.root')];
    const options = {
      output: at('js.parquet'),
      primary,
      writer: 'parquetjs',
      compression: 'snappy',
      friends: [],
    } as const;
    const columns = ['MET_pt'];
    expect(await isFresh({ ...options, columns })).toBe(false);
    expect(await isFresh({ ...options, columns })).toBe(true);
  });

  it('an input that was replaced under its name and time is seen', async () => {
    const [primary, path] = [at('input.root'), at('input.parquet')];
    copyFileSync(fixture('nano_1.root'), primary);
    const time = statSync(primary).mtime;
    const options = { output: path, primary: [primary], friends: [], columns: ['MET_pt'] };
    await join_(options);
    copyFileSync(fixture('nano_3.root'), primary);
    utimesSync(primary, time, time);
    await refused(options, /other inputs/);
  });
});

describe('a directory', () => {
  const output = () => at('dir/');
  const sized = () => ({ output: output(), eventsPerFile: 60 });
  beforeAll(async () => {
    await join_(sized());
  });

  it('is up to date when whole, and not with another size', async () => {
    expect(await isFresh(sized())).toBe(true);
    await refused({ output: output(), eventsPerFile: 61 }, /other options/);
    await refused({ output: output() }, /other options/);
  });

  it('with exchanged files is not up to date', async () => {
    renameSync(at('dir/part-0.parquet'), at('dir/x'));
    renameSync(at('dir/part-1.parquet'), at('dir/part-0.parquet'));
    renameSync(at('dir/x'), at('dir/part-1.parquet'));
    await refused(sized(), /part-0\.parquet was changed/);
    expect(await isFresh({ ...sized(), force: true })).toBe(false);
    expect(await isFresh(sized())).toBe(true);
  });

  it('with a file more or a torn sum is not up to date', async () => {
    copyFileSync(at('dir/part-0.parquet'), at('dir/part-9.parquet'));
    await refused(sized(), /part-9\.parquet, which the join did not write/);
    await refused({ ...sized(), force: true }, /no part of this join/);
    rmSync(at('dir/part-9.parquet'));
    const sum = readFileSync(at('dir/_receipt.json'), 'utf8');
    writeFileSync(at('dir/_receipt.json'), sum.slice(0, sum.length / 2));
    await refused(sized(), /not as colweave wrote it/);
    writeFileSync(at('dir/_receipt.json'), sum);
    expect(await isFresh(sized())).toBe(true);
  });

  it('keeps its sum until another join is done', async () => {
    const bad = {
      output: output(),
      force: true,
      primary: [fixture('hostile_duplicates.root')],
      friends: [],
      columns: [],
    };
    await expect(join_(bad)).rejects.toMatchObject({ code: 'join/duplicate-key' });
    expect(await isFresh(sized())).toBe(true);
  });
});

describe('what is written', () => {
  const refusedInput = (options: Partial<JoinOptions>) =>
    expect(join_({ friends: [], columns: ['MET_pt'], force: true, ...options })).rejects.toMatchObject({
      code: 'output/not-writable',
      message: 'the output is one of the input files',
    });

  it('is never an input: by its own name, a link, a list, a file of a directory, a depfile', async () => {
    const own = at('own.root');
    copyFileSync(fixture('nano_1.root'), own);
    await refusedInput({ primary: [own], output: own });
    symlinkSync(own, at('link.parquet'));
    await refusedInput({ primary: [own], output: at('link.parquet') });
    linkSync(own, at('hard.parquet'));
    await refusedInput({ primary: [own], output: at('hard.parquet') });
    writeFileSync(at('list.txt'), `${own}\n`);
    await refusedInput({ primary: [`@${at('list.txt')}`], output: at('list.txt') });
    await refusedInput({ primary: [own], output: at('new.parquet'), depfile: own });
    await join_({ friends: [], columns: ['MET_pt'], eventsPerFile: 60, output: at('again/') });
    await refusedInput({ primary: [at('again')], eventsPerFile: 70, output: at('again/') });
    await refusedInput({ primary: [at('again/part-3.parquet')], eventsPerFile: 70, output: at('again/') });
    expect(readFileSync(own).equals(readFileSync(fixture('nano_1.root')))).toBe(true);
  });

  it('a depfile that make could not read stops before any work', async () => {
    copyFileSync(fixture('nano_1.root'), at('semi;colon.root'));
    const options = { primary: [at('semi;colon.root')], friends: [], columns: ['MET_pt'], depfile: at('x.d') };
    await expect(join_({ ...options, output: at('semi.parquet') })).rejects.toMatchObject({ code: 'usage/bad-option' });
  });
});
