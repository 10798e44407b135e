// Owns where the keys of all rows of a source are kept: in memory that threads share, or in scratch where memory is short.
import { invariant } from '../core/check.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import { readScratch, reserveScratch, type Scratch, writeScratch } from '../scratch/scratch.ts';
import { firstDifference } from './compare.ts';

/** Key words in scratch, as a table has them in memory. */
export interface ScratchKeys {
  readonly spec: KeySpec;
  readonly rows: number;
  readonly stride: number;
  readonly scratch: Scratch;
  readonly offset: number;
}

export type KeyStore = KeyTable | ScratchKeys;

/** Rows looked at a time where all are. */
const CHUNK_ROWS = 1 << 18;
/** Rows read at a time for one that is asked for: those asked for next are mostly near. */
const CURSOR_ROWS = 1 << 14;

export function inScratch(keys: KeyStore): keys is ScratchKeys {
  return 'scratch' in keys;
}

/** Room for the keys of so many rows. */
export function makeKeyStore(spec: KeySpec, rows: number, stride: number, scratch: Scratch | undefined): KeyStore {
  if (scratch === undefined) {
    return { spec, rows, stride, words: new Uint32Array(new SharedArrayBuffer(rows * stride * 4)) };
  }
  return { spec, rows, stride, scratch, offset: reserveScratch(scratch, rows * stride * 4) };
}

/** Rows start .. end: of what is in memory a view. */
export function keyRange(keys: KeyStore, start: number, end: number): KeyTable {
  const { spec, stride } = keys;
  invariant(start >= 0 && start <= end && end <= keys.rows, 'rows of the source');
  const rows = end - start;
  if (!inScratch(keys)) return { spec, rows, stride, words: keys.words.subarray(start * stride, end * stride) };
  const words = new Uint32Array(rows * stride);
  readScratch(keys.scratch, keys.offset + start * stride * 4, new Uint8Array(words.buffer));
  return { spec, rows, stride, words };
}

/** Puts the keys of rows firstRow .. into scratch. */
export function putKeys(keys: ScratchKeys, firstRow: number, words: Uint32Array<ArrayBuffer>): void {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  writeScratch(keys.scratch, keys.offset + firstRow * keys.stride * 4, bytes);
}

/** All rows in tables one after the other. */
export function* keyChunks(keys: KeyStore): Generator<{ readonly firstRow: number; readonly table: KeyTable }> {
  if (!inScratch(keys)) {
    yield { firstRow: 0, table: keys };
    return;
  }
  for (let start = 0; start < keys.rows; start += CHUNK_ROWS) {
    yield { firstRow: start, table: keyRange(keys, start, Math.min(keys.rows, start + CHUNK_ROWS)) };
  }
}

/** A table that has a row, and where its words begin in it; rows asked for in order are read once. */
export type KeyCursor = (row: number) => { readonly words: Uint32Array; readonly at: number };

export function keyCursor(keys: KeyStore): KeyCursor {
  const { stride } = keys;
  if (!inScratch(keys)) return (row) => ({ words: keys.words, at: row * stride });
  let first = 0;
  let table = keyRange(keys, 0, 0);
  return (row) => {
    if (row < first || row >= first + table.rows) {
      first = row;
      table = keyRange(keys, row, Math.min(keys.rows, row + CURSOR_ROWS));
    }
    return { words: table.words, at: (row - first) * stride };
  };
}

/** The keys of some rows, counted from `base`; of absent ones (-1) zeros. */
export function keysAt(keys: KeyStore, rows: Int32Array, base = 0): KeyTable {
  const { spec, stride } = keys;
  const words = new Uint32Array(rows.length * stride);
  if (!inScratch(keys)) copyKeys(keys.words.subarray(base * stride), rows, stride, words);
  else copyByCursor(keyCursor(keys), rows, base, stride, words);
  return { spec, rows: rows.length, stride, words };
}

function copyKeys(from: Uint32Array, rows: Int32Array, stride: number, out: Uint32Array): void {
  for (let i = 0, to = 0; i < rows.length; i++, to += stride) {
    const row = rows[i]!;
    if (row < 0) continue;
    for (let k = 0, at = row * stride; k < stride; k++) out[to + k] = from[at + k]!;
  }
}

function copyByCursor(cursor: KeyCursor, rows: Int32Array, base: number, stride: number, out: Uint32Array): void {
  for (let i = 0; i < rows.length; i++) if (rows[i]! >= 0) copyKey(cursor(base + rows[i]!), stride, out, i * stride);
}

/** The key that a cursor is at. */
export function copyKey(from: ReturnType<KeyCursor>, stride: number, out: Uint32Array, at: number): void {
  for (let k = 0; k < stride; k++) out[at + k] = from.words[from.at + k]!;
}

/** The first row whose keys differ, of the rows that both have, or -1. */
export function firstOtherKey(left: KeyStore, right: KeyStore): number {
  const rows = Math.min(left.rows, right.rows);
  const step = inScratch(left) || inScratch(right) ? CHUNK_ROWS : Math.max(1, rows);
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    const row = firstDifference(keyRange(left, start, end), 0, keyRange(right, start, end), 0, end - start);
    if (row >= 0) return start + row;
  }
  return -1;
}
