// The second writer: what it writes comes back right, and what it would change is refused by name.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { type Field, flat, list, utf8 } from '../../src/core/schema.ts';
import { parquetjs } from '../../src/sink/parquetjs.ts';
import type { SinkOptions } from '../../src/sink/types.ts';
import { parquetFormat, parquetRowGroups } from '../../src/source/parquet.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-js-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SNAPPY = { compression: 'snappy' } as const;
const fields: Field[] = [
  { name: 'run', type: flat('u32'), nullable: false, doc: 'run/i' },
  { name: 'event', type: flat('u64'), nullable: false },
  { name: 'shift', type: flat('i64'), nullable: true },
  { name: 'HLT', type: flat('bool'), nullable: false },
  { name: 'Jet_pt', type: list(flat('f32')), nullable: false },
  { name: 'label', type: utf8, nullable: true },
];
const columns: Column[] = [
  flatColumn('u32', Uint32Array.of(1, 2, 2 ** 31 - 1)),
  flatColumn('u64', BigUint64Array.of(0n, 2n ** 53n - 1n, 5_000_000_000n)),
  flatColumn('i64', BigInt64Array.of(-(2n ** 53n) + 1n, 0n, -1n), Uint8Array.of(1, 0, 1)),
  flatColumn('bool', Uint8Array.of(1, 0, 1)),
  {
    kind: 'list',
    length: 3,
    offsets: Int32Array.of(0, 1, 1, 3),
    items: flatColumn('f32', Float32Array.of(0.1, 1e-45, Number.POSITIVE_INFINITY)),
  },
  {
    kind: 'utf8',
    length: 3,
    offsets: Int32Array.of(0, 2, 2, 2),
    bytes: Buffer.from('é'),
    valid: Uint8Array.of(1, 0, 1),
  },
];

async function write(path: string, options: SinkOptions) {
  const sink = await parquetjs.open(path, { fields }, { ...options, force: false });
  await sink.append(3, await parquetjs.encode(fields, columns, options));
  await sink.append(3, await parquetjs.encode(fields, columns, options));
  await sink.finish({ note: 'kept' });
  const fingerprint = sink.fingerprint();
  await sink.commit();
  return fingerprint;
}

describe('the parquetjs sink', () => {
  it.each(['snappy', 'none'] as const)('writes what it can right (%s)', async (compression) => {
    const path = join(folder, `${compression}.parquet`);
    const fingerprint = await write(path, { compression });
    const file = await parquetFormat.open(path, {});
    expect(file.descriptor.schema.fields).toMatchObject(
      fields.map(({ name, type, nullable }) => ({ name, type, nullable })),
    );
    expect(file.descriptor.schema.fields[0]!.doc).toBe('run/i');
    const names = fields.map(({ name }) => name);
    const read = await file.read(names, 3, 6);
    await file.close();
    const [run, event, shift, hlt, jets, label] = read as [Column, Column, Column, Column, Column, Column];
    expect(run).toMatchObject({ values: (columns[0] as { values: unknown }).values });
    expect(event).toMatchObject({ values: BigUint64Array.of(0n, 2n ** 53n - 1n, 5_000_000_000n) });
    expect(shift).toMatchObject({
      values: BigInt64Array.of(-(2n ** 53n) + 1n, 0n, -1n),
      valid: Uint8Array.of(1, 0, 1),
    });
    expect(hlt).toMatchObject({ values: Uint8Array.of(1, 0, 1) });
    expect(jets).toMatchObject({ offsets: Int32Array.of(0, 1, 1, 3) });
    expect((jets as { items: unknown }).items).toMatchObject({
      values: Float32Array.of(0.1, 1e-45, Number.POSITIVE_INFINITY),
    });
    expect(label).toMatchObject({ offsets: Int32Array.of(0, 2, 2, 2), valid: Uint8Array.of(1, 0, 1) });
    const bytes = readFileSync(path);
    const groups = parquetRowGroups(file.descriptor).map(({ rows, chunks }) => {
      const hash = createHash('sha256');
      for (const chunk of chunks) hash.update(bytes.subarray(chunk.start, chunk.start + chunk.bytes));
      return { rows, sha256: hash.digest('hex') };
    });
    expect(fingerprint.rowGroups).toEqual(groups);
  });

  it.each<[string, Field['type'], boolean, Column]>([
    ['integers beyond 2^53', flat('u64'), false, flatColumn('u64', BigUint64Array.of(2n ** 53n))],
    ['integers beyond 2^53', flat('i64'), false, flatColumn('i64', BigInt64Array.of(-(2n ** 53n) - 1n))],
    ['integers above 2^31 - 1', flat('u32'), false, flatColumn('u32', Uint32Array.of(2 ** 31))],
    ['NaN', flat('f32'), false, flatColumn('f32', Float32Array.of(Number.NaN))],
    ['negative zero', flat('f64'), false, flatColumn('f64', Float64Array.of(-0))],
  ])('refuses %s (%j) by column', async (what, type, nullable, column) => {
    const field = { name: 'bad', type, nullable };
    parquetjs.check({ fields: [field] });
    await expect(parquetjs.encode([field], [column], SNAPPY)).rejects.toMatchObject({ code: 'sink/cannot-write-type' });
    await expect(parquetjs.encode([field], [column], SNAPPY)).rejects.toThrow(`cannot write ${what}: column "bad"`);
  });

  it.each<[string, Partial<Field>]>([
    ['lists that may be null', { type: list(flat('f32')), nullable: true }],
    ['lists of lists', { type: list(list(flat('f32'))) }],
    ['a column of such a name', { name: '17' }],
    ['a column of such a name', { name: 'a,b' }],
  ])('refuses %s by the schema', (what, change) => {
    const field = { name: 'bad', type: flat('f32'), nullable: false, ...change };
    expect(() => parquetjs.check({ fields: [field] })).toThrow(`cannot write ${what}: column "${field.name}"`);
  });

  it('refuses zstd and leaves nothing', async () => {
    const path = join(folder, 'zstd.parquet');
    await expect(write(path, { compression: 'zstd' })).rejects.toThrow('cannot compress with zstd');
    expect(readdirSync(folder).filter((name) => name.includes('zstd'))).toEqual([]);
  });
});
