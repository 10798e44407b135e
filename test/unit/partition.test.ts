// Folders named key=value: which columns they make, of which types, and what is refused.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { typeName } from '../../src/core/schema.ts';
import { closeDataset, openDataset, readRows, reopenDataset } from '../../src/source/dataset.ts';
import { expandInputs } from '../../src/source/inputs.ts';
import { partitionTypes } from '../../src/source/partition.ts';
import { partitionOf } from '../../src/source/partition-name.ts';
import { plainRows } from './parquet-fixtures/expected.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-partition-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SMALL = 'test/unit/parquet-fixtures/codec_none.parquet'; // event, u8_n, f32, f64_n, bool, text_n
const OTHER = 'test/unit/parquet-fixtures/codec_zstd.parquet'; // the same columns
const ROWS = 32;

/** Copies of a file under these paths of a new folder. */
function layout(name: string, paths: readonly string[], source: string = SMALL): string {
  for (const [i, path] of paths.entries()) {
    const target = join(folder, name, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(i % 2 === 0 ? source : OTHER, target);
  }
  return join(folder, name);
}

async function columnsOf(word: string, names: readonly string[]) {
  const dataset = await openDataset(expandInputs([word]), { label: 'x', schema: 'strict' });
  const again = await reopenDataset(structuredClone(dataset.descriptor));
  const { schema, rows } = dataset.descriptor;
  const types = names.map((name) => {
    const field = schema.fields.find((other) => other.name === name)!;
    return `${typeName(field.type)}${field.nullable ? '?' : ''}`;
  });
  const read = (await readRows(again, names, 0, rows)).map(plainRows);
  const first = (await readRows(dataset, names, 0, rows)).map(plainRows);
  expect(first).toEqual(read);
  await closeDataset(dataset);
  await closeDataset(again);
  return { types, read };
}

it('a folder of partitions gives its columns to every row, integers as i64 and the rest as text', async () => {
  const where = layout('plain', ['run=9/era=C/a.parquet', 'run=10/era=D%2F1/a.parquet']);
  const { types, read } = await columnsOf(where, ['run', 'event', 'era']);
  expect(types).toEqual(['i64', 'i64', 'utf8']);
  expect(read[0]).toEqual([...Array(ROWS).fill('9'), ...Array(ROWS).fill('10')]); // natural order of the folders
  expect(read[2]).toEqual([...Array(ROWS).fill('C'), ...Array(ROWS).fill('D/1')]);
});

it('a pattern over partitions gives them too, a folder named whole does not', async () => {
  const where = layout('pattern', ['run=1/a.parquet', 'run=2/a.parquet']);
  const { read } = await columnsOf(join(where, 'run=*', '*.parquet'), ['run']);
  expect(read[0]).toEqual([...Array(ROWS).fill('1'), ...Array(ROWS).fill('2')]);
  expect(expandInputs([join(where, 'run=1')])).toEqual([{ uri: join(where, 'run=1', 'a.parquet') }]);
});

it('the type follows from how all values are written', () => {
  const typeOf = (...values: (string | null)[]) => {
    const inputs = values.map((value, i) => ({ uri: `${i}`, partition: [{ name: 'k', value }] }));
    const { type, nullable } = partitionTypes(inputs).get('k')!;
    return `${typeName(type)}${nullable ? '?' : ''}`;
  };
  expect(typeOf('1', '-5', '9223372036854775807')).toBe('i64');
  expect(typeOf('1', '18446744073709551615')).toBe('u64');
  expect(typeOf('-1', '18446744073709551615')).toBe('utf8');
  expect(typeOf('18446744073709551616')).toBe('utf8');
  expect(typeOf('1', '02')).toBe('utf8');
  expect(typeOf('-0')).toBe('utf8');
  expect(typeOf('1.5')).toBe('utf8');
  expect(typeOf('1', null)).toBe('i64?');
  expect(typeOf(null)).toBe('utf8?');
});

it('rows of the folder without a value are null', async () => {
  const where = layout('null', ['run=7/a.parquet', 'run=__HIVE_DEFAULT_PARTITION__/a.parquet']);
  const { types, read } = await columnsOf(where, ['run']);
  expect(types).toEqual(['i64?']);
  expect(read[0]!.slice(ROWS - 1, ROWS + 1).sort()).toEqual(['7', null]);
});

it('hidden folders, and folders that name no key, are not part of a source', () => {
  const where = layout('hidden', ['run=1/a.parquet', '_temporary/run=2/a.parquet', '.x=1/a.parquet', 'old/a.parquet']);
  expect(expandInputs([where]).map(({ uri }) => uri)).toEqual([join(where, 'run=1', 'a.parquet')]);
});

it('a file whose own name has an equals sign is a file', () => {
  const where = layout('file', ['run=1.parquet']);
  expect(expandInputs([where])).toEqual([{ uri: join(where, 'run=1.parquet') }]);
});

it('files inside and outside of partitions, or in different ones, are one source only where the schema policy says so', async () => {
  const where = layout('mixed', ['a.parquet', 'run=1/b.parquet']);
  await expect(columnsOf(where, ['run'])).rejects.toMatchObject({ code: 'source/schema-differs' });
});

it('a key named twice on one path is refused', () => {
  expect(() => partitionOf('run=1/run=2')).toThrow(/names? column "run" twice/);
});

it('the same file in two partitions is not a copy: its rows differ in the key', async () => {
  const where = layout('copies', ['run=1/a.parquet', 'x/none', 'run=2/a.parquet']);
  const { read } = await columnsOf(where, ['run', 'event']);
  expect(read[1]!.slice(0, ROWS)).toEqual(read[1]!.slice(ROWS));
});

it('a column that is in the file too must say what the folder says', async () => {
  const right = layout('same', ['constant=7/a.parquet'], 'test/unit/parquet-fixtures/flat_v1.parquet');
  const { types, read } = await columnsOf(right, ['constant']);
  expect(types).toEqual(['u32']);
  expect(new Set(read[0])).toEqual(new Set([7]));
  const wrong = layout('other', ['constant=8/a.parquet'], 'test/unit/parquet-fixtures/flat_v1.parquet');
  await expect(columnsOf(wrong, ['constant'])).rejects.toMatchObject({
    code: 'source/schema-differs',
    message: expect.stringContaining('"constant" is not 8 in every row'),
    where: [join(wrong, 'constant=8', 'a.parquet'), 'entry 0'],
  });
  const float = layout('float', ['f32=8/a.parquet']);
  await expect(columnsOf(float, ['event'])).rejects.toMatchObject({ code: 'source/schema-differs' });
});

it('text that is in the file too is compared byte by byte', async () => {
  const where = layout('text', ['text_n=x/a.parquet']);
  await expect(columnsOf(where, ['text_n'])).rejects.toMatchObject({ code: 'source/schema-differs' });
});
