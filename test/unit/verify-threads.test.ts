// Sealing on threads and in loops over bits: the same sums, the same rows, the same words about what cannot be read.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { sealHex } from '../../src/core/seal.ts';
import { readKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { setWorkerEntry, startPool } from '../../src/pool/pool.ts';
import { parquetRowGroups } from '../../src/source/parquet.ts';
import { openSource } from '../../src/source/registry.ts';
import { differingRows } from '../../src/verify/differing.ts';
import { datasetOf } from '../../src/verify/output-file.ts';
import { sameRow } from '../../src/verify/same-value.ts';
import { sealFile } from '../../src/verify/seals.ts';
import { sealOnPool } from '../../src/verify/work.ts';
import { makeOutput, readTable, scratch } from '../mutation/harness.ts';
import { randomOf } from '../mutation/random.ts';

const folder = scratch();
const good = join(folder, 'good.parquet');
beforeAll(async () => {
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
  await makeOutput(good, { layout: 'nano', missing: { kind: 'fill', value: '0' } });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function sealsOf(path: string, threads: boolean) {
  const file = await openSource(path, {});
  const keys = await readKeys(datasetOf(file), keySpecFor('cms', file.descriptor.schema, [path]));
  const flags = new Map([['puWeight_par', 'par_missing']]);
  const pool = threads ? startPool(2) : undefined;
  const cut = async () => {
    const parts = [0, 100, 250].map((start, i, all) => ({ start, end: all[i + 1] ?? 300 }));
    return sealOnPool(pool!, { descriptor: file.descriptor, keys, flags }, parts);
  };
  const seals = await sealFile(file, keys, flags, new AbortController().signal, threads ? cut : undefined);
  await pool?.close();
  await file.close();
  const plain = ({ a, b, present }: { a: bigint; b: bigint; present: number }) => [sealHex({ a, b, present }), present];
  return {
    keys: plain(seals.keys),
    order: plain(seals.order),
    columns: [...seals.columns].map(([name, seal]) => [name, plain(seal)]),
    moved: [...seals.moved].map(([name, seal]) => [name, plain(seal)]),
    torn: [...seals.torn.keys()],
  };
}

it('threads give the sums of one', async () => {
  const one = await sealsOf(good, false);
  expect(one.moved).toHaveLength(1);
  expect(await sealsOf(good, true)).toEqual(one);
});

it('a damaged column is named by threads too', async () => {
  const file = await openSource(good, {});
  const { start, bytes: length } = parquetRowGroups(file.descriptor)[0]!.chunks[20]!;
  await file.close();
  const bytes = Uint8Array.from(readFileSync(good));
  bytes[start + length - 3]! ^= 1;
  writeFileSync(join(folder, 'bad.parquet'), bytes);
  const one = await sealsOf(join(folder, 'bad.parquet'), false);
  expect(one.torn).toHaveLength(1);
  expect((await sealsOf(join(folder, 'bad.parquet'), true)).torn).toEqual(one.torn);
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
    const same = sameRow(column, column);
    const expected = [...rows.keys()].filter((i) => rows[i]! >= 0 && !same(i, rows[i]! - 7));
    expect(differingRows(column, column as Column, { rows, base: 7 }), fields[c]?.name).toEqual(expected);
  }
});
