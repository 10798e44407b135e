// Witness columns: what proves, beside equal keys, that two rows are of the same event.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderJoin } from '../../src/cli/render-text.ts';
import type { JoinOptions } from '../../src/command/types.ts';
import type { Column, FlatColumn } from '../../src/core/column.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import { flat } from '../../src/core/schema.ts';
import { powerOf } from '../../src/join/witness.ts';
import { parseWitness } from '../../src/join/witness-plan.ts';
import {
  edit,
  indexOf,
  makeOutput,
  readTable,
  rowsOf,
  scratch,
  type Table,
  takeRows,
  verify,
  writeTable,
} from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
let plain: Table;

beforeAll(async () => {
  await makeOutput(at('plain.parquet'), { friends: [] });
  plain = await readTable(at('plain.parquet'));
});

/** The primary's rows again, from last to first, changed; without a receipt. */
async function friend(name: string, change: (table: Table) => void = () => {}): Promise<string> {
  const table: Table = { fields: [...plain.fields], columns: [...plain.columns], receipt: undefined };
  change(table);
  takeRows(table, rowsOf(table).reverse());
  await writeTable(at(name), table);
  return at(name);
}

function setValue(name: string, row: number, value: number): (table: Table) => void {
  return (table) =>
    edit(table, name, (column) => {
      (column as FlatColumn).values[row] = value;
      return column;
    });
}

async function joined(files: string[], options: Partial<JoinOptions> = {}) {
  const report = await makeOutput(at('out.parquet'), { friends: [{ label: 'x', files }], ...options });
  const receipt = JSON.parse(readFileSync(at('out.parquet.receipt.json'), 'utf8')) as Receipt;
  return { report, said: renderJoin(report, false).join('\n'), of: receipt.witness![0]!, receipt };
}

const HARD = ['Generator_x1', 'Generator_x2', 'Pileup_nTrueInt', 'bunchCrossing'];

describe('hard witnesses', () => {
  it('equal in every event: said with their power, kept in the receipt, which verify accepts', async () => {
    const { said, of } = await joined([await friend('same.parquet')]);
    expect(of.columns.filter(({ hard }) => hard).map(({ name, compared }) => [name, compared])).toEqual(
      HARD.map((name) => [name, 300]),
    );
    expect([of.pairs, of.agreeing]).toEqual([44_850, 0]);
    expect(said).toMatch(/^witness x: Generator_x1, .* equal in 300 events; two random events agree with P < 2e-5$/m);
    expect((await verify(at('out.parquet'))).findings).toEqual([]);
  });

  it('unequal in one event: nothing published, both values and both places told', async () => {
    const other = await friend('other.parquet', setValue('Generator_x2', 150, 0.5));
    const failed = joined([other], { output: at('never.parquet') });
    await expect(failed).rejects.toMatchObject({ code: 'join/witness-differs', exit: 1, where: [other] });
    const { message, details } = await failed.catch((error) => error);
    expect(message).toBe(
      'source "x" has other events under the same keys: Generator_x2 differs in 1 of 300 events looked at',
    );
    expect(details).toEqual([
      expect.stringMatching(/^the first event: run 317001, luminosityBlock 3, event \d+$/),
      expect.stringMatching(/^primary: Generator_x2 0\.\d+ in .*nano_2\.root, entry 50$/),
      expect.stringMatching(/^x: Generator_x2 0\.5 in .*other\.parquet, entry 149$/),
    ]);
    await expect(verify(at('never.parquet'))).rejects.toMatchObject({ code: 'verify/not-data' });
  });

  it.each([
    ['not among the columns asked for', { columns: ['MET_pt'] }],
    ['when rows are scattered into several files', { output: `${at('parts')}/` }],
    ['when rows are scattered, and no column of it is asked for', { output: `${at('parts')}/`, columns: ['MET_pt'] }],
    ['in an inner join', { how: 'inner' as const }],
    ['in an outer join', { how: 'outer' as const }],
    ['with fill values', { missing: { kind: 'fill' as const, value: '0' } }],
  ])('unequal in one event, %s', async (_, options) => {
    mkdirSync(at('parts'), { recursive: true });
    const other = await friend('other.parquet', setValue('bunchCrossing', 299, 1));
    await expect(
      makeOutput(at('x.parquet'), { friends: [{ label: 'x', files: [other] }], ...options }),
    ).rejects.toThrow(/bunchCrossing differs in 1 of/);
  });

  it('compared exactly after widening, whatever the type; NaN is NaN', async () => {
    const wide = await friend('wide.parquet', (table) => {
      for (const [name, dtype] of [
        ['bunchCrossing', 'i64'],
        ['Generator_x1', 'f64'],
      ] as const) {
        const index = indexOf(table, name);
        const values = (table.columns[index] as FlatColumn).values as Float32Array;
        const copy = dtype === 'i64' ? BigInt64Array.from(values, (value) => BigInt(value)) : Float64Array.from(values);
        table.fields[index] = { ...table.fields[index]!, type: flat(dtype) };
        table.columns[index] = { kind: 'flat', dtype, length: values.length, values: copy } as Column;
      }
    });
    expect((await joined([wide])).of.columns.filter(({ hard }) => hard)).toHaveLength(4);
    const nan = await friend('nan.parquet', setValue('Generator_x1', 7, Number.NaN));
    await expect(joined([nan])).rejects.toThrow(/Generator_x1 differs/);
    const both = {
      primary: [nan],
      friends: [{ label: 'x', files: [await friend('nan2.parquet', setValue('Generator_x1', 7, Number.NaN))] }],
    };
    await expect(makeOutput(at('nans.parquet'), both)).resolves.toBeDefined();
  });

  it('a tolerance on request, a column on request, off on request', async () => {
    const near = await friend('near.parquet', (table) => {
      setValue(
        'MET_pt',
        150,
        ((plain.columns[indexOf(plain, 'MET_pt')] as FlatColumn).values[150] as number) * 1.0005,
      )(table);
    });
    expect((await joined([near])).of.columns.find(({ name }) => name === 'MET_pt')).toMatchObject({
      hard: false,
      differing: 1,
    });
    await expect(joined([near], { witness: 'MET_pt' })).rejects.toThrow(/MET_pt differs in 1 of 300/);
    await expect(joined([near], { witness: 'auto,MET_pt~1e-4' })).rejects.toThrow(/MET_pt differs/);
    expect((await joined([near], { witness: 'MET_pt~1e-3' })).of.columns).toMatchObject([
      { name: 'MET_pt', tolerance: 1e-3 },
    ]);
    const other = await friend('other.parquet', setValue('Generator_x2', 150, 0.5));
    const { said, of, receipt } = await joined([other], { witness: 'off' });
    expect([of.columns, receipt.policies.witness]).toEqual([[], 'off']);
    expect(said).toContain('not witnessed: x: keys alone say that the events are the same');
  });

  it('an absent column that was named, and a list, are refused', async () => {
    const same = await friend('same.parquet');
    await expect(joined([same], { witness: 'GenMET_pt' })).rejects.toMatchObject({ code: 'source/no-column', exit: 2 });
    await expect(joined([same], { witness: 'Jet_pt' })).rejects.toMatchObject({ code: 'usage/bad-option' });
    expect(() => parseWitness('a~b')).toThrow('--witness cannot be "a~b"');
    expect(() => parseWitness('a,off')).toThrow();
    expect(parseWitness('a , auto,b~0.1')).toEqual({
      auto: true,
      named: [
        { name: 'a', tolerance: 0 },
        { name: 'b', tolerance: 0.1 },
      ],
    });
  });
});

describe('what proves little', () => {
  it('versions that differ honestly (nJet, PV_npvs) are reported, not refused; renamed columns are found', async () => {
    const version = await friend('version.parquet', (table) => {
      const index = indexOf(table, 'PV_npvs');
      const values = (table.columns[index] as FlatColumn).values as Uint8Array;
      table.fields[index] = { ...table.fields[index]!, type: flat('i32') };
      table.columns[index] = {
        kind: 'flat',
        dtype: 'i32',
        length: values.length,
        values: Int32Array.from(values, (n, i) => n + Number(i < 30)),
      };
      table.fields[indexOf(table, 'MET_pt')] = { ...table.fields[indexOf(table, 'MET_pt')]!, name: 'PFMET_pt' };
      for (const gone of table.fields.filter(
        ({ counter, name }) => counter === 'nJet' || name === 'nJet' || name.startsWith('Jet_'),
      )) {
        table.columns.splice(indexOf(table, gone.name), 1);
        table.fields.splice(table.fields.indexOf(gone), 1);
      }
      const jets = (plain.columns[indexOf(plain, 'nJet')] as FlatColumn).values as Uint32Array;
      table.fields.push({ name: 'nJet', type: flat('i32'), nullable: false });
      table.columns.push({
        kind: 'flat',
        dtype: 'i32',
        length: jets.length,
        values: Int32Array.from(jets, (n, i) => n + Number(i === 3)),
      });
    });
    const { said, of } = await joined([version]);
    const soft = of.columns.filter(({ hard }) => !hard).map(({ name, from, differing }) => [name, from, differing]);
    expect(soft).toEqual(
      expect.arrayContaining([
        ['PV_npvs', 'PV_npvs', 30],
        ['nJet', 'nJet', 1],
        ['MET_pt', 'PFMET_pt', 0],
      ]),
    );
    expect(said).toContain('differs as versions and variations may: x: PV_npvs in 10.0%, nJet in 0.3% of events');
  });

  it('a constant column: the source is called not witnessed, with the chance that two random events agree', async () => {
    const same = await friend('same.parquet');
    const { said, of } = await joined([same], { witness: 'Flag_goodVertices' });
    expect(of).toMatchObject({ pairs: 44_850, agreeing: 44_850 });
    expect(said).toContain(
      'not witnessed: x: Flag_goodVertices equal in 300 events, but so are two random events with P = 1.0',
    );
  });

  it('power counts the pairs of a deterministic sample', () => {
    expect(powerOf([Float64Array.of(1, 2, 2), Float64Array.of(2, 5)])).toEqual({ pairs: 10, agreeing: 3 });
    expect(powerOf([])).toEqual({ pairs: 0, agreeing: 0 });
  });
});
