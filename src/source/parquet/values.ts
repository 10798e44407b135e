// Owns the values of a page: PLAIN, dictionary, BYTE_STREAM_SPLIT and RLE encodings to bytes of fixed width or to text.
import { joinBytes, spreadBits, wordsKernel } from '../../codec/page-kernels.ts';
import { wordsOf } from '../../core/dtype.ts';
import { Encoding, PhysicalType } from '../../core/parquet-format.ts';
import { type ByteCursor, byteCursor, decodeHybrid } from './bits.ts';
import { decodeDelta, decodeDeltaLength, decodeDeltaText } from './delta.ts';
import { damaged } from './thrift.ts';

export type PageValues = FixedValues | TextValues;

/** `count` values of `width` bytes, as stored (bool: one byte a value), where a typed array can view them. */
export interface FixedValues {
  readonly kind: 'fixed';
  readonly count: number;
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** Makes room for the values of a page, at a multiple of their width in its buffer. What is there is written over. */
export type Room = (bytes: number) => Uint8Array;

const fresh: Room = (bytes) => new Uint8Array(bytes);

/** Value i is bytes[offsets[i] .. offsets[i + 1]). */
export interface TextValues {
  readonly kind: 'text';
  readonly count: number;
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
}

/** What a decoder must know of a leaf. */
export interface Physical {
  readonly physical: number;
  readonly typeBytes: number;
}

const TEXT_BYTES_MAX = 2 ** 30;
/** Values of fixed length are decimals of up to 20 digits, or refused by the schema. */
const FIXED_BYTES_MAX = 1 << 16;

/** Bytes of a value in memory; 0 = of any length. */
export function valueWidth({ physical, typeBytes }: Physical): number {
  switch (physical) {
    case PhysicalType.BOOLEAN:
      return 1;
    case PhysicalType.INT32:
    case PhysicalType.FLOAT:
      return 4;
    case PhysicalType.INT64:
    case PhysicalType.DOUBLE:
      return 8;
    case PhysicalType.FIXED_LEN_BYTE_ARRAY:
      if (typeBytes < 1 || typeBytes > FIXED_BYTES_MAX) throw damaged(`values of ${typeBytes} bytes`);
      return typeBytes;
    default:
      return 0;
  }
}

/** The `count` values that are encoded in all of `source`; most encodings of fixed width put them where `room` says. */
export function decodeValues(
  leaf: Physical,
  encoding: number,
  source: Uint8Array,
  count: number,
  dictionary: PageValues | undefined,
  room: Room = fresh,
): PageValues {
  const cursor = byteCursor(source);
  switch (encoding as Encoding) {
    case Encoding.PLAIN:
      return decodePlain(leaf, cursor, count, room);
    case Encoding.PLAIN_DICTIONARY:
    case Encoding.RLE_DICTIONARY:
      return decodeDictionary(cursor, count, dictionary, room);
    case Encoding.RLE:
      return decodeBooleanRuns(leaf, cursor, count, room);
    case Encoding.BYTE_STREAM_SPLIT:
      return decodeStreams(leaf, cursor, count, room);
    case Encoding.DELTA_BINARY_PACKED:
      return decodeDeltaIntegers(leaf, cursor, count);
    case Encoding.DELTA_LENGTH_BYTE_ARRAY:
      if (leaf.physical !== PhysicalType.BYTE_ARRAY) throw misplaced(encoding, leaf);
      return decodeDeltaLength(cursor, count);
    case Encoding.DELTA_BYTE_ARRAY:
      return decodeDeltaBytes(leaf, cursor, count);
    case Encoding.BIT_PACKED:
      throw misplaced(encoding, leaf);
    default:
      throw damaged(`encoding ${encoding} is not part of the format`);
  }
}

function misplaced(encoding: number, leaf: Physical): Error {
  return damaged(`encoding ${encoding} does not go with physical type ${leaf.physical}`);
}

export function decodePlain(leaf: Physical, cursor: ByteCursor, count: number, room: Room = fresh): PageValues {
  const width = valueWidth(leaf);
  if (width === 0) return decodePlainText(cursor, count);
  if (leaf.physical === PhysicalType.BOOLEAN) {
    if (Math.ceil(count / 8) > cursor.end - cursor.at) throw damaged('values run over the end of the page');
    const bits = room(count);
    spreadBits(cursor.bytes.subarray(cursor.at, cursor.end), 0, count, bits);
    return { kind: 'fixed', count, width, bytes: bits };
  }
  return { kind: 'fixed', count, width, bytes: takeBytes(cursor, count * width, room) };
}

/** A copy where a typed array can view it, which the page itself may not be. */
function takeBytes(cursor: ByteCursor, length: number, room: Room): Uint8Array {
  if (length > cursor.end - cursor.at) throw damaged('values run over the end of the page');
  const bytes = room(length);
  bytes.set(cursor.bytes.subarray(cursor.at, cursor.at + length));
  return bytes;
}

function decodePlainText(cursor: ByteCursor, count: number): TextValues {
  const { bytes, end } = cursor;
  if (count * 4 > end - cursor.at) throw damaged('strings run over the end of the page');
  const offsets = new Int32Array(count + 1);
  let at = cursor.at;
  for (let i = 0; i < count; i++) {
    if (end - at < 4) throw damaged('strings run over the end of the page');
    const length = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    at += 4;
    if (length < 0 || length > end - at) throw damaged(`a string of ${length >>> 0} bytes runs over the page`);
    at += length;
    offsets[i + 1] = offsets[i]! + length;
  }
  const text = new Uint8Array(offsets[count]!);
  at = cursor.at;
  for (let i = 0; i < count; i++) {
    const to = offsets[i]!;
    const length = offsets[i + 1]! - to;
    at += 4;
    copyBytes(bytes, at, length, text, to);
    at += length;
  }
  return { kind: 'text', count, offsets, bytes: text };
}

function copyBytes(source: Uint8Array, at: number, length: number, target: Uint8Array, to: number): void {
  if (length > 32) target.set(source.subarray(at, at + length), to);
  else for (let k = 0; k < length; k++) target[to + k] = source[at + k]!;
}

function decodeDictionary(
  cursor: ByteCursor,
  count: number,
  dictionary: PageValues | undefined,
  room: Room,
): PageValues {
  if (dictionary === undefined) throw damaged('a page needs a dictionary, and there is none');
  if (dictionary.kind === 'fixed' && dictionary.width === 4 && count > 0 && cursor.at < cursor.end) {
    const bytes = room(count * 4);
    const { bytes: page, at, end } = cursor;
    const part = { page, from: at + 1, end, width: page[at]! };
    if (wordsKernel(part, wordsOf(dictionary.bytes), wordsOf(bytes))) return { kind: 'fixed', count, width: 4, bytes };
  }
  const indices = indexRoom(count);
  if (count > 0) {
    if (cursor.at >= cursor.end) throw damaged('a page of dictionary indices is empty');
    const width = cursor.bytes[cursor.at++]!;
    if (width === 0) indices.fill(0);
    decodeHybrid(cursor, width, indices);
  }
  let largest = 0;
  for (let i = 0; i < count; i++) if (indices[i]! > largest) largest = indices[i]!;
  if (count > 0 && largest >= dictionary.count) {
    throw damaged(`index ${largest} into a dictionary of ${dictionary.count} values`);
  }
  return dictionary.kind === 'fixed' ? gatherFixed(dictionary, indices, room) : gatherText(dictionary, indices);
}

let indexScratch = new Uint32Array(0);
/** More than this is not kept for the next page. */
const INDICES_KEPT_MAX = 1 << 20;

/** Every index is written before it is read. */
function indexRoom(count: number): Uint32Array {
  if (count > INDICES_KEPT_MAX) return new Uint32Array(count);
  if (indexScratch.length < count) indexScratch = new Uint32Array(count);
  return indexScratch.subarray(0, count);
}

function gatherFixed(dictionary: FixedValues, indices: Uint32Array, room: Room): FixedValues {
  const { width } = dictionary;
  const count = indices.length;
  const bytes = room(count * width);
  if (width === 4) gather4(wordsOf(dictionary.bytes), indices, wordsOf(bytes));
  else if (width === 8) gather8(wordsOf(dictionary.bytes), indices, wordsOf(bytes));
  else for (let i = 0; i < count; i++) copyBytes(dictionary.bytes, indices[i]! * width, width, bytes, i * width);
  return { kind: 'fixed', count, width, bytes };
}

function gather4(from: Uint32Array, indices: Uint32Array, to: Uint32Array): void {
  for (let i = 0; i < indices.length; i++) to[i] = from[indices[i]!]!;
}

function gather8(from: Uint32Array, indices: Uint32Array, to: Uint32Array): void {
  for (let i = 0; i < indices.length; i++) {
    const k = indices[i]! * 2;
    to[2 * i] = from[k]!;
    to[2 * i + 1] = from[k + 1]!;
  }
}

function gatherText(dictionary: TextValues, indices: Uint32Array): TextValues {
  const count = indices.length;
  const from = dictionary.offsets;
  let total = 0;
  for (let i = 0; i < count; i++) total += from[indices[i]! + 1]! - from[indices[i]!]!;
  if (total > TEXT_BYTES_MAX) throw damaged(`${total} bytes of text in one page`);
  const offsets = new Int32Array(count + 1);
  const bytes = new Uint8Array(total);
  for (let i = 0; i < count; i++) {
    const start = from[indices[i]!]!;
    const length = from[indices[i]! + 1]! - start;
    const to = offsets[i]!;
    copyBytes(dictionary.bytes, start, length, bytes, to);
    offsets[i + 1] = to + length;
  }
  return { kind: 'text', count, offsets, bytes };
}

/** Booleans as the hybrid of levels, after 4 bytes that say its length. */
function decodeBooleanRuns(leaf: Physical, cursor: ByteCursor, count: number, room: Room): FixedValues {
  if (leaf.physical !== PhysicalType.BOOLEAN) throw misplaced(Encoding.RLE, leaf);
  const bytes = room(count);
  if (count === 0) return { kind: 'fixed', count, width: 1, bytes };
  if (cursor.end - cursor.at < 4) throw damaged('values run over the end of the page');
  cursor.at += 4;
  decodeHybrid(cursor, 1, bytes);
  return { kind: 'fixed', count, width: 1, bytes };
}

/** Byte k of every value lies in stream k. */
function decodeStreams(leaf: Physical, cursor: ByteCursor, count: number, room: Room): FixedValues {
  const width = valueWidth(leaf);
  if (width < 2 && leaf.physical !== PhysicalType.FIXED_LEN_BYTE_ARRAY)
    throw misplaced(Encoding.BYTE_STREAM_SPLIT, leaf);
  if (count * width > cursor.end - cursor.at) throw damaged('values run over the end of the page');
  const page = cursor.bytes.subarray(cursor.at, cursor.at + count * width);
  const bytes = room(count * width);
  if (width === 4 || width === 8) joinBytes({ page, elements: count, width, zigzag: false }, 0, count, bytes);
  else for (let k = 0; k < width; k++) for (let i = 0; i < count; i++) bytes[i * width + k] = page[k * count + i]!;
  return { kind: 'fixed', count, width, bytes };
}

function decodeDeltaIntegers(leaf: Physical, cursor: ByteCursor, count: number): FixedValues {
  if (leaf.physical !== PhysicalType.INT32 && leaf.physical !== PhysicalType.INT64) {
    throw misplaced(Encoding.DELTA_BINARY_PACKED, leaf);
  }
  const words = leaf.physical === PhysicalType.INT32 ? 1 : 2;
  return {
    kind: 'fixed',
    count,
    width: words * 4,
    bytes: new Uint8Array(decodeDelta(cursor, count, words).buffer),
  };
}

function decodeDeltaBytes(leaf: Physical, cursor: ByteCursor, count: number): PageValues {
  if (leaf.physical === PhysicalType.BYTE_ARRAY) return decodeDeltaText(cursor, count);
  if (leaf.physical !== PhysicalType.FIXED_LEN_BYTE_ARRAY) throw misplaced(Encoding.DELTA_BYTE_ARRAY, leaf);
  const width = valueWidth(leaf);
  const { offsets, bytes } = decodeDeltaText(cursor, count);
  for (let i = 0; i < count; i++) {
    if (offsets[i + 1]! - offsets[i]! !== width) throw damaged(`a value is not of ${width} bytes`);
  }
  return { kind: 'fixed', count, width, bytes };
}

/** Values from .. end (exclusive): a view where it can be one. */
export function sliceValues(values: PageValues, from: number, end: number): PageValues {
  if (from === 0 && end === values.count) return values;
  const count = end - from;
  if (values.kind === 'fixed') {
    const { width } = values;
    return { kind: 'fixed', count, width, bytes: values.bytes.slice(from * width, end * width) };
  }
  const first = values.offsets[from]!;
  const offsets = values.offsets.slice(from, end + 1);
  for (let i = 0; i <= count; i++) offsets[i]! -= first;
  return { kind: 'text', count, offsets, bytes: values.bytes.subarray(first, first + offsets[count]!) };
}

/** All values of the parts, one after the other. */
export function concatValues(leaf: Physical, parts: readonly PageValues[]): PageValues {
  if (parts.length === 1) return parts[0]!;
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.bytes.length, 0));
  const width = valueWidth(leaf);
  const offsets = width === 0 ? new Int32Array(count + 1) : undefined;
  if (bytes.length > 2 ** 31 - 1 && offsets !== undefined) throw damaged(`${bytes.length} bytes of text in one column`);
  let at = 0;
  let row = 0;
  for (const part of parts) {
    bytes.set(part.bytes, at);
    if (part.kind === 'text' && offsets !== undefined) {
      for (let i = 1; i <= part.count; i++) offsets[row + i] = at + part.offsets[i]!;
    }
    row += part.count;
    at += part.bytes.length;
  }
  if (offsets !== undefined) return { kind: 'text', count, offsets, bytes };
  return { kind: 'fixed', count, width, bytes };
}
