// Sealing on threads and in loops over bits: the same sums, the same rows, the same words about what cannot be read.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { sealHex } from '../../src/core/seal.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { setWorkerEntry, startPool } from '../../src/pool/pool.ts';
import { parquetRowGroups } from '../../src/source/parquet.ts';
import { openSource } from '../../src/source/registry.ts';
import { checkBlocks } from '../../src/verify/check-blocks.ts';
import { differingPairs, pairsOf } from '../../src/verify/differing.ts';
import { outputKeys } from '../../src/verify/key-tables.ts';
import { sameRow } from '../../src/verify/same-value.ts';
import { startSchedule } from '../../src/verify/schedule.ts';
import { workHere, workOnPool } from '../../src/verify/work.ts';
import { makeOutput, readTable, scratch } from '../mutation/harness.ts';
import { randomOf } from '../mutation/random.ts';

const folder = scratch();
const good = join(folder, 'good.parquet');
beforeAll(async () => {
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
  await makeOutput(good, { layout: 'nano', missing: { kind: 'fill', value: '0' } });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function blocksOf(path: string, threads: boolean) {
  const file = await openSource(path, {});
  const pool = threads ? startPool(2) : undefined;
  const { signal } = new AbortController();
  const work = pool === undefined ? workHere(file, signal) : await workOnPool(pool, file);
  const place = { work, schedule: startSchedule(work.width), signal };
  const keys = await outputKeys(place, file, keySpecFor('cms', file.descriptor.schema, [path]));
  const flags = new Map([['puWeight_par', 'par_missing']]);
  const report = await checkBlocks(place, { file, spec: keys.spec, keys, flags, hashes: true, fill: 0, sources: [] });
  await work.close();
  await pool?.close();
  await file.close();
  const plain = ({ a, b, present }: { a: bigint; b: bigint; present: number }) => [sealHex({ a, b, present }), present];
  const { seals } = report;
  return {
    keys: plain(seals.keys),
    order: plain(seals.order),
    columns: [...seals.columns].map(([name, seal]) => [name, plain(seal)]),
    moved: [...seals.moved].map(([name, seal]) => [name, plain(seal)]),
    torn: [...report.torn.keys()],
    hashes: [...report.hashes],
  };
}

it('threads give the sums and hashes of one', async () => {
  const one = await blocksOf(good, false);
  expect(one.moved).toHaveLength(1);
  expect(one.hashes).toHaveLength(1);
  expect(await blocksOf(good, true)).toEqual(one);
});

it('a damaged column is named by threads too', async () => {
  const file = await openSource(good, {});
  const { start, bytes: length } = parquetRowGroups(file.descriptor)[0]!.chunks[20]!;
  await file.close();
  const bytes = Uint8Array.from(readFileSync(good));
  bytes[start + length - 3]! ^= 1;
  writeFileSync(join(folder, 'bad.parquet'), bytes);
  const one = await blocksOf(join(folder, 'bad.parquet'), false);
  expect(one.torn).toHaveLength(1);
  expect((await blocksOf(join(folder, 'bad.parquet'), true)).torn).toEqual(one.torn);
});

it('rows that differ are those that differ value by value, whatever the type', async () => {
  const { columns, fields } = await readTable(good);
  const random = randomOf(1);
  for (const [c, column] of [
    ...columns.entries(),
    [columns.length, flatColumn('f32', Float32Array.of(...Array(300).fill(Number.NaN)))] as const,
  ]) {
    const rows = Int32Array.from(
      { length: column.length },
      (_, i) => (i % 5 === 4 ? -1 : i % 3 === 0 ? random.below(column.length) : i) + (i % 5 === 4 ? 0 : 7),
    );
    const partners = [...rows.keys()].filter((i) => rows[i]! >= 0);
    const [left, right] = [Int32Array.from(partners), Int32Array.from(partners, (i) => rows[i]! - 7)];
    const same = sameRow(column, column);
    const expected = [...left.keys()].filter((k) => !same(left[k]!, right[k]!));
    expect(differingPairs(column, column as Column, pairsOf(left, right)), fields[c]?.name).toEqual(expected);
    const all = Int32Array.from(rows.keys());
    expect(differingPairs(column, column as Column, pairsOf(all, all))).toEqual([]);
  }
});
