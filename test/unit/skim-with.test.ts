// Selections, row maps and many trees together with what else a join does: witnesses, carried trees, files of a number of events, up-to-date outputs, compose files.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expandTrees } from '../../src/command/many-trees.ts';
import type { JoinOptions } from '../../src/command/types.ts';
import type { FlatColumn } from '../../src/core/column.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import {
  codes,
  edit,
  FRIENDS,
  fixture,
  indexOf,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  scratch,
  type Table,
  takeRows,
  verify,
  verifyAll,
  writeTable,
} from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const receiptOf = (path: string) => JSON.parse(readFileSync(`${path}.receipt.json`, 'utf8')) as Receipt;
const where = 'nMuon >= 2';
let plain: Table;
/** Rows of the primary that the selection keeps, and that it cuts. */
let kept: number[];
let cut: number[];

beforeAll(async () => {
  await makeOutput(at('plain.parquet'), { friends: [] });
  plain = await readTable(at('plain.parquet'));
  const muons = (plain.columns[indexOf(plain, 'nMuon')] as FlatColumn).values;
  kept = rowsOf(plain).filter((row) => Number(muons[row]) >= 2);
  cut = rowsOf(plain).filter((row) => !kept.includes(row));
});

/** The primary's rows again, from last to first, with another value of a witness in one. */
async function friend(name: string, row?: number): Promise<JoinOptions['friends']> {
  const table: Table = { fields: [...plain.fields], columns: [...plain.columns], receipt: undefined };
  if (row !== undefined) {
    edit(table, 'Generator_x2', (column) => {
      (column as FlatColumn).values[row] = 0.5;
      return column;
    });
  }
  takeRows(table, rowsOf(table).reverse());
  await writeTable(at(name), table);
  return [{ label: 'x', files: [at(name)] }];
}

describe('a selection and witnesses', () => {
  it.each<[string, Partial<JoinOptions>]>([
    ['of all columns', {}],
    ['not among the columns asked for', { columns: ['MET_pt'] }],
    ['in an inner join', { how: 'inner' }],
    ['in a row map', { mapOnly: true }],
  ])('compare the kept events, %s', async (_, options) => {
    const friends = await friend('same.parquet');
    const report = await makeOutput(at('out.parquet'), { friends, where, ...options });
    expect(report.plan.sources.map(({ path }) => path)).toEqual(['shuffle', 'shuffle']);
    const hard = receiptOf(at('out.parquet')).witness![0]!.columns.filter((column) => column.hard);
    expect(hard.map(({ compared, differing }) => [compared, differing])).toEqual(Array(4).fill([kept.length, 0]));
    expect((await verify(at('out.parquet'), { against: [...PRIMARY, at('same.parquet')] })).findings).toEqual([]);

    const inCut = await friend('cut.parquet', cut[3]);
    await expect(makeOutput(at('out.parquet'), { friends: inCut, where, ...options })).resolves.toBeDefined();
    const inKept = await friend('kept.parquet', kept[3]);
    await expect(makeOutput(at('never.parquet'), { friends: inKept, where, ...options })).rejects.toMatchObject({
      code: 'join/witness-differs',
      message: `source "x" has other events under the same keys: Generator_x2 differs in 1 of ${kept.length} events looked at`,
      details: [
        expect.stringContaining('the first event'),
        expect.stringMatching(/^primary: Generator_x2 0\.\d+ in .*nano_/),
        expect.stringMatching(new RegExp(`^x: Generator_x2 0\\.5 in .*kept\\.parquet, entry ${299 - kept[3]!}$`)),
      ],
    });
    expect(existsSync(at('never.parquet'))).toBe(false);
  });

  it('a row map of all events compares them all', async () => {
    const friends = await friend('other.parquet', 150);
    await expect(makeOutput(at('never.parquet'), { friends, mapOnly: true })).rejects.toMatchObject({
      code: 'join/witness-differs',
    });
  });
});

describe('a selection', () => {
  it('changes no sum of a carried tree', async () => {
    const [all, skim] = await Promise.all(
      [{}, { where }].map((options, i) =>
        makeOutput(at(`carry${i}.parquet`), { friends: [], carry: ['Runs'], columns: ['MET_pt'], ...options }),
      ),
    );
    expect(skim!.outputs[0]!.rows).toBe(kept.length);
    expect(skim!.sums).toEqual(all!.sums);
    expect(readFileSync(at('carry1.Runs.parquet'))).toEqual(readFileSync(at('carry0.Runs.parquet')));
    expect((await verify(at('carry1.parquet'), { against: PRIMARY })).findings).toEqual([]);
  });

  it.each(['left', 'outer'] as const)(
    'is cut into files of a number of events, each of which is verified (%s)',
    async (how) => {
      const output = `${at(`parts-${how}`)}/`;
      const friends = [{ label: 'par', files: [FRIENDS.par] }];
      const report = await makeOutput(output, { friends, how, where, eventsPerFile: 25, columns: ['MET_pt', 'chk*'] });
      const own = report.outputs.filter(({ path }) => path.includes('/part-'));
      expect(own.map(({ rows }) => rows)).toEqual([25, 25, kept.length - 50]);
      expect(report.outputs.length > 3).toBe(how === 'outer');
      const files = await verifyAll(output, { against: [...PRIMARY, FRIENDS.par] });
      expect(files.flatMap(({ findings }) => codes(findings))).toEqual([]);
    },
  );

  it('of primary files, one output each', async () => {
    mkdirSync(at('each'), { recursive: true });
    const report = await makeOutput(`${at('each')}/`, { friends: [], where, columns: ['MET_pt'] });
    expect(report.outputs.reduce((sum, { rows }) => sum + rows, 0)).toBe(kept.length);
    const files = await verifyAll(`${at('each')}/`, { against: PRIMARY });
    expect(files.flatMap(({ findings }) => codes(findings))).toEqual([]);
  });

  it('does not go with primary datasets that share events', async () => {
    const primary = ['A:', fixture('nano_1.root'), 'B:', fixture('nano_2.root')];
    await expect(
      makeOutput(at('never.parquet'), { primary, friends: [], where, duplicates: 'first-by-source' }),
    ).rejects.toMatchObject({ code: 'usage/bad-option', exit: 2 });
  });

  it('is part of what was asked: another one is another output', async () => {
    const options = { friends: [], columns: ['MET_pt'], redo: false, force: false };
    await makeOutput(at('fresh.parquet'), { ...options, where });
    await expect(makeOutput(at('fresh.parquet'), { ...options, where })).rejects.toThrow('every output is made anew');
    for (const other of [
      { where: 'nMuon >= 1' },
      {},
      { where, dedup: true },
      { where, naming: { pattern: '{label}_{name}' } },
    ]) {
      await expect(makeOutput(at('fresh.parquet'), { ...options, ...other })).rejects.toMatchObject({
        code: 'output/exists',
      });
    }
  });
});

describe('a pattern of trees', () => {
  const file = () => {
    mkdirSync(at('trees/year=2018'), { recursive: true });
    if (!existsSync(at('trees/year=2018/syst.root')))
      symlinkSync(fixture('directory.root'), at('trees/year=2018/syst.root'));
  };

  it('is looked up where a compose file is; columns, and what folders say of the files, stay', async () => {
    file();
    const friend = { files: ['trees/year=2018/*.root:*'], base: folder, columns: ['MET_pt', 'year'] };
    const friends = await expandTrees({ friends: [friend] });
    expect(friends).toEqual([
      { ...friend, label: expect.any(String), files: ['trees/year=2018/*.root'], tree: 'dir/Events' },
    ]);
    const asked = { ...friend, files: ['trees:*Events'] };
    const report = await makeOutput(at('trees.parquet'), {
      primary: [fixture('nano_1.root')],
      friends: [asked],
      columns: ['run', '*_dir_Events'],
    });
    expect(report.plan.columnsOut.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['MET_pt_dir_Events', 'year_dir_Events']),
    );
  });

  it('does not go with a list of files', async () => {
    file();
    writeFileSync(at('files.txt'), 'trees/year=2018/syst.root\n');
    const friends = [{ files: ['@files.txt', 'trees/year=2018/syst.root:*'], base: folder }];
    await expect(expandTrees({ friends })).rejects.toMatchObject({ code: 'usage/bad-option', where: ['@files.txt'] });
  });
});
