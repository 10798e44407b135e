// Owns reading RNTuple's basic types and frames: little-endian, every read inside what the frame around it says.
// Format: https://github.com/root-project/root/blob/master/tree/ntuple/doc/BinaryFormatSpecification.md
import { ColweaveError } from '../../core/errors.ts';

/** A place in bytes, and where what is read there ends. */
export interface Cursor {
  readonly view: DataView;
  at: number;
  readonly end: number;
}

export interface Frame {
  readonly inside: Cursor;
  /** Of a list; 0 in a record. */
  readonly items: number;
}

const FRAME_BYTES_MIN = 8;
const LIST_FRAME_BYTES_MIN = 12;

export function cursorOf(bytes: Uint8Array): Cursor {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0, end: bytes.length };
}

function take(cursor: Cursor, length: number): number {
  const { at } = cursor;
  if (!(length >= 0 && at + length <= cursor.end)) throw damaged('a record is shorter than it says');
  cursor.at = at + length;
  return at;
}

export const u16 = (cursor: Cursor): number => cursor.view.getUint16(take(cursor, 2), true);
export const u32 = (cursor: Cursor): number => cursor.view.getUint32(take(cursor, 4), true);
export const i32 = (cursor: Cursor): number => cursor.view.getInt32(take(cursor, 4), true);
export const f64 = (cursor: Cursor): number => cursor.view.getFloat64(take(cursor, 8), true);
export const bits64 = (cursor: Cursor): bigint => cursor.view.getBigUint64(take(cursor, 8), true);

/** A signed 64-bit count or position. One beyond 2^53 is damage: no file has it. */
export function i64(cursor: Cursor): number {
  const at = take(cursor, 8);
  const value = cursor.view.getInt32(at + 4, true) * 2 ** 32 + cursor.view.getUint32(at, true);
  if (!Number.isSafeInteger(value) && value !== -(2 ** 63)) throw damaged('a number is impossibly large');
  return value;
}

export function u64(cursor: Cursor): number {
  const value = i64(cursor);
  if (value < 0) throw damaged('a number is impossibly large');
  return value;
}

export function text(cursor: Cursor): string {
  const length = u32(cursor);
  const at = take(cursor, length);
  return Buffer.from(cursor.view.buffer, cursor.view.byteOffset + at, length).toString('utf8');
}

/** The record at the cursor, which goes on behind it: what a newer writer added inside is skipped. */
export function record(cursor: Cursor): Cursor {
  const start = cursor.at;
  const size = i64(cursor);
  if (size < FRAME_BYTES_MIN) throw damaged('a list is where a record should be');
  return within(cursor, start, size);
}

export function list(cursor: Cursor): Frame {
  const start = cursor.at;
  const size = -i64(cursor);
  if (size < LIST_FRAME_BYTES_MIN) throw damaged('a record is where a list should be');
  const items = u32(cursor);
  return { inside: within(cursor, start, size), items };
}

function within(cursor: Cursor, start: number, size: number): Cursor {
  const { at } = cursor;
  cursor.at = start;
  take(cursor, size);
  return { view: cursor.view, at, end: start + size };
}

/** Each item of the list at the cursor, which is a record. */
export function records<T>(cursor: Cursor, read: (item: Cursor) => T): T[] {
  const { inside, items } = list(cursor);
  const out: T[] = []; // grows with what is there, not with what the list says
  for (let i = 0; i < items; i++) out.push(read(record(inside)));
  return out;
}

export function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
