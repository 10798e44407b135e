// More of what went wrong in the world, told again: productions, versions and threads (test/stories.test.ts has the others).
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderJoin } from '../src/cli/render-text.ts';
import { runVerify } from '../src/command/verify.ts';
import { type FlatColumn, flatColumn } from '../src/core/column.ts';
import { type Receipt, receiptText } from '../src/core/receipt.ts';
import { setWorkerEntry } from '../src/pool/pool.ts';
import { parquetMetadata } from '../src/source/parquet.ts';
import { openSource } from '../src/source/registry.ts';
import {
  codes,
  edit,
  indexOf,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  SOURCES,
  scratch,
  type Table,
  takeRows,
  verify,
  writeTable,
} from './mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
let plain: Table;

beforeAll(async () => {
  await makeOutput(at('plain.parquet'), { friends: [] });
  plain = await readTable(at('plain.parquet'));
});

/** Some rows of the primary as a file of their own, changed; without a receipt. */
async function part(name: string, rows: readonly number[], change: (table: Table) => void = () => {}): Promise<string> {
  const table: Table = { fields: [...plain.fields], columns: [...plain.columns], receipt: undefined };
  takeRows(table, rows);
  change(table);
  await writeTable(at(name), table);
  return at(name);
}

describe('weights of simulation', () => {
  const titled = (doc: string) => (table: Table) => {
    const i = indexOf(table, 'LHEPdfWeight');
    table.fields[i] = { ...table.fields[i]!, name: 'PSWeight', doc };
    const own = table.fields[indexOf(table, 'nLHEPdfWeight')];
    if (own !== undefined) table.fields[table.fields.indexOf(own)] = { ...own, name: 'nPSWeight' };
    table.fields[i] = { ...table.fields[i]!, ...(table.fields[i]!.counter && { counter: 'nPSWeight' }) };
  };
  const DOWN = 'PS weights (w_var / w_nominal); [0] is ISR=0.5 FSR=1';
  const UP = 'PS weights (w_var / w_nominal); [0] is ISR=2 FSR=1';
  const rows = () => rowsOf(plain);

  it('PSWeight order swapped between productions (nano_dy and an older one): refused with both titles', async () => {
    const primary = [
      await part('down.parquet', rows().slice(0, 150), titled(DOWN)),
      await part('up.parquet', rows().slice(150), titled(UP)),
    ];
    const failed = makeOutput(at('out.parquet'), { primary, friends: [] });
    await expect(failed).rejects.toMatchObject({
      code: 'source/titles-differ',
      exit: 3,
      message: 'the files of source "primary" have PSWeight with other titles: the same item is another variation',
      details: [`"${DOWN}" in ${primary[0]}`, `"${UP}" in ${primary[1]}`],
    });
  });

  it('PSWeight order swapped, titles lost on the way: the receipts of the joined files still tell', async () => {
    const parts: string[] = [];
    for (const [name, title] of [
      ['one', DOWN],
      ['two', UP],
    ] as const) {
      const own = rows().filter((row) => row < 150 === (name === 'one'));
      const from = await part(`${name}-from.parquet`, own, titled(title));
      await makeOutput(at(`${name}.parquet`), { primary: [from], friends: [], columns: ['PSWeight'] });
      const table = await readTable(at(`${name}.parquet`));
      expect(table.fields.find((field) => field.name === 'PSWeight')!.doc).toBe(title);
      table.fields = table.fields.map(({ doc: _, ...field }) => field);
      await writeTable(at(`${name}.parquet`), table); // as tools do that keep the file's metadata but not the columns'
      expect((await verify(at(`${name}.parquet`))).verdict).not.toBe('mixed-or-damaged');
      parts.push(at(`${name}.parquet`));
    }
    await expect(makeOutput(at('out.parquet'), { primary: parts, friends: [] })).rejects.toMatchObject({
      code: 'source/titles-differ',
      details: [`"${DOWN}" in ${parts[0]}`, `"${UP}" in ${parts[1]}`],
    });
  });

  it('PSWeight under the title of another order after the join: found', async () => {
    const from = await part('titled.parquet', rows(), titled(DOWN));
    await makeOutput(at('joined.parquet'), { primary: [from], friends: [] });
    const table = await readTable(at('joined.parquet'));
    const i = indexOf(table, 'PSWeight');
    table.fields[i] = { ...table.fields[i]!, doc: UP };
    await writeTable(at('retitled.parquet'), table);
    const { findings } = await verify(at('retitled.parquet'));
    expect(findings.map(({ code, text }) => [code, text])).toContainEqual([
      'verify/title-differs',
      `PSWeight is titled "${UP}", and was joined as "${DOWN}"`,
    ]);
  });

  it('sums of Runs not merged, so that the normalisation is wrong (nanoAOD-tools#52): added, whatever is cut', async () => {
    const sums = async (options: Parameters<typeof makeOutput>[1]) => {
      await makeOutput(at('sums.parquet'), { friends: [], carry: ['Runs'], ...options });
      const file = await openSource(at('sums.parquet'), {});
      await file.close();
      return JSON.parse(parquetMetadata(file.descriptor).get('colweave.sums')!).added;
    };
    const whole = await sums({});
    expect(whole.genEventCount).toBe(300);
    expect(await sums({ where: 'MET_pt > 50' })).toEqual(whole);
    const each = [];
    for (const file of PRIMARY) each.push(await sums({ primary: [file] }));
    expect(each.reduce((sum, { genEventCount }) => sum + genEventCount, 0)).toBe(whole.genEventCount);
  });
});

describe('versions and tiers', () => {
  it('nJet and PV_npvs differ honestly between versions: reported, not refused', async () => {
    const other = await part('v12.parquet', rowsOf(plain), (table) => {
      const keep = ['run', 'luminosityBlock', 'event', 'Generator_x1', 'PV_npvs'];
      const jets = (table.columns[indexOf(table, 'nJet')] as FlatColumn).values as Uint32Array;
      const kept = keep.map((name) => indexOf(table, name));
      table.columns = [
        ...kept.map((i) => table.columns[i]!),
        flatColumn(
          'i32',
          Int32Array.from(jets, (n, i) => n + Number(i % 10 === 0)),
        ),
      ];
      table.fields = [
        ...kept.map((i) => table.fields[i]!),
        { name: 'nJet', type: { kind: 'flat', dtype: 'i32' }, nullable: false },
      ];
      edit(table, 'PV_npvs', (column) => {
        for (let i = 0; i < 3; i++) (column as FlatColumn).values[i] = 77;
        return column;
      });
    });
    const report = await makeOutput(at('out.parquet'), { friends: [{ label: 'v12', files: [other] }] });
    const said = renderJoin(report, false).join('\n');
    expect(said).toContain('witness v12: Generator_x1 equal in 300 events; two random events agree with P < 2e-5');
    expect(said).toContain('differs as versions and variations may: v12: PV_npvs in 1.0%, nJet in 10.0% of events');
    expect((await verify(at('out.parquet'), { against: [...PRIMARY, other] })).findings).toEqual([]);
  });

  it('NanoAOD with more lumi blocks than MiniAOD (WMCore#11956): named by run and lumi block', async () => {
    const lumi = (plain.columns[indexOf(plain, 'luminosityBlock')] as FlatColumn).values;
    const mini = await part(
      'mini.parquet',
      rowsOf(plain).filter((row) => lumi[row] !== 12),
    );
    const { relation } = await runVerify(
      { outputs: PRIMARY, against: [], relation: { kind: 'subset-of', files: [mini] } },
      { emit: () => {}, signal: new AbortController().signal },
    );
    expect(relation).toMatchObject({ holds: false, onlyRight: 0 });
    expect(relation!.findings[0]).toMatchObject({ code: 'verify/events-extra', lumis: ['316995:12'] });
    const { plan } = await makeOutput(at('out.parquet'), {
      friends: [{ label: 'mini', files: [mini] }],
      columns: ['MET_pt*'],
    });
    expect(plan.sources[1]!.missing).toBe(relation!.onlyLeft);
    const flag = (await readTable(at('out.parquet'))).columns.at(-1) as FlatColumn;
    expect(new Set<unknown>([...flag.values])).toEqual(new Set([0, 2])); // 2: the friend has no event of that lumi block
  });
});

describe('threads and memory', () => {
  beforeAll(() => setWorkerEntry(new URL('../src/cli/main.ts', import.meta.url)));

  /** One file a primary file, so that there is work for several threads. */
  const joined = async (name: string, options: Parameters<typeof makeOutput>[1]) => {
    const { plan, outputs } = await makeOutput(`${at(name)}/`, options);
    return { plan, files: outputs.map(({ path }) => readFileSync(path).toString('base64')) };
  };

  it('friends forgotten, or files in another order, on many threads (root#12260, root#20840): the same bytes', {
    timeout: 60_000,
  }, async () => {
    const one = await joined('one', { jobs: 1 });
    const many = await joined('many', { jobs: 3 });
    expect([one.plan.threads, many.plan.threads]).toEqual([1, 3]);
    expect(many.files).toEqual(one.files);
  });

  it('rows dropped where a join spills (duckdb#25702): the same bytes when nothing fits into memory', async () => {
    const roomy = await joined('roomy', { memoryBytes: 2 ** 40 });
    const spilt = await joined('spilt', { memoryBytes: 1 });
    expect([roomy.plan.scratchBytes, spilt.plan.scratchBytes > 0]).toEqual([0, true]);
    expect(spilt.files).toEqual(roomy.files);
  });

  it('a receipt made up for rows that were doubled (CRABServer#8693, one file 47 times): the keys tell', async () => {
    await makeOutput(at('twice.parquet'));
    const table = await readTable(at('twice.parquet'));
    takeRows(table, [...rowsOf(table), ...rowsOf(table)]);
    const receipt = JSON.parse(table.receipt!) as Receipt;
    table.receipt = receiptText({ ...receipt, output: { ...receipt.output, rows: 600 } });
    await writeTable(at('twice.parquet'), table);
    const { findings } = await verify(at('twice.parquet'), { against: SOURCES });
    expect(codes(findings)).toContain('verify/rows-doubled');
  });
});
