// Totals of a Runs tree, and what is carried: added, averaged, left out; parts add up.
import { expect, test } from 'vitest';
import { NOTHING_CARRIED, SUMS_KEY, sumsMetadata } from '../../src/command/carry.ts';
import { sumRows } from '../../src/command/sums.ts';
import type { Column } from '../../src/core/column.ts';
import { type Field, flat, list } from '../../src/core/schema.ts';
import type { Dataset } from '../../src/source/dataset.ts';

const signal = new AbortController().signal;

function floats(values: readonly number[]): Column {
  return { kind: 'flat', dtype: 'f64', length: values.length, values: Float64Array.from(values) };
}

function lists(rows: readonly (readonly number[])[]): Column {
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    offsets[i + 1] = offsets[i]! + row.length;
  });
  return { kind: 'list', length: rows.length, offsets, items: floats(rows.flat()) };
}

/** A data set of one file that holds these columns. */
function dataset(columns: Readonly<Record<string, Column>>): Dataset {
  const fields: Field[] = Object.entries(columns).map(([name, column]) => ({
    name,
    nullable: false,
    type: column.kind === 'list' ? list(flat('f64')) : flat(column.kind === 'flat' ? column.dtype : 'u8'),
  }));
  const rows = Object.values(columns)[0]!.length;
  const descriptor = {
    format: 'test',
    uri: 'x',
    rows,
    schema: { fields },
    identity: { size: 1, id: '', entries: rows },
    layout: {},
  };
  const file = {
    descriptor,
    unreadable: [],
    redundant: [],
    bytesOf: () => 0,
    rawBytesOf: () => 0,
    read: async (names: readonly string[]) => names.map((name) => columns[name]!),
    close: async () => {},
  };
  const whole = { label: 'Runs', schema: { fields }, rows, files: [{ descriptor, firstRow: 0 }], absentFalse: [] };
  return { descriptor: whole, files: [file], unreadable: [], redundant: [] };
}

const counts = (values: readonly bigint[]): Column => ({
  kind: 'flat',
  dtype: 'i64',
  length: values.length,
  values: BigInt64Array.from(values),
});

test('counts and sums are added, ratios averaged with genEventSumw, with or without an underscore', async () => {
  for (const suffix of ['', '_']) {
    const { all } = await sumRows(
      dataset({
        [`genEventCount${suffix}`]: counts([10n, 30n]),
        [`genEventSumw${suffix}`]: floats([2, 6]),
        [`genEventSumw2${suffix}`]: floats([4, 8]),
        [`LHEScaleSumw${suffix}`]: lists([
          [1, 2],
          [3, 6],
        ]),
        run: floats([1, 1]),
      }),
      'Runs',
      signal,
    );
    expect(all).toMatchObject({
      rows: 2,
      added: { [`genEventCount${suffix}`]: 40, [`genEventSumw${suffix}`]: 8, [`genEventSumw2${suffix}`]: 12 },
      averaged: { [`LHEScaleSumw${suffix}`]: [2.5, 5] },
      left: {},
    });
  }
});

test('what has no mean is left out with the reason', async () => {
  const of = async (columns: Record<string, Column>) => (await sumRows(dataset(columns), 'Runs', signal)).all!.left;
  expect(await of({ genEventSumw: floats([1, 1]), LHEPdfSumw: lists([[], [1, 2]]) })).toEqual({
    LHEPdfSumw: 'its lists have 0 and 2 entries',
  });
  expect(await of({ genEventSumw: floats([1, -1]), LHEPdfSumw: lists([[1], [1]]) })).toEqual({
    LHEPdfSumw: 'genEventSumw is 0 in all',
  });
  expect(await of({ genEventCount: counts([1n]), LHEPdfSumw: lists([[1]]) })).toEqual({
    LHEPdfSumw: 'there is no genEventSumw',
  });
});

test('large counts stay exact, small addends are not lost', async () => {
  const { all } = await sumRows(
    dataset({
      genEventCount: counts([2n ** 53n, 1n]),
      genEventSumw: floats([1e16, 1]),
      genEventSumw2: floats([1, -1]),
    }),
    'Runs',
    signal,
  );
  expect(all!.added.genEventCount).toBe('9007199254740993');
  const many = await sumRows(dataset({ genEventSumw: floats([1e16, ...Array<number>(8).fill(1)]) }), 'Runs', signal);
  expect(many.all!.added.genEventSumw).toBe(1e16 + 8);
});

test('a tree without sums has none', async () => {
  expect(await sumRows(dataset({ run: floats([1]) }), 'LuminosityBlocks', signal)).toEqual({ files: [undefined] });
});

test('sums of parts: one a file where there is a part a file, else all in the first', () => {
  const sums = (rows: number) => ({ tree: 'Runs', rows, added: {}, averaged: {}, left: {} });
  const carried = { ...NOTHING_CARRIED, sums: sums(3), sumsOfFile: [sums(1), sums(2)] };
  const parts = (...names: string[]) => names.map((name) => ({ name, start: 0, end: 0 }));
  const rowsOf = (names: string[]) =>
    names.map((_, i) => {
      const text = sumsMetadata(carried, parts(...names), i)[SUMS_KEY];
      return text === undefined ? undefined : (JSON.parse(text) as { rows: number }).rows;
    });
  expect(rowsOf([''])).toEqual([3]);
  expect(rowsOf(['0-a.parquet', '1-b.parquet'])).toEqual([1, 2]);
  expect(rowsOf(['0-a.parquet', '1-b.parquet', '_only_f1.parquet'])).toEqual([1, 2, undefined]);
  expect(rowsOf(['a.parquet', 'b.parquet', 'c.parquet'])).toEqual([3, undefined, undefined]);
});
