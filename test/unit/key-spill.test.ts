// Keys that do not fit in memory: through scratch, on threads or not, the same bytes, the same counts, the same refusals.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions, JoinReport } from '../../src/command/types.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import type { KeySpec, KeyTable } from '../../src/core/key-spec.ts';
import { allTwins, makeFinder } from '../../src/join/find-keys.ts';
import { INLINE_CREW, type KeyCrew, poolCrew, sealSources } from '../../src/join/key-jobs.ts';
import { type KeyStore, keyRange, makeKeyStore, putKeys, type ScratchKeys } from '../../src/keys/store.ts';
import { type Pool, setWorkerEntry, startPool } from '../../src/pool/pool.ts';
import { closeScratch, openScratch, type Scratch } from '../../src/scratch/scratch.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-spill-'));
const spec: KeySpec = {
  name: 'run,event',
  columns: ['run', 'event'].map((name) => ({ name, words: 2 })),
};
let pool: Pool;
let scratch: Scratch;
beforeAll(() => {
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
  pool = startPool(3);
  scratch = openScratch(folder);
});
afterAll(async () => {
  await pool.close();
  closeScratch(scratch);
  rmSync(folder, { recursive: true });
});

const fixture = (name: string) => new URL(`../../fixtures/${name}`, import.meta.url).pathname;
const PRIMARY = ['nano_1.root', 'nano_2.root', 'nano_3.root'].map(fixture);

async function joined(name: string, more: Partial<JoinOptions>): Promise<JoinReport> {
  const friends = ['friend_partial.root', 'friend_reordered.root'].map((file, i) => ({
    label: `f${i}`,
    files: [fixture(file)],
  }));
  const options: JoinOptions = {
    primary: PRIMARY,
    friends,
    how: 'outer',
    columns: [],
    layout: 'arrow',
    missing: { kind: 'reason' },
    schema: 'strict',
    dropUnreadable: false,
    output: join(folder, name),
    writer: 'parquet',
    compression: 'zstd',
    dryRun: false,
    receipt: false,
    force: true,
    redo: true,
    jobs: 1,
    ...more,
  };
  return (await runJoin(options, { emit: () => {}, signal: new AbortController().signal })) as JoinReport;
}

/** So little that keys of no fixture fit. */
const SHORT = { memoryBytes: 1 };
const bytesOf = (name: string) => readFileSync(join(folder, name));

describe('a join whose keys pass through scratch', () => {
  it.each(['inner', 'left', 'right', 'outer'] as const)(
    '%s: the same bytes and counts, and it says so',
    async (how) => {
      const friends = [{ label: 'f0', files: [fixture('friend_partial.root')] }];
      const more = how === 'right' ? { how, friends } : { how };
      const whole = await joined('whole.parquet', more);
      const short = await joined('short.parquet', { ...more, ...SHORT });
      expect(bytesOf('short.parquet').equals(bytesOf('whole.parquet'))).toBe(true);
      expect(short.plan.notes[0]).toMatch(/^keys do not fit in memory: [\d.]+ kB of them pass through scratch$/);
      const { notes: _a, memoryBytes: _b, scratchBytes: _c, ...said } = short.plan;
      expect(whole.plan).toMatchObject(said);
    },
  );

  it('a selection whose other events may come back with a friend', async () => {
    await joined('whole.parquet', { where: 'nMuon >= 2' });
    await joined('short.parquet', { where: 'nMuon >= 2', ...SHORT });
    expect(bytesOf('short.parquet').equals(bytesOf('whole.parquet'))).toBe(true);
  });

  it.each([
    ['the primary', { primary: [fixture('hostile_duplicates.root')], friends: [] }],
    ['a friend', { friends: [{ label: 'f1', files: [fixture('friend_duplicates.root')] }] }],
  ])('duplicates of %s are told in the same words', async (_, more) => {
    const refusal = async (memory: object) => {
      const error = await joined('none.parquet', { ...more, ...memory }).catch((thrown: unknown) => thrown);
      if (!(error instanceof ColweaveError)) throw error;
      const { code, message, where, details, hint } = error;
      return { code, message, where, details, hint };
    };
    const told = await refusal({});
    expect(told.code).toBe('join/duplicate-key');
    expect(told.details.length).toBeGreaterThan(1);
    expect(await refusal(SHORT)).toEqual(told);
  });
});

/** Keys of few values, so that some are twice: run and event numbers. */
const key = fc.tuple(fc.nat(3), fc.bigInt({ min: 2n ** 32n - 4n, max: 2n ** 32n + 4n }));
const keys = fc.array(key, { maxLength: 40 });
type Keys = readonly (readonly [number, bigint])[];

function tableOf(all: Keys): KeyTable {
  const words = new Uint32Array(new SharedArrayBuffer(all.length * 16));
  const out = new BigUint64Array(words.buffer);
  all.forEach(([run, event], i) => {
    out.set([BigInt(run), event], 2 * i);
  });
  return { spec, rows: all.length, stride: 4, words };
}

function spilled(table: KeyTable): KeyStore {
  const store = makeKeyStore(spec, table.rows, 4, scratch) as ScratchKeys;
  putKeys(store, 0, Uint32Array.from(table.words));
  return store;
}

const text = ([run, event]: Keys[number]) => `${run} ${event}`;
const firstOf = (all: Keys, wanted: Keys[number]) => all.findIndex((other) => text(other) === text(wanted));

describe('partitions', () => {
  it('on threads, in memory and in scratch, find what a loop finds', async () => {
    await fc.assert(
      fc.asyncProperty(keys, keys, fc.boolean(), fc.boolean(), async (left, right, threads, short) => {
        const few = { sortRows: 7, partitionRows: 3, scratch: short ? scratch : undefined };
        const crew: KeyCrew = { ...(threads ? poolCrew(pool, undefined) : INLINE_CREW), ...few };
        const sides = [left, right].map(tableOf).map((table) => ({ keys: short ? spilled(table) : table }));
        const finder = makeFinder(sides, crew);
        const [own, other] = await Promise.all(sides.map((side) => finder.segmentsOf(side.keys)));
        const union = { segments: own!, firstRow: 0 };
        const friend = { segments: other!, rows: right.length, unionRows: left.length };
        const found = await finder.match({ tiers: [union], friend });
        expect([...found.where]).toEqual(right.map((wanted) => firstOf(left, wanted)));
        expect([...found.map]).toEqual(
          left.map((wanted, row) => (firstOf(left, wanted) === row ? firstOf(right, wanted) : -1)),
        );
        const twins = left.flatMap((wanted, second) => {
          const first = firstOf(left, wanted);
          return first < second ? [{ first, second }] : [];
        });
        expect(found.own).toEqual(twins.slice(0, 3));
        expect(await allTwins(sides[0]!.keys, crew)).toEqual(twins);
        const again = right.filter((wanted, row) => firstOf(right, wanted) < row);
        const met = again.filter((wanted) => firstOf(left, wanted) >= 0).length;
        expect([found.matched.length, found.extra.length]).toEqual(
          [met, again.length - met].map((n) => Math.min(3, n)),
        );
        expect([found.lost, found.extras]).toEqual([false, [...found.where].filter((row) => row < 0).length]);
      }),
      { numRuns: 150 },
    );
  });

  it('seals of keys are the same on threads and in scratch', async () => {
    const table = tableOf(Array.from({ length: 300_000 }, (_, i) => [i % 7, BigInt(i) * 3n] as const));
    const store = spilled(table);
    expect(keyRange(store, 299_000, 299_003).words).toEqual(Uint32Array.from(keyRange(table, 299_000, 299_003).words));
    const [alone, together] = [await sealSources([table], undefined), await sealSources([table, store], pool)];
    expect(together).toEqual([alone[0], alone[0]]);
  });
});
