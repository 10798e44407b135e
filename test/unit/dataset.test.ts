// One schema for several files: what strict refuses, what union, intersect and absent triggers mean, exact widening.
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { flat, list, typeName } from '../../src/core/schema.ts';
import { castColumn, commonType } from '../../src/source/casts.ts';
import { locateRow, readRows, type SchemaPolicy, settleDataset } from '../../src/source/dataset.ts';
import { memoryDataset } from '../property/memory.ts';

const column = (dtype: 'i32' | 'u32' | 'u8' | 'bool', values: readonly number[]): Column => ({
  kind: 'flat',
  dtype,
  length: values.length,
  values: { i32: Int32Array, u32: Uint32Array, u8: Uint8Array, bool: Uint8Array }[dtype].from(values),
});
const fileOf = (name: string, columns: Record<string, Column>) => {
  const fields = Object.entries(columns).map(([key, value]) => ({
    name: key,
    type: flat((value as Extract<Column, { kind: 'flat' }>).dtype),
    nullable: false,
  }));
  return memoryDataset(name, { fields }, [{ columns, rows: 2 }]).files[0]!;
};
const first = fileOf('a', { run: column('u32', [1, 1]), nJet: column('u32', [3, 4]), HLT_Mu: column('bool', [1, 0]) });
const second = fileOf('b', { run: column('u32', [2, 2]), nJet: column('i32', [5, 6]), extra: column('u8', [7, 8]) });
const third = fileOf('c', { run: column('u32', [3, 3]), nJet: column('u32', [1, 2]), extra: column('u8', [1, 2]) });

const settle = (
  files: Parameters<typeof settleDataset>[0],
  schema: SchemaPolicy,
  absentTrigger?: 'false' | 'drop' | 'null',
) => settleDataset(files, { label: 'x', schema, ...(absentTrigger === undefined ? {} : { absentTrigger }) });
const values = async (dataset: ReturnType<typeof settle>, name: string) => {
  const [read] = await readRows(dataset, [name], 0, dataset.descriptor.rows);
  const got = read as Extract<Column, { kind: 'flat' }>;
  return Array.from(got.values as Int32Array, (value, i) => (got.valid?.[i] === 0 ? null : Number(value)));
};

describe('one source of several files', () => {
  it('strict refuses a column that comes, goes or changes its type', () => {
    expect(() => settle([third, second], 'strict')).toThrow(/column "nJet" is i32 here and u32/);
    expect(() => settle([first, third], 'strict')).toThrow(/not in every file/);
  });

  it('union gives null where a file lacks a column, and widens integers exactly', async () => {
    const dataset = settle([second, third, fileOf('d', { run: column('u32', [9, 9]) })], 'union');
    expect(
      dataset.descriptor.schema.fields.map(({ name, type, nullable }) => [name, typeName(type), nullable]),
    ).toEqual([
      ['run', 'u32', false],
      ['nJet', 'i64', true],
      ['extra', 'u8', true],
    ]);
    expect(await values(dataset, 'nJet')).toEqual([5, 6, 1, 2, null, null]);
    expect(await values(dataset, 'extra')).toEqual([7, 8, 1, 2, null, null]);
  });

  it('intersect leaves it out', () => {
    const dataset = settle([first, second], 'intersect');
    expect(dataset.descriptor.schema.fields.map((field) => field.name)).toEqual(['run', 'nJet']);
  });

  it('asks what an absent trigger path means, even under union', async () => {
    const other = fileOf('e', { run: column('u32', [4, 4]), nJet: column('u32', [0, 0]) });
    expect(() => settle([first, other], 'union')).toThrow(/HLT_Mu/);
    expect(await values(settle([first, other], 'strict', 'false'), 'HLT_Mu')).toEqual([1, 0, 0, 0]);
    expect(await values(settle([first, other], 'strict', 'null'), 'HLT_Mu')).toEqual([1, 0, null, null]);
    expect(settle([first, other], 'strict', 'drop').descriptor.schema.fields).toHaveLength(2);
  });

  it('points at the file and entry of a row', () => {
    const dataset = settle(
      [second, fileOf('z', { run: column('u32', [1, 2]), nJet: column('i32', [1, 2]), extra: column('u8', [1, 2]) })],
      'strict',
    );
    expect(locateRow(dataset.descriptor, 3)).toEqual({ uri: 'z0.root', entry: 1 });
  });

  it('refuses a copy of a file', () => {
    expect(() => settle([first, first], 'strict')).toThrow(/copy/);
  });
});

describe('exact casts', () => {
  it('finds the narrowest type that holds both, and nothing that only might', () => {
    const of = (left: Parameters<typeof flat>[0], right: Parameters<typeof flat>[0]) => {
      const type = commonType(flat(left), flat(right));
      return type === undefined ? 'none' : typeName(type);
    };
    expect(of('u32', 'i32')).toBe('i64');
    expect(of('u8', 'i32')).toBe('i32');
    expect(of('bool', 'u8')).toBe('u8');
    expect(of('u64', 'i32')).toBe('none');
    expect(of('i32', 'f32')).toBe('none');
    expect(of('bool', 'i32')).toBe('none');
    expect(typeName(commonType(list(flat('i16')), list(flat('u16')))!)).toBe('list<i32>');
  });

  it('keeps signs and 64 bits', () => {
    const cast = castColumn(column('i32', [-1, 2 ** 31 - 1]), flat('i64')) as Extract<Column, { kind: 'flat' }>;
    expect(Array.from(cast.values as BigInt64Array)).toEqual([-1n, 2147483647n]);
  });
});
