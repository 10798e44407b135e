// Simulated samples whose keys are equal: ATLAS channels join the key or must agree, and weights must mean the same.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { list } from '../../src/core/schema.ts';
import { makeOutput, readTable, scratch, tableOf, verify, writeTable } from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

/** Events 0 .. n of one run, of the channels named in turn; without channels the column is absent. */
async function atlas(name: string, n: number, channels: readonly number[], value: string): Promise<string> {
  const rows = [...Array(n).keys()];
  await writeTable(
    at(name),
    tableOf({
      runNumber: Uint32Array.from(rows, () => 410000),
      eventNumber: BigUint64Array.from(rows, (i) => BigInt(Math.floor(i / Math.max(1, channels.length)))),
      ...(channels.length === 0
        ? {}
        : { mcChannelNumber: Uint32Array.from(rows, (i) => channels[i % channels.length]!) }),
      [value]: Float32Array.from(rows, (i) => i / 8),
    }),
  );
  return at(name);
}

const joined = (primary: string, friend: string, options = {}) =>
  makeOutput(at('out.parquet'), { primary: [primary], friends: [{ label: 'x', files: [friend] }], ...options });

describe('channels of ATLAS simulation', () => {
  it('several on a side: the channel joins the key, on all sides', async () => {
    const [a, b] = [
      await atlas('a.parquet', 100, [601229, 601230], 'met'),
      await atlas('b.parquet', 100, [601229, 601230], 'score'),
    ];
    const { plan } = await joined(a, b);
    expect([plan.key, plan.sources[1]!.matched]).toEqual([['runNumber', 'eventNumber', 'mcChannelNumber'], 100]);
    const { columns, fields } = await readTable(at('out.parquet'));
    expect(fields.map(({ name }) => name)).toEqual([
      'runNumber',
      'eventNumber',
      'mcChannelNumber',
      'met',
      'score_x',
      'x_missing',
    ]);
    expect(columns[4]).toMatchObject({ values: (columns[3] as { values: unknown }).values });
    for (const against of [[], [a, b]]) expect((await verify(at('out.parquet'), { against })).findings).toEqual([]);
  });

  it('one on each side: it must be the same', async () => {
    const [a, b] = [await atlas('a.parquet', 50, [601229], 'met'), await atlas('b.parquet', 50, [601230], 'score')];
    await expect(joined(a, b)).rejects.toMatchObject({
      code: 'join/sample-differs',
      exit: 1,
      message: 'source "x" is of mcChannelNumber 601230, source "primary" of 601229',
    });
    const { plan } = await joined(a, await atlas('c.parquet', 50, [601229], 'score'));
    expect(plan.key).toEqual(['runNumber', 'eventNumber']);
  });

  it('absent on one side: --sample, or stop; several on the other: stop', async () => {
    const [a, b] = [await atlas('a.parquet', 50, [601229], 'met'), await atlas('b.parquet', 50, [], 'score')];
    await expect(joined(a, b)).rejects.toMatchObject({ code: 'join/sample-unknown', exit: 1, where: [b] });
    await expect(joined(a, b, { sample: 'ttbar' })).resolves.toMatchObject({ plan: { rowsOut: 50 } });
    const many = await atlas('many.parquet', 50, [601229, 601230], 'met');
    await expect(joined(many, b, { sample: 'ttbar' })).rejects.toMatchObject({ code: 'join/sample-unknown' });
  });

  it('data have channel 0, or none: nothing to ask', async () => {
    await expect(
      joined(await atlas('a.parquet', 9, [0], 'met'), await atlas('b.parquet', 9, [], 'score')),
    ).resolves.toBeDefined();
  });

  const real = new URL('../../../shared/data/PHYSLITE_example.root', import.meta.url).pathname;
  it.skipIf(!existsSync(real))(
    'PHYSLITE: a friend that forgot the channel is refused (skipped without shared data)',
    async () => {
      const friend = await atlas('b.parquet', 9, [], 'score');
      const columns = ['EventInfoAuxDyn.*', 'score_x'];
      await expect(joined(real, friend, { columns })).rejects.toMatchObject({ code: 'join/sample-unknown' });
    },
  );
});

describe('weights of the files of one source', () => {
  async function cms(name: string, first: bigint, title: string, length: number): Promise<string> {
    const rows = [...Array(10).keys()];
    const table = tableOf({
      run: Uint32Array.from(rows, () => 1),
      luminosityBlock: Uint32Array.from(rows, () => 1),
      event: BigUint64Array.from(rows, (i) => first + BigInt(i)),
    });
    table.fields.push({ name: 'PSWeight', type: list({ kind: 'flat', dtype: 'f32' }), nullable: false, doc: title });
    const items = { kind: 'flat', dtype: 'f32', length: 10 * length, values: new Float32Array(10 * length) } as const;
    const offsets = Int32Array.from([...rows, 10], (i) => i * length);
    table.columns.push({ kind: 'list', length: 10, offsets, items });
    await writeTable(at(name), table);
    return at(name);
  }
  const ISR_DOWN = 'PS weights (w_var / w_nominal); [0] is ISR=0.5 FSR=1';
  const ISR_UP = 'PS weights (w_var / w_nominal); [0] is ISR=2 FSR=1';

  it('PSWeight order swapped between files: refused with both titles; --titles ignore joins', async () => {
    const primary = [await cms('a.parquet', 0n, ISR_DOWN, 4), await cms('b.parquet', 100n, ISR_UP, 4)];
    const failed = makeOutput(at('out.parquet'), { primary, friends: [] });
    await expect(failed).rejects.toMatchObject({ code: 'source/titles-differ', exit: 3, where: [primary[1]] });
    expect((await failed.catch((error) => error)).details).toEqual([
      `"${ISR_DOWN}" in ${primary[0]}`,
      `"${ISR_UP}" in ${primary[1]}`,
    ]);
    await expect(makeOutput(at('out.parquet'), { primary, friends: [], titles: 'ignore' })).resolves.toBeDefined();
    await expect(
      makeOutput(at('out.parquet'), { primary, friends: [], columns: ['!PSWeight'] }),
    ).resolves.toBeDefined();
  });

  it('other lengths: refused; a title that is absent says nothing', async () => {
    const a = await cms('a.parquet', 0n, '', 4);
    const others = { primary: [a, await cms('b.parquet', 100n, ISR_UP, 1)], friends: [] };
    await expect(makeOutput(at('out.parquet'), others)).rejects.toThrow(/PSWeight with other numbers of items/);
    const same = { primary: [a, await cms('c.parquet', 100n, ISR_UP, 4)], friends: [] };
    await expect(makeOutput(at('out.parquet'), same)).resolves.toBeDefined();
    const three = { primary: [...same.primary, await cms('d.parquet', 200n, ISR_DOWN, 4)], friends: [] };
    await expect(makeOutput(at('out.parquet'), three)).rejects.toThrow(/other titles/);
  });
});
