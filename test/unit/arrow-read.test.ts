// Arrow IPC files and streams of pyarrow: every column as it was written; damaged ones end in a coded error.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { FlatColumn, ListColumn } from '../../src/core/column.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { flat, list } from '../../src/core/schema.ts';
import { convertData } from '../../src/source/arrow/convert.ts';
import { arrowFormat } from '../../src/source/arrow.ts';
import { expectWhole, withFixture } from './parquet-fixtures/compare.ts';
import { expectedIn, FIXTURES, plainRows } from './parquet-fixtures/expected.ts';

const expected = expectedIn(FIXTURES);
const files = Object.keys(expected.files).filter((name) => name.includes('.arrow'));
const scratch = mkdtempSync(join(tmpdir(), 'colweave-arrow-'));
const path = join(scratch, 'case.arrow');
afterAll(() => rmSync(scratch, { recursive: true }));

describe('every column of', () => {
  test.each(files)('%s', (name) => expectWhole(arrowFormat, name, expected));
});

test('files and streams are recognised, others are not', () => {
  const head = (name: string) => readFileSync(join(FIXTURES, name)).subarray(0, 64);
  for (const name of files) expect(arrowFormat.recognises(head(name), name), name).toBe(true);
  expect(arrowFormat.recognises(head('flat_v1.parquet'), 'x.arrow')).toBe(false);
  expect(arrowFormat.recognises(new Uint8Array(0), 'x.arrow')).toBe(false);
});

test('nothing is under a null, and lists of one collection share their offsets', async () => {
  await withFixture(arrowFormat, 'stream.arrows', async (file) => {
    const names = ['u64_n', 'n_Jet_pt', 'n_Jet_eta'];
    const [nullable, pt, eta] = await file.read(names, 1, 31);
    const { values, valid } = nullable as FlatColumn;
    expect(valid).toContain(0);
    valid!.forEach((there, i) => {
      if (there === 0) expect(values[i]).toBe(0n);
    });
    expect((pt as ListColumn).offsets).toBe((eta as ListColumn).offsets);
  });
});

test('items of a null list, which Arrow allows, are left out', async () => {
  const { Float32, Field, List, makeData } = await import('apache-arrow');
  const data = makeData({
    type: new List(new Field('item', new Float32(), false)),
    length: 4,
    nullCount: 1,
    nullBitmap: Uint8Array.of(0b1011),
    valueOffsets: Int32Array.of(1, 2, 2, 5, 6),
    child: makeData({ type: new Float32(), data: Float32Array.of(9, 1, 7, 7, 7, 2) }),
  });
  const column = convertData(data, list(flat('f32')), []);
  const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
  expect(plainRows(column)).toEqual([[bits(1)], [], null, [bits(2)]]);
  expect((column as ListColumn).offsets).toEqual(Int32Array.of(0, 1, 1, 1, 2));
});

test('types without a column form are named, and refused when asked for', async () => {
  await withFixture(arrowFormat, 'unreadable.arrow', async (file) => {
    expect(file.unreadable.map(({ name }) => name).sort()).toEqual(['binary', 'date', 'half', 'map']);
    await expect(file.read(['half'], 0, 1)).rejects.toMatchObject({ code: 'source/unreadable-column' });
    await expect(file.read(['runn'], 0, 1)).rejects.toMatchObject({ code: 'source/no-column', near: ['run'] });
  });
});

test('a descriptor opens again, and not on another file', async () => {
  await withFixture(arrowFormat, 'file.arrow', async (file) => {
    const again = await arrowFormat.reopen(structuredClone(file.descriptor));
    expect(plainRows((await again.read(['event'], 5, 9))[0]!)).toEqual(
      plainRows((await file.read(['event'], 5, 9))[0]!),
    );
    await again.close();
    const other = { ...file.descriptor, uri: join(FIXTURES, 'stream.arrows') };
    await expect(arrowFormat.reopen(other)).rejects.toMatchObject({ code: 'source/damaged' });
  });
});

test.each(['stream.arrows', 'file.arrow'])('%s cut short is never read as whole', async (name) => {
  const whole = readFileSync(join(FIXTURES, name));
  for (let i = 0; i < 50; i++) {
    writeFileSync(path, whole.subarray(0, Math.floor((whole.length * i) / 50)));
    await expect(arrowFormat.open(path, {}), `cut ${i}`).rejects.toBeInstanceOf(ColweaveError);
  }
});
