// What went wrong in the world (published failures of friends, joins and productions), each told again: colweave refuses it, reports it, or is right.
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { renderJoin } from '../src/cli/render-text.ts';
import type { JoinOptions } from '../src/command/types.ts';
import { runVerify } from '../src/command/verify.ts';
import type { FlatColumn } from '../src/core/column.ts';
import type { Values } from '../src/core/dtype.ts';
import {
  codes,
  FRIENDS,
  fixture,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  SOURCES,
  scratch,
  tableOf,
  takeRows,
  verify,
  writeTable,
} from './mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

type Key = readonly [run: number, lumi: number, event: bigint];

/** A file of these events; columns by a function of the row. */
async function file(
  name: string,
  keys: readonly Key[],
  columns: Readonly<Record<string, Values>> = {},
): Promise<string> {
  await writeTable(
    at(name),
    tableOf({
      run: Uint32Array.from(keys, ([run]) => run),
      luminosityBlock: Uint32Array.from(keys, ([, lumi]) => lumi),
      event: BigUint64Array.from(keys, ([, , event]) => event),
      ...columns,
    }),
  );
  return at(name);
}

const floats = (values: readonly number[]) => Float32Array.from(values);
const events = (count: number, first = 0): Key[] => [...Array(count).keys()].map((i) => [1, 1, BigInt(first + i)]);
const ramp = (count: number, step = 1) => floats([...Array(count).keys()].map((i) => 1 + i * step));

const joined = (primary: readonly string[], friend: readonly string[], options: Partial<JoinOptions> = {}) =>
  makeOutput(at('out.parquet'), { primary, friends: [{ label: 'x', files: friend }], ...options });

async function columnOf(name: string): Promise<FlatColumn> {
  const { fields, columns } = await readTable(at('out.parquet'));
  return columns[fields.findIndex((field) => field.name === name)] as FlatColumn;
}

describe('silently mixed events', () => {
  it('a friend index miss keeps the values of the event before (root#7713): null with a reason', async () => {
    const { plan } = await joined(
      [await file('a.parquet', events(6), { pt: ramp(6) })],
      [
        await file(
          'b.parquet',
          [0, 2, 4].map((i) => events(6)[i]!),
          { w: ramp(3) },
        ),
      ],
    );
    expect(plan.sources[1]).toMatchObject({ matched: 3, missing: 3 });
    expect([...(await columnOf('w_x')).valid!]).toEqual([1, 0, 1, 0, 1, 0]);
    expect([...(await columnOf('x_missing')).values]).toEqual([0, 1, 0, 1, 0, 1]);
    const table = await readTable(at('out.parquet'));
    takeRows(table, [0, 0, 2, 2, 4, 4], ['w_x']);
    await writeTable(at('kept.parquet'), table);
    expect((await verify(at('kept.parquet'))).findings[0]).toMatchObject({
      code: 'verify/column-differs',
      columns: ['w_x'],
    });
  });

  it('a friend shorter than the main tree: its last row is not repeated (root#9137)', async () => {
    const [a, b] = [
      await file('a.parquet', events(5), { pt: ramp(5) }),
      await file('b.parquet', events(3), { w: ramp(3) }),
    ];
    await joined([a], [b]);
    expect([...(await columnOf('w_x')).valid!]).toEqual([1, 1, 1, 0, 0]);
    for (const expectation of ['1:1', 'aligned'] as const)
      await expect(joined([a], [b], { expect: expectation })).rejects.toMatchObject({
        code: 'join/expectation',
        exit: 1,
      });
  });

  it('a multi-thread snapshot in another order, used as a friend (ROOT-9556, root#5182): matched by key', async () => {
    const keys = events(200);
    const shuffled = [...keys.slice(150), ...keys.slice(50, 150), ...keys.slice(0, 50)];
    const value = (all: readonly Key[]) => floats(all.map(([, , event]) => Number(event)));
    const [a, b] = [
      await file('a.parquet', keys, { pt: value(keys) }),
      await file('b.parquet', shuffled, { w: value(shuffled) }),
    ];
    await joined([a], [b]);
    expect((await columnOf('w_x')).values).toEqual((await columnOf('pt')).values);
    await expect(joined([a], [b], { expect: 'aligned' })).rejects.toThrow('not aligned with the primary from row 0 on');
    const table = await readTable(at('out.parquet'));
    takeRows(
      table,
      [...rowsOf(table).slice(150), ...rowsOf(table).slice(50, 150), ...rowsOf(table).slice(0, 50)],
      ['w_x'],
    );
    await writeTable(at('pasted.parquet'), table);
    const report = await verify(at('pasted.parquet'), { against: [a, b] });
    expect(report.findings.find(({ code }) => code === 'verify/value-differs')).toMatchObject({
      count: 100,
      columns: ['w_x'],
    });
  });

  it('no key in the friend: position is not what it falls back to (TTreeIndex does)', async () => {
    await writeTable(at('score.parquet'), tableOf({ score: ramp(100) }));
    await expect(joined([PRIMARY[0]!], [at('score.parquet')])).rejects.toMatchObject({ code: 'key/absent', exit: 3 });
  });

  it('trigger bits of another menu: absent is not false (CmsHI/cmssw#180, cmssw#32731)', async () => {
    const a = await file('a.parquet', events(3), { HLT_A: Uint8Array.of(1, 0, 1), HLT_B: Uint8Array.of(1, 1, 1) });
    const b = await file('b.parquet', events(3, 10), { HLT_A: Uint8Array.of(1, 0, 1) });
    await expect(makeOutput(at('out.parquet'), { primary: [a, b], friends: [] })).rejects.toMatchObject({
      code: 'source/schema-differs',
    });
    await makeOutput(at('out.parquet'), { primary: [a, b], friends: [], absentTrigger: 'null' });
    expect([...(await columnOf('HLT_B')).valid!]).toEqual([1, 1, 1, 0, 0, 0]);
  });
});

describe('keys', () => {
  it('int against unsigned event numbers lose no candidate (AliPhysics#15100)', async () => {
    const keys = events(100).map(([run, lumi, event]): Key => [run, lumi, event + 2n ** 31n - 50n]);
    const signed = tableOf({
      run: Int32Array.from(keys, ([run]) => run),
      luminosityBlock: BigInt64Array.from(keys, ([, lumi]) => BigInt(lumi)),
      event: BigInt64Array.from(keys, ([, , event]) => event),
      w: ramp(100),
    });
    await writeTable(at('signed.parquet'), signed);
    const { plan } = await joined([await file('a.parquet', keys, { pt: ramp(100) })], [at('signed.parquet')]);
    expect(plan.sources[1]).toMatchObject({ matched: 100, missing: 0, extra: 0 });
    const wrapped = tableOf({
      run: Int32Array.of(1),
      luminosityBlock: Int32Array.of(1),
      event: Int32Array.of(-1_985_498_187),
      w: ramp(1),
    });
    await writeTable(at('wrapped.parquet'), wrapped);
    await expect(joined([at('a.parquet')], [at('wrapped.parquet')])).rejects.toMatchObject({
      code: 'key/negative',
      exit: 3,
    });
  });

  it('2^53 and 2^53 + 1 are two events (pandas#56367); event numbers in a double are refused', async () => {
    const big = (event: bigint): Key => [1, 1, event];
    const [one, two] = [2n ** 53n, 2n ** 53n + 1n];
    const { plan } = await joined(
      [await file('a.parquet', [big(one), big(two)], { pt: ramp(2) })],
      [await file('b.parquet', [big(two)], { w: floats([7]) })],
    );
    expect(plan.sources[1]).toMatchObject({ matched: 1, missing: 1 });
    expect([...(await columnOf('w_x')).valid!]).toEqual([0, 1]);
    await expect(joined([PRIMARY[0]!], [fixture('hostile_float_event.root')])).rejects.toMatchObject({
      code: 'key/bad-type',
    });
  });

  it('run 1, lumi 11 is not run 11, lumi 1 (keys put together without lengths, ydb#5721)', async () => {
    const { plan } = await joined(
      [await file('a.parquet', [[1, 11, 1n]], { pt: ramp(1) })],
      [await file('b.parquet', [[11, 1, 1n]], { w: ramp(1) })],
    );
    expect(plan.sources[1]).toMatchObject({ matched: 0, missing: 1, extra: 1 });
  });
});

describe('duplicates', () => {
  it('a file listed twice, also as a copy under another name (CRABServer#8693)', async () => {
    const a = await file('a.parquet', events(5), { pt: ramp(5) });
    copyFileSync(a, at('copy.parquet'));
    for (const files of [
      [a, a],
      [a, at('copy.parquet')],
    ])
      await expect(makeOutput(at('out.parquet'), { primary: files, friends: [] })).rejects.toMatchObject({
        code: 'source/duplicate-file',
      });
  });

  it('a lumi block in two files (WMCore#4383): an overlap, counted per pair of files', async () => {
    const keys = [...events(50), ...events(30).map(([run, , event]): Key => [run, 2, event])];
    const value = floats(keys.map(([, lumi, event]) => lumi * 100 + Number(event)));
    const a = await file('a.parquet', keys.slice(0, 60), { pt: value.slice(0, 60) });
    const b = await file('b.parquet', keys.slice(50), { pt: value.slice(50) });
    const failed = makeOutput(at('out.parquet'), { primary: [a, b], friends: [] });
    await expect(failed).rejects.toMatchObject({ code: 'join/duplicate-key', exit: 1 });
    const { details } = await failed.catch((error) => error);
    expect(details.slice(-2)).toEqual([
      'source "primary": 10 rows have the key of an earlier one',
      `${a} and ${b}: 10 overlap (same content)`,
    ]);
  });

  it('private simulation that starts at lumi 1, event 1 every time (CRABServer#5670): a collision', async () => {
    const a = await file('a.parquet', events(50), { nJet: Uint32Array.from(events(50), () => 4), pt: ramp(50) });
    const b = await file('b.parquet', events(50), { nJet: Uint32Array.from(events(50), () => 4), pt: ramp(50, 2) });
    const { details, hint } = await makeOutput(at('out.parquet'), { primary: [a, b], friends: [] }).catch(
      (error) => error,
    );
    expect(details.at(-1)).toBe(
      `${a} and ${b}: 49 collide (other content, first in pt of run 1, luminosityBlock 1, event 1), 1 overlap`,
    );
    expect(hint).toMatch(/^different events share a key/);
  });
});

describe('simulation', () => {
  const generator = (count: number, seed: number) => ({
    Generator_x1: floats([...Array(count).keys()].map((i) => Math.fround(((i + 1) * seed) % 1))),
    genWeight: floats([...Array(count).keys()].map(() => 72.25)),
  });

  it('two samples with equal keys: refused by a witness; genWeight alone would have proved nothing', async () => {
    const [a, b] = [
      await file('tt.parquet', events(300), generator(300, 0.6180339)),
      await file('dy.parquet', events(300), generator(300, 0.4142135)),
    ];
    await expect(joined([a], [b])).rejects.toMatchObject({ code: 'join/witness-differs', exit: 1 });
    const report = await joined([a], [b], { witness: 'genWeight' });
    expect(renderJoin(report, false).join('\n')).toContain(
      'not witnessed: x: genWeight equal in 300 events, but so are two random events with P = 1.0',
    );
    const same = renderJoin(
      await joined([a], [await file('tt2.parquet', events(300), generator(300, 0.6180339))]),
      false,
    ).join('\n');
    expect(same).toContain('witness x: Generator_x1 equal in 300 events; two random events agree with P < 2e-5');
  });

  it('jesUp and jesDown exchanged after the join: both named; joined the wrong way round: found against the sources', async () => {
    await makeOutput(at('jes.parquet'));
    const table = await readTable(at('jes.parquet'));
    const [i, j] = ['MET_pt_up', 'MET_pt_dn'].map((name) => table.fields.findIndex((field) => field.name === name)) as [
      number,
      number,
    ];
    const [up, dn] = [table.columns[i]!, table.columns[j]!];
    table.columns[i] = dn;
    table.columns[j] = up;
    await writeTable(at('exchanged.parquet'), table);
    const report = await verify(at('exchanged.parquet'));
    expect(report.findings.map(({ code, columns }) => [code, columns])).toContainEqual([
      'verify/columns-exchanged',
      ['MET_pt_dn', 'MET_pt_up'],
    ]);
    expect(codes((await verify(at('exchanged.parquet'), { against: SOURCES })).findings)).toContain(
      'verify/value-differs',
    );
    const labels = {
      friends: [
        { label: 'up', files: [FRIENDS.dn] },
        { label: 'dn', files: [FRIENDS.up] },
      ],
    };
    await makeOutput(at('labels.parquet'), labels);
    const receipt = `${at('jes.parquet')}.receipt.json`;
    expect((await verify(at('labels.parquet'), { receipt })).verdict).toBe('mixed-or-damaged');
  });
});

describe('lost events', () => {
  it('production split by entry range loses the last event of each job (nanoAOD-tools#154)', async () => {
    const a = await file('a.parquet', events(100), { pt: ramp(100) });
    const parts = [await file('p0.parquet', events(49)), await file('p1.parquet', events(49, 50))];
    const { relation } = await runVerify(
      { outputs: parts, against: [], relation: { kind: 'same-events', files: [a] } },
      { emit: () => {}, signal: new AbortController().signal },
    );
    expect(relation).toMatchObject({ holds: false, both: 98, onlyRight: 2, onlyLeft: 0 });
    expect(relation!.findings[0]!.first!.map(({ entry }) => entry)).toEqual([49, 99]);
  });

  it('a file without events changes nothing (cmssw#43533)', async () => {
    const [a, none] = [
      await file('a.parquet', events(5), { pt: ramp(5) }),
      await file('none.parquet', [], { pt: ramp(0) }),
    ];
    const { plan } = await makeOutput(at('out.parquet'), { primary: [a, none], friends: [] });
    expect(plan.rowsOut).toBe(5);
  });
});
