// Entries of the cache: every type comes back bit by bit, and no byte can change or go without being noticed.
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CHUNK_ROWS, DamagedEntry, openEntry, writeEntry } from '../../src/cache/column-entry.ts';
import { columnKey } from '../../src/cache/entry-name.ts';
import { openCache } from '../../src/cache/jobs.ts';
import { newFile } from '../../src/cache/place.ts';
import { type Column, sliceColumn } from '../../src/core/column.ts';
import { bitsOf, DTYPES, type Dtype, dtypeBytes, viewAs } from '../../src/core/dtype.ts';
import { type ColumnType, flat, list, utf8 } from '../../src/core/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-entry-'));
const job = openCache({ folder: join(folder, 'cache'), offline: false, always: true });
afterAll(() => {
  job.close();
  rmSync(folder, { recursive: true });
});

const key = columnKey({ size: 1, id: 'x', entries: 2, tree: 'Events' }, 'c');
let serial = 0;

function stored(type: ColumnType, column: Column): string {
  const path = join(folder, `${serial++}.col`);
  const file = newFile(job.access, 'test');
  const field = { name: 'c', type, nullable: column.valid !== undefined };
  const writer = writeEntry(file, { key, uri: 'test', field, rows: column.length });
  for (let at = 0; at < column.length; at += CHUNK_ROWS) {
    writer.add(sliceColumn(column, at, Math.min(column.length, at + CHUNK_ROWS)));
  }
  writer.finish();
  file.publish(path);
  return path;
}

function readBack(path: string, start: number, end: number): Column {
  const reader = openEntry(path, key)!;
  try {
    return reader.read(start, end);
  } finally {
    reader.close();
  }
}

/** Numbers as bits: a NaN is not any NaN. */
function plain(column: Column): unknown[] {
  return Array.from({ length: column.length }, (_, i) => {
    if (column.valid !== undefined && column.valid[i] === 0) return null;
    if (column.kind === 'flat') return bitsOf(column.values)[i];
    const [from, to] = [column.offsets[i]!, column.offsets[i + 1]!];
    if (column.kind === 'utf8') return Buffer.from(column.bytes.subarray(from, to)).toString('hex');
    return plain(sliceColumn(column.items, from, to));
  });
}

/** Any bits: signalling NaNs, -0 and denormals are among them, and put first. */
function bits(dtype: Dtype, length: number, valid?: Uint8Array): Column {
  const bytes = new Uint8Array(length * dtypeBytes(dtype));
  for (let i = 0, state = 12345; i < bytes.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = dtype === 'bool' ? state >>> 31 : state >>> 24;
  }
  if (dtype === 'f32' && length >= 3) bytes.set([1, 0, 0xa0, 0x7f, 0, 0, 0, 0x80, 1, 0, 0, 0]);
  if (dtype === 'f64' && length >= 2) bytes.set([1, 0, 0, 0, 0, 0, 0xf4, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x80]);
  return { kind: 'flat', dtype, length, values: viewAs(dtype, bytes.buffer, 0, length), valid };
}

/** 0, 1, 2, 3, 0, ... items. */
function lists(rows: number, make: (items: number) => Column, valid?: Uint8Array): Column {
  const offsets = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++) offsets[i + 1] = offsets[i]! + (valid?.[i] === 0 ? 0 : i % 4);
  return { kind: 'list', length: rows, offsets, items: make(offsets[rows]!), valid };
}

function texts(rows: number): Column {
  const words = Array.from({ length: rows }, (_, i) => Buffer.from('µ→ e\0'.repeat(i % 3)));
  const offsets = new Int32Array(rows + 1);
  for (const [i, word] of words.entries()) offsets[i + 1] = offsets[i]! + word.length;
  return { kind: 'utf8', length: rows, offsets, bytes: new Uint8Array(Buffer.concat(words)) };
}

const someNull = (rows: number) => Uint8Array.from({ length: rows }, (_, i) => (i % 5 === 2 ? 0 : 1));

const CASES: readonly (readonly [name: string, type: ColumnType, column: Column])[] = [
  ...DTYPES.map((dtype) => [dtype, flat(dtype), bits(dtype, 100)] as const),
  ['nulls', flat('f64'), bits('f64', 100, someNull(100))],
  ['text', utf8, texts(100)],
  ['lists', list(flat('f32')), lists(100, (items) => bits('f32', items))],
  ['null lists', list(flat('i16')), lists(100, (items) => bits('i16', items), someNull(100))],
  ['lists of text', list(utf8), lists(100, texts)],
  ['lists of lists', list(list(flat('u64'))), lists(100, (rows) => lists(rows, (items) => bits('u64', items)))],
  ['lists with null items', list(flat('u8')), lists(100, (items) => bits('u8', items, someNull(items)))],
  ['empty lists', list(flat('f64')), { kind: 'list', length: 3, offsets: new Int32Array(4), items: bits('f64', 0) }],
];

it.each(CASES)('brings back %s, any rows', (_name, type, column) => {
  const path = stored(type, column);
  const expected = plain(column);
  expect(plain(readBack(path, 0, column.length))).toEqual(expected);
  expect(plain(readBack(path, 1, column.length - 1))).toEqual(expected.slice(1, -1));
  expect(readBack(path, 2, 2).length).toBe(0);
});

it('brings back a column without rows', () => {
  expect(readBack(stored(flat('f32'), bits('f32', 0)), 0, 0).length).toBe(0);
});

it('reads over the ends of chunks', () => {
  const rows = 2 * CHUNK_ROWS + 5;
  const column = lists(rows, (items) => bits('f32', items));
  const path = stored(list(flat('f32')), column);
  for (const [start, end] of [
    [CHUNK_ROWS - 3, CHUNK_ROWS + 3],
    [CHUNK_ROWS - 1, rows],
    [2 * CHUNK_ROWS, rows],
  ] as const) {
    expect(plain(readBack(path, start, end))).toEqual(plain(sliceColumn(column, start, end)));
  }
});

it('notices each byte that is another, and each that is not there', () => {
  const path = stored(
    list(flat('f32')),
    lists(12, (items) => bits('f32', items)),
  );
  const whole = readFileSync(path);
  const unnoticed: string[] = [];
  const look = (what: string) => {
    try {
      readBack(path, 0, 12);
      unnoticed.push(what);
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
    }
  };
  const descriptor = openSync(path, 'r+');
  for (const [at, byte] of whole.entries()) {
    writeSync(descriptor, Uint8Array.of(byte ^ (1 << (at % 8))), 0, 1, at);
    look(`byte ${at}`);
    writeSync(descriptor, Uint8Array.of(byte), 0, 1, at);
  }
  expect(readBack(path, 0, 12).length).toBe(12);
  writeSync(descriptor, Uint8Array.of(0), 0, 1, whole.length);
  look('one more byte');
  for (let length = whole.length - 1; length >= 0; length--) {
    ftruncateSync(descriptor, length);
    look(`cut at ${length}`);
  }
  closeSync(descriptor);
  expect(unnoticed).toEqual([]);
});

it('is not taken for the entry of another column', () => {
  const path = stored(flat('u8'), bits('u8', 3));
  expect(() => openEntry(path, { ...key, column: 'd' })).toThrow(DamagedEntry);
});
