// The Parquet sink: what it writes, the independent reader reads back bit for bit, whatever the type, nulls and row groups.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type Column, sliceColumn } from '../../src/core/column.ts';
import { allocate, bytesOf, DTYPES, type Dtype } from '../../src/core/dtype.ts';
import { Encoding } from '../../src/core/parquet-format.ts';
import { type ColumnType, type Field, flat, list, type Schema, utf8 } from '../../src/core/schema.ts';
import { CREATED_BY } from '../../src/sink/parquet/footer.ts';
import { parquet } from '../../src/sink/parquet.ts';
import { openSink } from '../../src/sink/registry.ts';
import type { SinkOptions } from '../../src/sink/types.ts';
import { parquetFormat, parquetMetadata, parquetRowGroups } from '../../src/source/parquet.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-sink-'));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;

interface Table {
  readonly schema: Schema;
  readonly columns: readonly Column[];
  readonly rows: number;
}

async function writeTable({ schema, columns, rows }: Table, options: SinkOptions, cuts: readonly number[] = []) {
  const path = join(folder, `${serial++}.parquet`);
  const sink = await parquet.open(path, schema, { ...options, force: false });
  const ends = [...cuts, rows];
  let start = 0;
  for (const end of ends) {
    const part = columns.map((column) => sliceColumn(column, start, end));
    await sink.append(end - start, await parquet.encode(schema.fields, part, options));
    start = end;
  }
  await sink.finish({ note: 'kept' });
  const fingerprint = sink.fingerprint();
  await sink.commit();
  return { path, fingerprint };
}

async function readTable(path: string) {
  const file = await parquetFormat.open(path, {});
  const { schema, rows } = file.descriptor;
  const names = schema.fields.map(({ name }) => name);
  const columns = await file.read(names, 0, rows);
  await file.close();
  return { file, schema, rows, columns };
}

/** Cells as text that tells bits apart: NaNs by payload, -0 from 0. */
function cells(column: Column): unknown[] {
  const rows = Array.from({ length: column.length }, (_, i) => i);
  if (column.kind === 'flat') {
    const size = column.values.BYTES_PER_ELEMENT;
    const bytes = Buffer.from(bytesOf(column.values));
    return rows.map((i) => (column.valid?.[i] === 0 ? null : bytes.toString('hex', i * size, (i + 1) * size)));
  }
  const { offsets, valid } = column;
  if (column.kind === 'utf8') {
    const text = Buffer.from(column.bytes);
    return rows.map((i) => (valid?.[i] === 0 ? null : text.toString('utf8', offsets[i], offsets[i + 1])));
  }
  const items = cells(column.items);
  return rows.map((i) => (valid?.[i] === 0 ? null : items.slice(offsets[i], offsets[i + 1])));
}

const only = (column: Column, nullable = false, type?: ColumnType): Table => ({
  schema: { fields: [{ name: 'x', type: type ?? typeOf(column), nullable }] },
  columns: [column],
  rows: column.length,
});

function typeOf(column: Column): ColumnType {
  if (column.kind === 'flat') return flat(column.dtype);
  return column.kind === 'utf8' ? utf8 : list(typeOf(column.items));
}

const flatOf = (dtype: Dtype, bytes: Uint8Array): Column => {
  const values = allocate(dtype, Math.floor(bytes.length / allocate(dtype, 1).byteLength));
  bytesOf(values).set(dtype === 'bool' ? bytes.map((b) => b & 1) : bytes.subarray(0, values.byteLength));
  return { kind: 'flat', dtype, length: values.length, values };
};

const withNulls = (column: Column, every: number): Column => {
  const valid = Uint8Array.from({ length: column.length }, (_, i) => (i % every === 0 ? 0 : 1));
  if (column.kind !== 'flat') return column;
  const values = allocate(column.dtype, column.length);
  const size = values.BYTES_PER_ELEMENT;
  for (let i = 0; i < column.length; i++) {
    if (valid[i]) bytesOf(values).set(bytesOf(column.values).subarray(i * size, (i + 1) * size), i * size);
  }
  return { ...column, values, valid };
};

const listOf = (items: Column, lengths: readonly number[], valid?: Uint8Array): Column => {
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((length, i) => {
    offsets[i + 1] = offsets[i]! + length;
  });
  return { kind: 'list', length: lengths.length, offsets, items: sliceColumn(items, 0, offsets.at(-1)!), valid };
};

const noise = (length: number, seed = 1) => {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
};

async function expectRoundTrip(table: Table, options: SinkOptions, cuts: readonly number[] = []) {
  const { path } = await writeTable(table, options, cuts);
  const read = await readTable(path);
  expect(read.rows).toBe(table.rows);
  table.columns.forEach((column, i) => {
    expect(cells(read.columns[i]!)).toEqual(cells(column));
  });
  return read;
}

const ZSTD = { compression: 'zstd' } as const;

describe.each(DTYPES)('%s', (dtype) => {
  const any = flatOf(dtype, noise(4000));
  const few = flatOf(
    dtype,
    Uint8Array.from(noise(4000), (_, i) => [7, 7, 0x80, 7][(i >> 3) % 4]!),
  );

  it.each([
    ['any values', any],
    ['few values', few],
  ])('%s come back, REQUIRED, with nulls, in lists and lists of lists', async (_, column) => {
    const lengths = Array.from({ length: Math.min(300, column.length / 4) }, (_, i) => (i * 7) % 4);
    const lists = listOf(column, lengths);
    const valid = Uint8Array.from(lengths, (length) => (length === 0 ? 0 : 1));
    for (const options of [ZSTD, { compression: 'snappy' }, { compression: 'none' }] as const) {
      await expectRoundTrip(only(column), options, [1, 133]);
      await expectRoundTrip(only(withNulls(column, 3), true), options, [2]);
      await expectRoundTrip(only(column, true), options);
      await expectRoundTrip(only(lists), options, [100]);
      await expectRoundTrip(only({ ...lists, valid }, true), options, [1, 2]);
      await expectRoundTrip(only(listOf(lists, [3, 0, 2, 0, 50])), options, [2]);
    }
  });
});

describe('the parquet sink', () => {
  const strings = (): Column => {
    const bytes = new TextEncoder().encode('äbcé');
    return { kind: 'utf8', length: 4, offsets: Int32Array.of(0, 3, 3, 4, 6), bytes };
  };

  it('moves bits: signalling NaN, -0 and denormals come back', async () => {
    const words = Uint32Array.of(0x7fa00001, 0x80000000, 1, 0xff800001, 0x007fffff, 0x7f800000);
    const single: Column = { kind: 'flat', dtype: 'f32', length: 6, values: new Float32Array(words.buffer) };
    await expectRoundTrip(only(single), ZSTD);
    await expectRoundTrip(only({ ...single, valid: Uint8Array.of(1, 1, 1, 0, 1, 1) }, true), ZSTD);
    const wide: Column = { kind: 'flat', dtype: 'f64', length: 3, values: new Float64Array(words.buffer) };
    await expectRoundTrip(only(wide), ZSTD);
  });

  it('writes strings, empty ones, null ones, and lists of them', async () => {
    await expectRoundTrip(only(strings()), ZSTD, [2]);
    await expectRoundTrip(only({ ...strings(), valid: Uint8Array.of(1, 0, 1, 1) }, true), ZSTD);
    await expectRoundTrip(only(listOf(strings(), [2, 0, 1])), ZSTD);
  });

  it('keeps types, nullability, titles and metadata', async () => {
    const fields: Field[] = [
      { name: 'run', type: flat('u32'), nullable: false, doc: 'run/i' },
      { name: 'Jet_pt', type: list(flat('f32')), nullable: true, doc: 'pt of “jets”' },
      { name: 'fixed', type: list(flat('u8'), 2), nullable: false },
    ];
    const u32 = flatOf('u32', noise(8));
    const columns = [u32, listOf(flatOf('f32', noise(12)), [1, 2]), listOf(flatOf('u8', noise(4)), [2, 2])];
    const { path } = await writeTable({ schema: { fields }, columns, rows: 2 }, ZSTD);
    const { file, schema } = await readTable(path);
    expect(schema.fields.map(({ name, nullable }) => [name, nullable])).toEqual([
      ['run', false],
      ['Jet_pt', true],
      ['fixed', false],
    ]);
    expect(schema.fields.map(({ doc }) => doc ?? '')).toEqual(['run/i', 'pt of “jets”', '']);
    expect(schema.fields.map(({ type }) => type.kind)).toEqual(['flat', 'list', 'list']);
    expect(parquetMetadata(file.descriptor).get('note')).toBe('kept');
  });

  it('any row groups give the same values', async () => {
    const column = listOf(
      flatOf('u64', noise(4000)),
      Array.from({ length: 200 }, (_, i) => (i * 13) % 5),
    );
    const cuts = fc.uniqueArray(fc.nat(200), { maxLength: 5 }).map((at) => at.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        await expectRoundTrip(only(column), ZSTD, at);
      }),
      { numRuns: 25 },
    );
  });

  it('gives the same bytes for the same data, in calls for all columns or one', async () => {
    const fields: Field[] = ['a', 'b'].map((name) => ({ name, type: list(flat('f32')), nullable: false }));
    const first = listOf(flatOf('f32', noise(400)), [3, 0, 90]);
    const columns = [first, { ...first, items: flatOf('f32', noise(372, 5)) }];
    const table = { schema: { fields }, columns, rows: 3 };
    const [one, two] = [await writeTable(table, ZSTD), await writeTable(table, ZSTD)];
    expect(readFileSync(one.path)).toEqual(readFileSync(two.path));
    const together = await parquet.encode(fields, columns, ZSTD);
    const apart = await Promise.all(fields.map((field, i) => parquet.encode([field], [columns[i]!], ZSTD)));
    expect(apart.flat()).toEqual(together);
  });

  it('tells the sha256 of each row group over its column chunks, and the size of the file', async () => {
    const { path, fingerprint } = await writeTable(only(flatOf('i32', noise(400))), ZSTD, [60]);
    const bytes = readFileSync(path);
    expect(fingerprint.bytes).toBe(bytes.length);
    const { file } = await readTable(path);
    const groups = parquetRowGroups(file.descriptor).map(({ rows, chunks }) => {
      const hash = createHash('sha256');
      for (const chunk of chunks) hash.update(bytes.subarray(chunk.start, chunk.start + chunk.bytes));
      return { rows, sha256: hash.digest('hex') };
    });
    expect(fingerprint.rowGroups).toEqual(groups);
    expect(groups.map(({ rows }) => rows)).toEqual([60, 40]);
  });

  it('writes a file of no rows, with one empty row group', async () => {
    const { path, fingerprint } = await writeTable(only(flatOf('u64', new Uint8Array(0))), ZSTD);
    const { file, rows } = await readTable(path);
    expect(rows).toBe(0);
    expect(parquetRowGroups(file.descriptor)).toHaveLength(1);
    expect(fingerprint.rowGroups).toEqual([{ rows: 0, sha256: createHash('sha256').digest('hex') }]);
  });

  it('chooses encodings by the data of the chunk', async () => {
    const encodings = async (dtype: Dtype, bytes: Uint8Array) => {
      const table = only(flatOf(dtype, bytes));
      return (await parquet.encode(table.schema.fields, table.columns, ZSTD))[0]!.encodings;
    };
    const counting = new Uint8Array(BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(i * 3 + (i % 5))).buffer);
    expect(await encodings('f32', noise(8000))).toContain(Encoding.BYTE_STREAM_SPLIT);
    expect(await encodings('u64', counting)).toContain(Encoding.DELTA_BINARY_PACKED);
    expect(await encodings('u64', noise(80_000))).toEqual([Encoding.PLAIN, Encoding.RLE]);
    expect(await encodings('f32', new Uint8Array(8000))).toContain(Encoding.RLE_DICTIONARY);
    expect(await encodings('bool', new Uint8Array(80_000))).toEqual([Encoding.RLE]);
  });

  it('takes a dictionary for 256 distinct values and none for 257, wherever the last one stands', async () => {
    for (const [dtype, make] of [
      ['u16', Uint16Array],
      ['i32', Int32Array],
      ['f64', Float64Array],
    ] as const) {
      const values = new make(20_000);
      for (let i = 0; i < values.length; i++) values[i] = (i * 7919) % 256;
      const column: Column = { kind: 'flat', dtype, length: values.length, values };
      const table = only(column);
      const used = async () => (await parquet.encode(table.schema.fields, table.columns, ZSTD))[0]!.encodings;
      expect(await used()).toContain(Encoding.RLE_DICTIONARY);
      await expectRoundTrip(table, ZSTD);
      values[19_999] = 300;
      expect(await used()).not.toContain(Encoding.RLE_DICTIONARY);
      await expectRoundTrip(table, ZSTD);
    }
  });

  it('keeps small, negative and far integers apart in one dictionary, and results that own their bytes', async () => {
    const drawn = [0, -1, 2047, 2048, -2048, -2049, 2 ** 31 - 1, -(2 ** 31), 4096, 1 << 20];
    const values = Int32Array.from({ length: 30_000 }, (_, i) => drawn[((i * 7919) >> 3) % drawn.length]!);
    const table = only({ kind: 'flat', dtype: 'i32', length: values.length, values });
    await expectRoundTrip(table, ZSTD);
    const [first] = await parquet.encode(table.schema.fields, table.columns, ZSTD);
    const before = Buffer.from(first!.bytes);
    expect(first!.encodings).toContain(Encoding.RLE_DICTIONARY);
    expect(first!.bytes.byteLength).toBe(first!.bytes.buffer.byteLength);
    // What the next column is made in must not be what the last one is.
    await parquet.encode(
      table.schema.fields,
      [{ ...table.columns[0]!, values: values.map((v) => v ^ 5) } as Column],
      ZSTD,
    );
    expect(before.equals(first!.bytes)).toBe(true);
  });

  it('gives integers bounds in their own order, and floats none', async () => {
    const bounds = async (column: Column, nullable = false) => {
      const table = only(column, nullable);
      return (await parquet.encode(table.schema.fields, table.columns, ZSTD))[0]!;
    };
    const u64 = await bounds({ kind: 'flat', dtype: 'u64', length: 3, values: BigUint64Array.of(5n, 2n ** 63n, 7n) });
    expect(Buffer.from(u64.bounds!.max).readBigUInt64LE()).toBe(2n ** 63n);
    expect(Buffer.from(u64.bounds!.min).readBigUInt64LE()).toBe(5n);
    const i64 = await bounds({ kind: 'flat', dtype: 'i64', length: 2, values: BigInt64Array.of(5n, -(2n ** 63n)) });
    expect(Buffer.from(i64.bounds!.min).readBigInt64LE()).toBe(-(2n ** 63n));
    const i8 = await bounds({ kind: 'flat', dtype: 'i8', length: 2, values: Int8Array.of(5, -3) });
    expect(Buffer.from(i8.bounds!.min).readInt32LE()).toBe(-3);
    const nulls = await bounds(
      withNulls({ kind: 'flat', dtype: 'u8', length: 2, values: Uint8Array.of(0, 9) }, 2),
      true,
    );
    expect(Buffer.from(nulls.bounds!.min).readInt32LE()).toBe(9);
    expect(nulls.nulls).toBe(1);
    expect((await bounds(flatOf('f32', noise(40)))).bounds).toBeUndefined();
  });

  it('refuses no column, no name, one name twice, and nulls that the schema denies', async () => {
    const x = { name: 'x', type: flat('u8'), nullable: false };
    expect(() => parquet.check({ fields: [] })).toThrow('no column');
    expect(() => parquet.check({ fields: [x, x] })).toThrow('two columns are called "x"');
    expect(() => parquet.check({ fields: [{ ...x, name: '' }] })).toThrow('without a name');
    const column = withNulls(flatOf('u8', noise(4)), 2);
    await expect(parquet.encode([x], [column], ZSTD)).rejects.toThrow('nulls in a column declared without');
    const items = listOf(column, [4]);
    await expect(parquet.encode([{ ...x, type: list(x.type) }], [items], ZSTD)).rejects.toThrow('null items');
  });

  it('leaves nothing after abort', async () => {
    const path = join(folder, 'aborted.parquet');
    const table = only(flatOf('i32', noise(400)));
    const sink = await parquet.open(path, table.schema, { ...ZSTD, force: false });
    await sink.append(100, await parquet.encode(table.schema.fields, table.columns, ZSTD));
    await sink.abort();
    expect(readdirSync(folder).filter((name) => name.includes('aborted'))).toEqual([]);
  });

  it('says the version of package.json and nothing of the machine', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(CREATED_BY).toBe(`colweave version ${version}`);
  });

  it('is found by name; a name that is not there is told with the near ones', async () => {
    expect((await openSink('parquet')).name).toBe('parquet');
    await expect(openSink('parket')).rejects.toMatchObject({
      code: 'usage/bad-option',
      near: ['parquet'],
    });
  });
});
