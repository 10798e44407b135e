// Compose files become the same options as a command line: words as they are written, lists, aliases, the order of sources.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAndRun } from '../../src/cli/parse.ts';
import type { JoinOptions } from '../../src/command/types.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-compose-'));
  mkdirSync(join(folder, 'sub'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function parsed(words: readonly string[]): Promise<JoinOptions> {
  let seen: JoinOptions | undefined;
  const none = async () => {};
  const join_ = async (options: JoinOptions) => {
    seen = options;
  };
  const actions = {
    join: join_,
    verify: none,
    schema: none,
    fetch: none,
    cacheTask: none,
    infer: none,
    describe: none,
    benchJoin: none,
    benchFloor: none,
  };
  await parseAndRun(['join', ...words], actions, () => {});
  return seen!;
}

async function composed(yaml: string, ...words: string[]): Promise<JoinOptions> {
  const path = join(folder, 'compose.yaml');
  writeFileSync(path, yaml);
  return parsed(['--compose', path, ...words]);
}

it('takes a selection in several lines, and the options of names', async () => {
  const yaml = 'primary: a\nwhere: [nJet > 1, MET_pt > 30]\ndedup: true\nname: "{label}_{name}"\nrename: [x=y, z=w]\n';
  const line = ['--where', 'nJet > 1', '--where', 'MET_pt > 30', '--dedup', '--name', '{label}_{name}'];
  const { base: _, composeFile: _file, ...options } = await composed(yaml, '-o', '/out/');
  expect(options).toEqual(await parsed(['a', ...line, '--rename', 'x=y', '--rename', 'z=w', '-o', '/out/']));
});

it('says what a command line says', async () => {
  const yaml = `
primary: [a.root, "b c.root"]
sources:
  up: {files: [c, d], tree: up}
  down: e
how: outer
on: run,event
sample: 2018
columns: ["Jet_*", "!Jet_x", MET]
layout: nano
missing: fill=-1
drop-unreadable: true
receipt: false
jobs: 4
memory: 2G
target-size: 1e9
`.replace('1e9', '1000MB');
  const options = await composed(yaml, '-o', '/out/');
  const line = 'a.root --with up: c d --with down: e --how outer --on run,event --sample 2018 -c Jet_*,!Jet_x,MET';
  const more = '--layout nano --missing fill=-1 --drop-unreadable -j 4 --memory 2G --target-size 1000MB -o /out/';
  const plain = await parsed([...line.split(' '), ...more.split(' ')]);
  const base = folder;
  expect(options).toEqual({
    ...plain,
    primary: ['a.root', 'b c.root'],
    friends: [
      { label: 'up', files: ['c', 'd'], tree: 'up', base },
      { label: 'down', files: ['e'], base },
    ],
    base,
    composeFile: join(folder, 'compose.yaml'),
  });
});

it('takes words as they are written', async () => {
  expect((await composed('primary: 0123\nsample: 1e3\n')).primary).toEqual(['0123']);
  expect((await composed('primary: a\nsample: 1e3\n')).sample).toBe('1e3');
  expect((await composed('primary: a\nsample: no\non: run,event\n')).sample).toBe('no');
});

it('keeps the order of sources, follows aliases, takes primary datasets', async () => {
  const { primary, friends } = await composed(`
primary-datasets:
  SingleMuon: &mu [m1, m2]
  DoubleMuon: d
duplicates: first-by-source
sources:
- *mu
- {label: b, files: x, columns: ["n*", "!nJet"]}
- y
`);
  expect(primary).toEqual(['SingleMuon:', 'm1', 'm2', 'DoubleMuon:', 'd']);
  expect(friends.map(({ label, files, columns }) => [label, files, columns])).toEqual([
    [undefined, ['m1', 'm2'], undefined],
    ['b', ['x'], ['n*', '!nJet']],
    [undefined, ['y'], undefined],
  ]);
});

it('gives way to the command line', async () => {
  const yaml = 'primary: a\nsources: {x: b}\nhow: inner\ncolumns: [c]\nforce: true\noutput: o\n';
  const options = await composed(yaml, 'own', '--with', 'y:', 'z', '--how', 'left', '-c', 'd', '-o', 'p');
  expect(options).toMatchObject({ primary: ['own'], friends: [{ label: 'y', files: ['z'] }], how: 'left' });
  expect(options).toMatchObject({ columns: ['d'], output: 'p', force: true });
  expect(options.base, 'words of the command line are relative to where it is typed').toBeUndefined();
  expect(options.friends[0]!.base).toBeUndefined();
});

it('puts its folder before the names of outputs', async () => {
  const options = await composed('primary: a\noutput: out/\ndepfile: out.d\n');
  expect(options).toMatchObject({ output: `${folder}/out/`, depfile: `${folder}/out.d` });
  expect(await composed('primary: a\noutput: "-"\n')).toMatchObject({ output: '-' });
  expect(await composed('fileset: in.json\noutput: /x/\n')).toMatchObject({
    output: '/x/',
    fileset: `${folder}/in.json`,
  });
});

it.each([
  ['- a list', /no mapping/],
  ['primary: [a, [b]]', /no word or list of words/],
  ['primary: {a: b}', /no word or list of words/],
  ['primary: ""', /no word or list of words/],
  ['? [x]\n: y', /no plain word/],
  ['primary: a\nsources: {x: {tree: T}}', /names no files/],
  ['primary: a\nsources: [null]', /no word or list of words/],
  ['primary: a\nsources: {x: {files: b, label: z}}', /unknown key "label"/],
  ['primary: a\njson: true', /does not belong/],
  ['primary: a\ncompose: b', /does not belong/],
  ['primary: a\ndry-run: yes', /true or false/],
  ['primary: *nobody', /no YAML/],
  ['primary: [a', /no YAML/],
])('refuses %j', async (yaml, message) => {
  await expect(composed(yaml)).rejects.toThrow(message);
  await expect(composed(yaml)).rejects.toMatchObject({ code: 'usage/bad-compose', exit: 2 });
});
