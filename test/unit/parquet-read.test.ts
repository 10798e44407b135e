// Parquet files of pyarrow, DuckDB, polars and awkward: every column equal to what the writer was given, bit for bit.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ListColumn } from '../../src/core/column.ts';
import { typeName } from '../../src/core/schema.ts';
import { parquetFormat, parquetMetadata, parquetRowGroups } from '../../src/source/parquet.ts';
import { expectWhole, withFixture } from './parquet-fixtures/compare.ts';
import { expectedIn, FIXTURES, plainRows } from './parquet-fixtures/expected.ts';

const expected = expectedIn(FIXTURES);
const files = Object.keys(expected.files).filter((name) => name.endsWith('.parquet'));
const scratch = mkdtempSync(join(tmpdir(), 'colweave-parquet-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('every column of', () => {
  test.each(files)('%s', (name) => expectWhole(parquetFormat, name, expected));
});

test('lists of one collection share their offsets, others do not', async () => {
  await withFixture(parquetFormat, 'nested_v1.parquet', async (file) => {
    const names = ['Jet_pt', 'lists', 'Jet_eta', 'points.pt', 'points.id'];
    const [pt, lists, eta, x, id] = (await file.read(names, 3, 29)) as readonly ListColumn[];
    expect(pt!.offsets).toBe(eta!.offsets);
    expect(pt!.offsets).not.toBe(lists!.offsets);
    expect(x!.offsets).toBe(id!.offsets);
  });
});

test('columns come in the order they are asked for, twice if asked twice', async () => {
  await withFixture(parquetFormat, 'flat_v2.parquet', async (file) => {
    const [text, event, again] = await file.read(['text', 'event', 'text'], 0, 2);
    expect([text!.kind, event!.kind, again!.kind]).toEqual(['utf8', 'flat', 'utf8']);
    expect(plainRows(text!)).toEqual(plainRows(again!));
  });
});

test('nullability is the schema’s, and no validity is made where all is there', async () => {
  await withFixture(parquetFormat, 'flat_v1.parquet', async (file) => {
    const field = (name: string) => file.descriptor.schema.fields.find((other) => other.name === name)!;
    expect(field('event').nullable).toBe(false);
    expect(field('f32_n').nullable).toBe(true);
    const [some, none] = await file.read(['f32_n', 'f32_n'], 0, 4);
    expect(some!.valid).toBeUndefined();
    expect(none!.valid).toBeUndefined();
  });
});

test('titles and key-value metadata are kept', async () => {
  await withFixture(parquetFormat, 'titled.parquet', ({ descriptor }) => {
    expect(descriptor.schema.fields.map(({ name, doc }) => [name, doc])).toEqual([
      ['nJet', 'number of jets'],
      ['Jet_pt', 'pt after JEC'],
    ]);
    const metadata = parquetMetadata(descriptor);
    expect(metadata.get('colweave.receipt')).toBe('{"format":"receipt/1"}');
    expect(metadata.get('k')).toBe('v µ');
  });
});

test('row groups say where their bytes are, unreadable columns too', async () => {
  await withFixture(parquetFormat, 'unreadable.parquet', ({ descriptor }) => {
    const groups = parquetRowGroups(descriptor);
    expect(groups.map(({ rowStart, rows }) => [rowStart, rows])).toEqual([
      [0, 16],
      [16, 16],
    ]);
    const chunks = groups.flatMap((group) => group.chunks);
    expect(chunks.map(({ path }) => path.join('.')).slice(0, 3)).toEqual([
      'run',
      'map.key_value.key',
      'map.key_value.value',
    ]);
    // pyarrow writes chunk after chunk from the magic on
    let at = 4;
    for (const { start, bytes } of chunks) {
      expect(start).toBe(at);
      at += bytes;
    }
  });
});

test('identity is the footer’s digest; a descriptor opens again as plain data, and not on another file', async () => {
  const path = join(FIXTURES, 'codec_zstd.parquet');
  const bytes = readFileSync(path);
  const footerBytes = bytes.readUInt32LE(bytes.length - 8);
  await withFixture(parquetFormat, 'codec_zstd.parquet', async (file) => {
    const { descriptor } = file;
    const id = createHash('sha256')
      .update(bytes.subarray(-8 - footerBytes, -8))
      .digest('hex');
    expect(descriptor.identity).toEqual({ size: bytes.length, id, entries: 32 });
    const again = await parquetFormat.reopen(structuredClone(descriptor));
    expect(plainRows((await again.read(['f32'], 0, 32))[0]!)).toEqual(plainRows((await file.read(['f32'], 0, 32))[0]!));
    await again.close();
    const other = { ...descriptor, uri: join(FIXTURES, 'codec_none.parquet') };
    await expect(parquetFormat.reopen(other)).rejects.toMatchObject({ code: 'source/damaged' });
  });
});

test('an unknown column names the nearest, an unreadable one its type', async () => {
  await withFixture(parquetFormat, 'unreadable.parquet', async (file) => {
    await expect(file.read(['runn'], 0, 1)).rejects.toMatchObject({ code: 'source/no-column', near: ['run'] });
    for (const [name, type] of [
      ['half', 'float16'],
      ['when96', 'int96'],
      ['map.key_value.key', 'map'],
      ['date', 'date'],
      ['fixed', 'binary[3]'],
    ]) {
      expect(file.unreadable.find((column) => column.name === name)?.type).toBe(type);
      await expect(file.read([name!], 0, 1)).rejects.toMatchObject({ code: 'source/unreadable-column' });
    }
  });
});

test('sizes are those of the column chunks', async () => {
  await withFixture(parquetFormat, 'flat_v1.parquet', (file) => {
    const chunks = parquetRowGroups(file.descriptor).flatMap((group) => group.chunks);
    const names = file.descriptor.schema.fields.map((field) => field.name);
    expect(file.bytesOf(names)).toBe(chunks.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(file.rawBytesOf(['f32'])).toBeGreaterThan(32 * 4);
    expect(file.bytesOf([])).toBe(0);
  });
});

test('an aborted read stops', async () => {
  await withFixture(parquetFormat, 'flat_v1.parquet', async (file) => {
    await expect(file.read(['f32'], 0, 32, AbortSignal.abort())).rejects.toThrow(/abort/i);
  });
});

test('bare repeated fields of parquetjs-lite, whose pages begin anywhere', async () => {
  const name: string = 'parquetjs-lite'; // it has no types
  const { default: parquetjs } = (await import(name)) as { default: ParquetJs };
  const schema = new parquetjs.ParquetSchema({
    run: { type: 'INT32' },
    Jet_pt: { type: 'DOUBLE', repeated: true, compression: 'SNAPPY' },
    Muon: { repeated: true, fields: { id: { type: 'INT64' }, tag: { type: 'UTF8', optional: true } } },
  });
  const path = join(scratch, 'bare.parquet');
  const writer = await parquetjs.ParquetWriter.openFile(schema, path, {});
  const rows = Array.from({ length: 50 }, (_, i) => ({
    run: i,
    Jet_pt: Array.from({ length: i % 4 }, (_, k) => i + k / 8),
    Muon: Array.from({ length: (i * 7) % 3 }, (_, k) => (k === 1 ? { id: i } : { id: i, tag: `t${i}` })),
  }));
  for (const row of rows) await writer.appendRow(row);
  await writer.close();
  const file = await parquetFormat.open(path, {});
  const { fields } = file.descriptor.schema;
  expect(fields.map(({ name, type }) => `${name} ${typeName(type)}`)).toEqual([
    'run i32',
    'Jet_pt list<f64>',
    'Muon.id list<i64>',
    'Muon.tag list<utf8>',
  ]);
  const [run, , id, tag] = await file.read(
    fields.map((field) => field.name),
    0,
    50,
  );
  expect(plainRows(run!)).toEqual(rows.map((row) => row.run));
  expect(plainRows(id!)).toEqual(rows.map((row) => row.Muon.map((muon) => `${muon.id}`)));
  expect(plainRows(tag!)).toEqual(rows.map((row) => row.Muon.map((muon) => muon.tag ?? null)));
  const [pt] = (await file.read(['Jet_pt'], 7, 9)) as readonly ListColumn[];
  expect([...pt!.offsets]).toEqual([0, 3, 3]);
  expect(pt!.items).toMatchObject({ values: Float64Array.of(7, 7.125, 7.25) });
  await file.close();
});

/** The part of parquetjs-lite that is used here. */
interface ParquetJs {
  readonly ParquetSchema: new (fields: Record<string, unknown>) => unknown;
  readonly ParquetWriter: {
    openFile(
      schema: unknown,
      path: string,
      options: object,
    ): Promise<{ appendRow(row: object): Promise<void>; close(): Promise<void> }>;
  };
}
