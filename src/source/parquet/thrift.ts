// Owns reading of the Thrift compact protocol, with limits: no length is believed before the bytes behind it are seen.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
import { ColweaveError } from '../../core/errors.ts';
import { ThriftType } from '../../core/parquet-format.ts';

/** Reads move `at`; nothing at or beyond `end` is touched. */
export interface ThriftCursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
}

/** Structures of the Parquet format nest 5 deep. */
const DEPTH_MAX = 32;
const VARINT_BYTES_MAX = 10;

const decoder = new TextDecoder();

export function thriftCursor(bytes: Uint8Array, at = 0, end = bytes.length): ThriftCursor {
  return { bytes, at, end };
}

export function damaged(message: string): ColweaveError {
  return new ColweaveError('source/damaged', message);
}

/**
 * Reads one struct. `onField` is called per field with the cursor at its value; it returns false for a field that it did
 * not read, which is then skipped.
 */
export function readStruct(cursor: ThriftCursor, onField: (id: number, type: number) => boolean): void {
  let id = 0;
  for (;;) {
    const head = readByte(cursor);
    if (head === ThriftType.STOP) return;
    const step = head >> 4;
    id = step === 0 ? readZigzag(cursor) : id + step;
    const type = head & 15;
    if (!onField(id, type)) skip(cursor, type, 0);
  }
}

/** An integer of 8 to 64 bits that a number holds exactly. */
export function readInteger(cursor: ThriftCursor, type: number): number {
  if (type === ThriftType.BYTE) return (readByte(cursor) << 24) >> 24;
  if (type !== ThriftType.I16 && type !== ThriftType.I32 && type !== ThriftType.I64) {
    throw damaged(`thrift: an integer is of type ${type}`);
  }
  return readZigzag(cursor);
}

/** A size, count or offset: an integer that is not negative. */
export function readCount(cursor: ThriftCursor, type: number): number {
  const value = readInteger(cursor, type);
  if (value < 0) throw damaged(`a size or count is negative (${value})`);
  return value;
}

export function readBool(type: number): boolean {
  if (type !== ThriftType.TRUE && type !== ThriftType.FALSE) throw damaged(`thrift: a boolean is of type ${type}`);
  return type === ThriftType.TRUE;
}

export function readText(cursor: ThriftCursor, type: number): string {
  if (type !== ThriftType.BINARY) throw damaged(`thrift: a string is of type ${type}`);
  const length = readLength(cursor);
  const text = decoder.decode(cursor.bytes.subarray(cursor.at, cursor.at + length));
  cursor.at += length;
  return text;
}

/** Calls `onItem` for each element, with the cursor at its value. */
export function readList(cursor: ThriftCursor, type: number, onItem: (type: number) => void): void {
  if (type !== ThriftType.LIST && type !== ThriftType.SET) throw damaged(`thrift: a list is of type ${type}`);
  const { count, itemType } = readListHead(cursor);
  for (let i = 0; i < count; i++) onItem(itemType);
}

export function expectStruct(type: number): void {
  if (type !== ThriftType.STRUCT) throw damaged(`thrift: a struct is of type ${type}`);
}

function readListHead(cursor: ThriftCursor): { readonly count: number; readonly itemType: number } {
  const head = readByte(cursor);
  const count = head >> 4 === 15 ? readVarint(cursor) : head >> 4;
  // every element has at least one byte
  if (count > cursor.end - cursor.at) throw damaged(`thrift: a list of ${count} elements runs over the end`);
  return { count, itemType: head & 15 };
}

function readLength(cursor: ThriftCursor): number {
  const length = readVarint(cursor);
  if (length > cursor.end - cursor.at) throw damaged(`thrift: ${length} bytes run over the end`);
  return length;
}

function readByte(cursor: ThriftCursor): number {
  if (cursor.at >= cursor.end) throw damaged('thrift: the structure runs over the end');
  return cursor.bytes[cursor.at++]!;
}

function readVarint(cursor: ThriftCursor): number {
  const value = readVarint64(cursor);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`thrift: number ${value} is too large`);
  return Number(value);
}

function readZigzag(cursor: ThriftCursor): number {
  const first = readByte(cursor);
  if (first < 0x80) return (first >>> 1) ^ -(first & 1);
  cursor.at--;
  const raw = readVarint64(cursor);
  const value = (raw >> 1n) ^ -(raw & 1n);
  const exact = Number(value);
  if (!Number.isSafeInteger(exact)) throw damaged(`thrift: number ${value} is too large`);
  return exact;
}

function readVarint64(cursor: ThriftCursor): bigint {
  let low = 0;
  let scale = 1;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = readByte(cursor);
    if (i === 7) return readVarintTail(cursor, BigInt(low), byte);
    low += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return BigInt(low);
  }
  throw damaged('thrift: a number has too many bytes');
}

/** From the eighth byte on a number no longer holds the sum exactly. */
function readVarintTail(cursor: ThriftCursor, low: bigint, eighth: number): bigint {
  let value = low;
  let byte = eighth;
  for (let i = 7; i < VARINT_BYTES_MAX; i++) {
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return BigInt.asUintN(64, value);
    byte = readByte(cursor);
  }
  throw damaged('thrift: a number has too many bytes');
}

function skip(cursor: ThriftCursor, type: number, depth: number): void {
  if (depth > DEPTH_MAX) throw damaged('thrift: structures nest too deeply');
  switch (type) {
    case ThriftType.TRUE:
    case ThriftType.FALSE:
      return;
    case ThriftType.BYTE:
      readByte(cursor);
      return;
    case ThriftType.I16:
    case ThriftType.I32:
    case ThriftType.I64:
      readVarint64(cursor);
      return;
    case ThriftType.DOUBLE:
      for (let i = 0; i < 8; i++) readByte(cursor);
      return;
    case ThriftType.BINARY:
      skipBytes(cursor, readLength(cursor));
      return;
    case ThriftType.LIST:
    case ThriftType.SET:
      skipList(cursor, depth);
      return;
    case ThriftType.MAP:
      skipMap(cursor, depth);
      return;
    case ThriftType.STRUCT:
      for (;;) {
        const head = readByte(cursor);
        if (head === ThriftType.STOP) return;
        if (head >> 4 === 0) readVarint64(cursor);
        skip(cursor, head & 15, depth + 1);
      }
    default:
      throw damaged(`thrift: type ${type} does not exist`);
  }
}

function skipBytes(cursor: ThriftCursor, length: number): void {
  cursor.at += length;
}

/** In a list, booleans take a byte each. */
function skipItem(cursor: ThriftCursor, type: number, depth: number): void {
  if (type === ThriftType.TRUE || type === ThriftType.FALSE) readByte(cursor);
  else skip(cursor, type, depth + 1);
}

function skipList(cursor: ThriftCursor, depth: number): void {
  const { count, itemType } = readListHead(cursor);
  for (let i = 0; i < count; i++) skipItem(cursor, itemType, depth);
}

function skipMap(cursor: ThriftCursor, depth: number): void {
  const count = readLength(cursor);
  if (count === 0) return;
  const types = readByte(cursor);
  for (let i = 0; i < count; i++) {
    skipItem(cursor, types >> 4, depth);
    skipItem(cursor, types & 15, depth);
  }
}
