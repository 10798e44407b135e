// Whatever the threads, the memory and the order of rows: verify finds the same, in the same words.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sliceColumn } from '../../src/core/column.ts';
import { RECEIPT_KEY } from '../../src/core/receipt.ts';
import { type Pool, setWorkerEntry, startPool } from '../../src/pool/pool.ts';
import { openSink } from '../../src/sink/registry.ts';
import { expandInputs } from '../../src/source/inputs.ts';
import { parquetRowGroups } from '../../src/source/parquet.ts';
import { openSource } from '../../src/source/registry.ts';
import { readReceipt } from '../../src/verify/receipt-shape.ts';
import { verifyContent } from '../../src/verify/verify-file.ts';
import { codes, makeOutput, readTable, rowsOf, SOURCES, scratch, type Table, takeRows } from '../mutation/harness.ts';
import { KINDS } from '../mutation/kinds.ts';
import { randomOf } from '../mutation/random.ts';

const folder = scratch();
const path = join(folder, 'out.parquet');
const { signal } = new AbortController();
let good: Table;
let pool: Pool;
beforeAll(async () => {
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
  pool = startPool(2);
  await makeOutput(path);
  good = await readTable(path);
}, 60_000);
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});

/** Blocks of so few rows that, where rows are in no order, a source's rows for one block lie all over it. */
const BLOCK_ROWS = 40;

async function write({ fields, columns, receipt }: Table): Promise<void> {
  const options = { compression: 'zstd' } as const;
  const format = await openSink('parquet');
  const sink = await format.open(path, { fields }, { ...options, force: true });
  const rows = columns[0]!.length;
  for (let start = 0; start < rows; start += BLOCK_ROWS) {
    const end = Math.min(rows, start + BLOCK_ROWS);
    const block = columns.map((column) => sliceColumn(column, start, end));
    await sink.append(end - start, await format.encode(fields, block, options));
  }
  await sink.finish({ [RECEIPT_KEY]: receipt! });
  await sink.commit();
}

async function findings(how: { threads?: boolean; against?: boolean; memoryBytes?: number; receipt?: false }) {
  const file = await openSource(path, {});
  const test = {
    path,
    file,
    receipt: how.receipt === false ? undefined : readReceipt(good.receipt!).receipt,
    inputs: how.against === true ? expandInputs(SOURCES) : [],
    pool: how.threads === true ? pool : undefined,
    memoryBytes: how.memoryBytes ?? 2 ** 30,
  };
  try {
    return await verifyContent(test, { emit: () => {}, signal });
  } finally {
    await file.close();
  }
}

function shuffled(table: Table): Table {
  const random = randomOf(3);
  const places = rowsOf(table).map((row) => ({ row, at: random.below(2 ** 30) }));
  const order = places.sort((left, right) => left.at - right.at).map(({ row }) => row);
  const out = { ...table };
  takeRows(out, order);
  return out;
}

const NAMES = ['two rows of a list column exchanged', 'a missing value becomes 0', 'a row doubled'];

describe.each(NAMES)('%s', (name) => {
  const kind = KINDS.find((each) => each.name === name)!;
  it.each([false, true])('rows in another order: %s', async (anyOrder) => {
    const table = { ...good, fields: [...good.fields], columns: [...good.columns] };
    kind.change(table);
    await write(anyOrder ? shuffled(table) : table);
    const alone = await findings({});
    expect(codes(alone)).toEqual(expect.arrayContaining([...kind.expected.codes]));
    expect(await findings({ threads: true })).toEqual(alone);
    expect(await findings({ threads: true, memoryBytes: 1 })).toEqual(alone);
    const against = await findings({ against: true });
    expect(codes(against)).toEqual(expect.arrayContaining([...kind.expected.against]));
    expect(await findings({ against: true, threads: true })).toEqual(against);
  });
});

it('nothing is found where nothing was changed', async () => {
  await write(good);
  expect(codes(await findings({ against: true, threads: true }))).toEqual(['verify/rewritten']);
  await write(shuffled(good));
  const words = ['verify/rewritten', 'verify/order-lost'];
  expect(new Set(codes(await findings({ against: true, threads: true })))).toEqual(new Set(words));
  expect(codes(await findings({ memoryBytes: 1 }))).toEqual(words);
});

it.each([false, true])(
  'a column that cannot be decoded is found without a receipt too: threads %s',
  async (threads) => {
    await write(good);
    const file = await openSource(path, {});
    const at = file.descriptor.schema.fields.findIndex(({ name }) => name === 'MET_pt');
    const { start, bytes } = parquetRowGroups(file.descriptor)[0]!.chunks[at]!;
    await file.close();
    const stored = readFileSync(path);
    stored.fill(0xff, start, start + bytes);
    writeFileSync(path, stored);
    const found = await findings({ against: true, threads, receipt: false });
    expect(found).toMatchObject([{ code: 'verify/damaged', columns: ['MET_pt'] }]);
  },
);

it.each([false, true])('files without events are compared with their sources: threads %s', async (threads) => {
  const none = { ...good, columns: good.columns.map((column) => sliceColumn(column, 0, 0)) };
  await write(none);
  const alone = codes(await findings({ threads }));
  expect(alone).toContain('verify/rows-lost');
  expect(codes(await findings({ against: true, threads }))).toContain('verify/rows-lost');
});
