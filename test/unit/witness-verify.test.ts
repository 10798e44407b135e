// Witness columns counted again by verify --against, from the sources, whatever the receipt states.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlatColumn } from '../../src/core/column.ts';
import { type Receipt, receiptText } from '../../src/core/receipt.ts';
import {
  edit,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  scratch,
  takeRows,
  verify,
  writeTable,
} from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const FRIEND = at('friend.parquet');
const SOURCES = [...PRIMARY, FRIEND];
let receipt: Receipt;

/** All events of the primary but the first 20, from last to first; PV_npvs is another in 7 of them. */
beforeAll(async () => {
  await makeOutput(at('plain.parquet'), { friends: [] });
  const table = await readTable(at('plain.parquet'));
  table.receipt = undefined;
  edit(table, 'PV_npvs', (column) => {
    for (let i = 100; i < 107; i++) (column as FlatColumn).values[i] = 99;
    return column;
  });
  takeRows(table, rowsOf(table).slice(20).reverse());
  await writeTable(FRIEND, table);
  await makeOutput(at('out.parquet'), { friends: [{ label: 'x', files: [FRIEND] }] });
  receipt = JSON.parse((await readTable(at('out.parquet'))).receipt!) as Receipt;
});

type Columns = NonNullable<Receipt['witness']>[number]['columns'];

/** Findings against the sources, the witness of x stated otherwise. */
async function findings(columns: (columns: Columns) => Columns, rest: { pairs?: number; agreeing?: number } = {}) {
  const [own] = receipt.witness!;
  const changed = { ...receipt, witness: [{ ...own!, ...rest, columns: columns(own!.columns) }] };
  const table = await readTable(at('out.parquet'));
  await writeTable(at('changed.parquet'), { ...table, receipt: receiptText(changed) });
  expect((await verify(at('changed.parquet'))).verdict).not.toBe('mixed-or-damaged');
  const found = await verify(at('changed.parquet'), { against: SOURCES });
  return found.findings.filter(({ code }) => code === 'verify/witness-differs').map(({ text }) => text);
}

const with1 =
  (name: string, change: Partial<Columns[number]>) =>
  (columns: Columns): Columns =>
    columns.map((column) => (column.name === name ? { ...column, ...change } : column));

describe('against the sources', () => {
  it('hold as the join counted them: missing events are not compared, soft ones differ', async () => {
    const stated = receipt.witness![0]!.columns;
    expect(stated.find(({ name }) => name === 'Generator_x1')).toMatchObject({
      hard: true,
      compared: 280,
      differing: 0,
    });
    expect(stated.find(({ name }) => name === 'PV_npvs')).toMatchObject({ hard: false, compared: 280, differing: 7 });
    expect(await findings((columns) => columns)).toEqual([]);
    const table = await readTable(at('out.parquet'));
    takeRows(table, rowsOf(table).reverse());
    await writeTable(at('reversed.parquet'), table);
    expect((await verify(at('reversed.parquet'), { against: SOURCES })).verdict).toBe('rewritten');
  });

  it.each([
    ['Generator_x1', { compared: 300 - 21 }, '280 events with 0 differing, the receipt says 279 with 0'],
    ['PV_npvs', { differing: 0 }, '280 events with 7 differing, the receipt says 280 with 0'],
  ])('%s counted otherwise', async (name, change, says) => {
    expect(await findings(with1(name, change))).toEqual([`witness ${name} of source x: ${says}`]);
  });

  it('left out, called soft, or compared less exactly than was asked for', async () => {
    const says = ['witness Generator_x2 of source x: both sides have it, and the receipt does not compare it exactly'];
    expect((await findings((columns) => columns.filter(({ name }) => name !== 'Generator_x2')))[0]).toBe(says[0]);
    expect((await findings(with1('Generator_x2', { hard: false })))[0]).toBe(says[0]);
    expect(await findings(with1('Generator_x2', { tolerance: 0.01 }))).toEqual(says);
    expect((await findings(() => [], { pairs: 0 })).length).toBeGreaterThan(3);
  });

  it('as telling as two random events are', async () => {
    const says = 'witnesses of source x: 0 of 44850 pairs of sampled events agree, the receipt says';
    expect(await findings((columns) => columns, { pairs: 44_851 })).toEqual([`${says} 0 of 44851`]);
    expect(await findings((columns) => columns, { agreeing: 1 })).toEqual([`${says} 1 of 44850`]);
  });

  it('unequal in the sources given: the first event with both values and places', async () => {
    const table = await readTable(FRIEND);
    edit(table, 'Generator_x1', (column) => {
      (column as FlatColumn).values[279] = 0.5; // event 20 of the primary
      return column;
    });
    await writeTable(at('changed_friend.parquet'), table);
    const { findings: found } = await verify(at('out.parquet'), {
      against: [...PRIMARY, at('changed_friend.parquet')],
    });
    const { text, first } = found.find(({ code }) => code === 'verify/witness-differs')!;
    expect(text).toMatch(
      /^witness Generator_x1 of source x differs in 1 event, first run \d+, luminosityBlock \d+, event \d+: 0\.\d+ in .*nano_1\.root \(entry 20\), 0\.5 in .*changed_friend\.parquet \(entry 279\)$/,
    );
    expect(first!.map(({ entry }) => entry)).toEqual([20, 279]);
  });
});
