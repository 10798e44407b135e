// Owns the delta encodings: DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY.
// https://github.com/apache/parquet-format/blob/master/Encodings.md#delta-encoding-delta_binary_packed--5
import { type ByteCursor, bitsFrom, readVarint32 } from './bits.ts';
import { damaged } from './thrift.ts';
import type { TextValues } from './values.ts';

const BLOCK_VALUES_MAX = 1 << 20;
const VARINT_BYTES_MAX = 10;
/** Offsets are 32 bits, and a page of more text than this is not a real one. */
const TEXT_BYTES_MAX = 2 ** 30;

/** A 64-bit number as two words: 64-bit arithmetic on them is several times as fast as on BigInt. */
interface Wide {
  readonly low: number;
  readonly high: number;
}

/** `count` integers modulo 2^32 (words = 1) or 2^64 (words = 2: low, high). */
export function decodeDelta(cursor: ByteCursor, count: number, words: 1 | 2): Uint32Array<ArrayBuffer> {
  const blockValues = readVarint32(cursor);
  const miniblocks = readVarint32(cursor);
  const total = readVarint32(cursor);
  const first = readZigzag64(cursor);
  if (total !== count) throw damaged(`delta: ${total} values, expected ${count}`);
  if (miniblocks === 0 || blockValues > BLOCK_VALUES_MAX || blockValues % (miniblocks * 8) !== 0) {
    throw damaged(`delta: blocks of ${blockValues} values in ${miniblocks} parts`);
  }
  const out = new Uint32Array(count * words);
  if (count === 0) return out;
  out[0] = first.low;
  if (words === 2) out[1] = first.high;
  let filled = 1;
  while (filled < count) {
    const least = readZigzag64(cursor);
    const widthsAt = cursor.at;
    if (miniblocks > cursor.end - cursor.at) throw damaged('delta: a block runs over the end');
    cursor.at += miniblocks;
    for (let m = 0; m < miniblocks && filled < count; m++) {
      const width = cursor.bytes[widthsAt + m]!;
      const values = Math.min(blockValues / miniblocks, count - filled);
      addMiniblock(
        cursor,
        { width, least, values, words, blockBytes: ((blockValues / miniblocks) * width) / 8 },
        out,
        filled,
      );
      filled += values;
    }
  }
  return out;
}

interface Miniblock {
  readonly width: number;
  readonly least: Wide;
  readonly values: number;
  readonly words: 1 | 2;
  readonly blockBytes: number;
}

function addMiniblock(cursor: ByteCursor, block: Miniblock, out: Uint32Array, filled: number): void {
  const { width, least, values, words } = block;
  if (width > 64) throw damaged(`delta: integers of ${width} bits`);
  if (Math.ceil((values * width) / 8) > cursor.end - cursor.at) throw damaged('delta: a block runs over the end');
  const { bytes, at } = cursor;
  const lowWidth = Math.min(width, 32);
  let low = out[(filled - 1) * words]!;
  let high = words === 2 ? out[(filled - 1) * words + 1]! : 0;
  for (let i = filled, bit = 0; i < filled + values; i++, bit += width) {
    const sum = low + least.low + (lowWidth === 0 ? 0 : bitsFrom(bytes, at + (bit >> 3), bit & 7, lowWidth));
    low = sum >>> 0;
    out[i * words] = low;
    if (words === 1) continue;
    const carry = (sum - low) / 2 ** 32;
    const above = width > 32 ? bitsFrom(bytes, at + (bit >> 3) + 4, bit & 7, width - 32) : 0;
    high = (high + least.high + carry + above) >>> 0;
    out[i * words + 1] = high;
  }
  cursor.at = Math.min(cursor.end, cursor.at + block.blockBytes);
}

function readZigzag64(cursor: ByteCursor): Wide {
  let raw = 0n;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    if (cursor.at >= cursor.end) break;
    const byte = cursor.bytes[cursor.at++]!;
    raw |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte >= 0x80) continue;
    const value = BigInt.asUintN(64, (raw >> 1n) ^ -(raw & 1n));
    return { low: Number(value & 0xffffffffn), high: Number(value >> 32n) };
  }
  throw damaged('delta: a number runs over the end or is too long');
}

function decodeLengths(cursor: ByteCursor, count: number): { readonly lengths: Int32Array; readonly total: number } {
  const lengths = new Int32Array(decodeDelta(cursor, count, 1).buffer);
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (lengths[i]! < 0) throw damaged('delta: a length is negative');
    total += lengths[i]!;
  }
  return { lengths, total };
}

function offsetsOf(lengths: Int32Array): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) offsets[i + 1] = offsets[i]! + lengths[i]!;
  return offsets;
}

export function decodeDeltaLength(cursor: ByteCursor, count: number): TextValues {
  const { lengths, total } = decodeLengths(cursor, count);
  if (total > cursor.end - cursor.at) throw damaged('delta: strings run over the end');
  const bytes = new Uint8Array(cursor.bytes.subarray(cursor.at, cursor.at + total));
  cursor.at += total;
  return { kind: 'text', count, offsets: offsetsOf(lengths), bytes };
}

/** Each string is a prefix of the one before and a suffix of its own. */
export function decodeDeltaText(cursor: ByteCursor, count: number): TextValues {
  const prefixes = decodeLengths(cursor, count);
  const suffixes = decodeDeltaLength(cursor, count);
  const total = prefixes.total + suffixes.bytes.length;
  if (total > TEXT_BYTES_MAX) throw damaged(`delta: ${total} bytes of text in one page`);
  const offsets = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) {
    const prefix = prefixes.lengths[i]!;
    const before = i === 0 ? 0 : offsets[i]! - offsets[i - 1]!;
    if (prefix > before) throw damaged('delta: a prefix is longer than the string before');
    offsets[i + 1] = offsets[i]! + prefix + suffixes.offsets[i + 1]! - suffixes.offsets[i]!;
  }
  const bytes = new Uint8Array(total);
  for (let i = 0; i < count; i++) {
    const at = offsets[i]!;
    const prefix = prefixes.lengths[i]!;
    if (prefix > 0) bytes.copyWithin(at, offsets[i - 1]!, offsets[i - 1]! + prefix);
    bytes.set(suffixes.bytes.subarray(suffixes.offsets[i]!, suffixes.offsets[i + 1]!), at + prefix);
  }
  return { kind: 'text', count, offsets, bytes };
}
