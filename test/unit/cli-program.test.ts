// From a command line to typed options; man pages fresh; start-up loads nothing heavy.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Manners } from '../../src/cli/define.ts';
import { manPages } from '../../src/cli/man.ts';
import { parseAndRun } from '../../src/cli/parse.ts';
import type { JoinOptions, VerifyOptions } from '../../src/command/types.ts';
import { ColweaveError } from '../../src/core/errors.ts';

const TOP = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

async function parsed(line: string): Promise<{ options: JoinOptions | VerifyOptions; manners: Manners }> {
  let seen: { options: JoinOptions | VerifyOptions; manners: Manners } | undefined;
  const keep = async (options: JoinOptions | VerifyOptions, manners: Manners) => {
    seen = { options, manners };
  };
  await parseAndRun(
    line.split(' '),
    {
      join: keep,
      verify: keep,
      schema: async () => {},
      fetch: async () => {},
      cacheTask: async () => {},
      infer: async () => {},
      describe: async () => {},
      benchJoin: async () => {},
      benchFloor: async () => {},
    },
    () => {},
  );
  return seen!;
}

test('join: what is not said has its default', async () => {
  expect(await parsed('join a.root -o x')).toEqual({
    options: {
      primary: ['a.root'],
      friends: [],
      how: 'left',
      columns: [],
      layout: 'arrow',
      titles: 'stop',
      witness: 'auto',
      missing: { kind: 'reason' },
      schema: 'strict',
      dropUnreadable: false,
      output: 'x',
      writer: 'parquet',
      compression: 'zstd',
      dryRun: false,
      receipt: false,
      force: false,
    },
    manners: { json: false, quiet: false, debug: false },
  });
});

test('join: everything said', async () => {
  const line =
    'join a b --with up: c d --with e --how outer --on run,event --tree T --sample ttbar -c Jet_* -c !Jet_x,MET --expect 1:1 ' +
    '--layout nano --missing fill=-1 --schema union --absent-trigger drop --drop-unreadable -o out/ --writer arrow ' +
    '--compression snappy -nf --receipt -j 4 --memory 2G --json --debug --quiet --where nJet>1 --where b --dedup --map-only ' +
    '--name {label}_{name} --rename x=y --rename z=w --own-collections up';
  expect(await parsed(line)).toEqual({
    options: {
      primary: ['a', 'b'],
      friends: [{ label: 'up', files: ['c', 'd'] }, { files: ['e'] }],
      how: 'outer',
      on: 'run,event',
      tree: 'T',
      sample: 'ttbar',
      where: '(nJet>1) and (b)',
      naming: {
        pattern: '{label}_{name}',
        renames: [
          ['x', 'y'],
          ['z', 'w'],
        ],
        ownCollections: ['up'],
      },
      dedup: true,
      mapOnly: true,
      columns: ['Jet_*', '!Jet_x', 'MET'],
      expect: '1:1',
      layout: 'nano',
      titles: 'stop',
      witness: 'auto',
      missing: { kind: 'fill', value: '-1' },
      schema: 'union',
      absentTrigger: 'drop',
      dropUnreadable: true,
      output: 'out/',
      writer: 'arrow',
      compression: 'snappy',
      dryRun: true,
      receipt: true,
      force: true,
      jobs: 4,
      memoryBytes: 2 ** 31,
    },
    manners: { json: true, quiet: true, debug: true },
  });
});

test('verify: --against takes every word up to the next option', async () => {
  expect((await parsed('verify x y --against a b --tree T --receipt r.json')).options).toEqual({
    outputs: ['x', 'y'],
    receipt: 'r.json',
    against: ['a', 'b'],
    tree: 'T',
  });
});

test('unknown words are usage errors that name the nearest', async () => {
  const failure = await parsed('join a --layuot nano -o x').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ColweaveError);
  expect(failure).toMatchObject({ code: 'usage/bad-option', near: ['--layout'], hint: 'see colweave join --help' });
});

test('the generated man pages are fresh (else: npm run man)', () => {
  const { version } = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as { version: string };
  for (const [name, text] of manPages(version)) expect(readFileSync(join(TOP, 'man', name), 'utf8'), name).toBe(text);
});

test('help and version load neither jsroot nor arrow nor the commands', () => {
  const dist = join(TOP, 'dist');
  const loaded = new Set<string>();
  const load = (name: string) => {
    if (loaded.has(name)) return;
    loaded.add(name);
    const text = readFileSync(join(dist, name), 'utf8');
    for (const [, from] of text.matchAll(/(?:from|import)\s*"(\.\.?\/[^"]+)"/g)) load(join(dirname(name), from!));
  };
  load('colweave.js');
  // the entry imports its role when it runs; that one is loaded for help too
  load(join('chunks', readdirSync(join(dist, 'chunks')).find((name) => name.startsWith('run-program'))!));
  const text = [...loaded].map((name) => readFileSync(join(dist, name), 'utf8')).join('\n');
  expect(text).not.toMatch(/JSROOT|RecordBatch|TBasket/);
  expect(text.length).toBeLessThan(200_000);
});
