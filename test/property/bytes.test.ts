// The same events give the same bytes: however they are cut into files, however often it runs, on however many threads.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions } from '../../src/command/types.ts';
import { setWorkerEntry } from '../../src/pool/pool.ts';
import { parquet } from '../../src/sink/parquet.ts';
import { cuts, datasetOf, planOf, type Row, runWith, unique } from './events.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-bytes-'));
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function groupsOf(
  primary: readonly Row[],
  friend: readonly Row[],
  primaryCuts: readonly number[],
  friendCuts: readonly number[],
) {
  const datasets = [datasetOf('primary', primary, primaryCuts), datasetOf('f1', friend, friendCuts)];
  const { parts, sinks } = await runWith(
    await planOf(datasets, 'outer'),
    datasets,
    parquet,
    join(folder, 'out.parquet'),
  );
  await Promise.all(sinks.map((sink) => sink.abort()));
  return parts[0]!.receipt.output;
}

describe('same bytes', () => {
  it('whatever files the rows were in', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(unique, unique, cuts, cuts, async (primary, friend, primaryCuts, friendCuts) => {
        const whole = await groupsOf(primary, friend, [], []);
        expect(await groupsOf(primary, friend, primaryCuts, friendCuts)).toEqual(whole);
      }),
      { numRuns: 150 },
    );
  });

  it('for one thread, two threads, and once more', { timeout: 60_000 }, async () => {
    const fixtures = (names: readonly string[]) =>
      names.map((name) => new URL(`../../fixtures/${name}`, import.meta.url).pathname);
    const run = async (name: string, jobs: number, more: Partial<JoinOptions> = {}) => {
      const options: JoinOptions = {
        primary: fixtures(['nano_1.root', 'nano_2.root', 'nano_3.root']),
        friends: [{ label: 'f', files: fixtures(['friend_regrouped_1.root', 'friend_regrouped_2.root']) }],
        how: 'left',
        columns: [],
        layout: 'arrow',
        missing: { kind: 'reason' },
        schema: 'strict',
        dropUnreadable: false,
        output: `${folder}/${name}/`,
        writer: 'parquet',
        compression: 'zstd',
        dryRun: false,
        receipt: true,
        force: false,
        jobs,
        ...more,
      };
      const { outputs } = await runJoin(options, { emit: () => {}, signal: new AbortController().signal });
      return outputs.map(({ path }) => readFileSync(path).toString('base64'));
    };
    const one = await run('one', 1);
    expect(one).toHaveLength(3);
    expect(await run('two', 2)).toEqual(one);
    expect(await run('again', 1)).toEqual(one);
    const skim = { where: 'nJet >= 3', dedup: true, memoryBytes: 2 ** 40 };
    const kept = await run('skim-one', 1, skim);
    expect(await run('skim-two', 2, skim)).toEqual(kept);
    // nothing is left of the memory: shuffled rows, the primary's too, pass through scratch
    expect(await run('skim-scratch', 1, { ...skim, memoryBytes: 1 })).toEqual(kept);
  });
});
