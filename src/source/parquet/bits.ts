// Owns packed integers: bit-packed runs, the RLE / bit-packing hybrid, and levels of both kinds.
// https://github.com/apache/parquet-format/blob/master/Encodings.md
import { levelsKernel, spreadBits } from '../../codec/page-kernels.ts';
import { damaged } from './thrift.ts';

/** Where integers are put: levels are bytes, dictionary indices are words. */
export type Integers = Uint8Array | Uint32Array;

/** Bytes at .. end of `bytes`; decoders move `at`. */
export interface ByteCursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
}

export function byteCursor(bytes: Uint8Array, at = 0, end = bytes.length): ByteCursor {
  return { bytes, at, end };
}

/** An unsigned LEB128 number of up to 32 bits. */
export function readVarint32(cursor: ByteCursor): number {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
    if (cursor.at >= cursor.end) break;
    const byte = cursor.bytes[cursor.at++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw damaged('a number of the page runs over its end or is too long');
}

/** Bits needed for values up to `max`. */
export function bitWidth(max: number): number {
  return 32 - Math.clz32(max);
}

/** `width` (up to 32) bits from bit `bit` on, least significant first; bytes beyond the array count as 0. */
export function bitsAt(bytes: Uint8Array, bit: number, width: number): number {
  return bitsFrom(bytes, Math.floor(bit / 8), bit & 7, width);
}

/** The same from bit `shift` (0 to 7) of byte `at` on. */
export function bitsFrom(bytes: Uint8Array, at: number, shift: number, width: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  let value = low >>> shift;
  if (shift + width > 32) value |= bytes[at + 4]! << (32 - shift);
  return width === 32 ? value >>> 0 : (value & ((1 << width) - 1)) >>> 0;
}

/** `count` values of `width` bits, least significant bit first, from byte `at`, to out[outAt ...]. */
export function unpackBits(
  bytes: Uint8Array,
  at: number,
  width: number,
  count: number,
  out: Integers,
  outAt: number,
): void {
  if (width === 1) {
    unpackSingleBits(bytes, at, count, out, outAt);
    return;
  }
  if (width === 2) {
    unpackPairs(bytes, at, count, out, outAt);
    return;
  }
  if (width > 24) {
    for (let i = 0; i < count; i++) out[outAt + i] = bitsAt(bytes, at * 8 + i * width, width);
    return;
  }
  const mask = (1 << width) - 1;
  let next = at;
  let pool = 0;
  let bits = 0;
  for (let i = outAt; i < outAt + count; i++) {
    while (bits < width) {
      pool |= bytes[next++]! << bits;
      bits += 8;
    }
    out[i] = pool & mask;
    pool >>>= width;
    bits -= width;
  }
}

function unpackPairs(bytes: Uint8Array, at: number, count: number, out: Integers, outAt: number): void {
  const whole = count >> 2;
  let to = outAt;
  for (let i = at; i < at + whole; i++) {
    const byte = bytes[i]!;
    out[to] = byte & 3;
    out[to + 1] = (byte >> 2) & 3;
    out[to + 2] = (byte >> 4) & 3;
    out[to + 3] = byte >> 6;
    to += 4;
  }
  for (let i = 0; i < (count & 3); i++) out[to + i] = (bytes[at + whole]! >> (2 * i)) & 3;
}

/** Fewer bits than this are not worth a call of a kernel. */
const KERNEL_BITS_MIN = 256;

function unpackSingleBits(bytes: Uint8Array, at: number, count: number, out: Integers, outAt: number): void {
  if (count >= KERNEL_BITS_MIN && out instanceof Uint8Array) {
    spreadBits(bytes.subarray(at, at + Math.ceil(count / 8)), 0, count, out.subarray(outAt, outAt + count));
    return;
  }
  const whole = count >> 3;
  let to = outAt;
  for (let i = at; i < at + whole; i++) {
    const byte = bytes[i]!;
    out[to] = byte & 1;
    out[to + 1] = (byte >> 1) & 1;
    out[to + 2] = (byte >> 2) & 1;
    out[to + 3] = (byte >> 3) & 1;
    out[to + 4] = (byte >> 4) & 1;
    out[to + 5] = (byte >> 5) & 1;
    out[to + 6] = (byte >> 6) & 1;
    out[to + 7] = byte >> 7;
    to += 8;
  }
  for (let i = 0; i < (count & 7); i++) out[to + i] = (bytes[at + whole]! >> i) & 1;
}

/** Fills `out` from runs of the RLE / bit-packing hybrid. Every run takes a byte at least, so that it ends. */
export function decodeHybrid(cursor: ByteCursor, width: number, out: Integers): void {
  const count = out.length;
  if (width === 0) return;
  if (width > 32) throw damaged(`integers of ${width} bits`);
  const valueBytes = (width + 7) >> 3;
  let filled = 0;
  while (filled < count) {
    const head = readVarint32(cursor);
    const left = count - filled;
    if (head % 2 === 1) {
      const groups = (head - 1) / 2;
      const values = Math.min(groups * 8, left);
      // the last group may be cut after its last value
      if (Math.ceil((values * width) / 8) > cursor.end - cursor.at) throw damaged('packed integers run over the end');
      unpackBits(cursor.bytes, cursor.at, width, values, out, filled);
      cursor.at = Math.min(cursor.end, cursor.at + groups * width);
      filled += values;
      continue;
    }
    if (valueBytes > cursor.end - cursor.at) throw damaged('a run of integers runs over the end');
    const value = bitsAt(cursor.bytes, cursor.at * 8, valueBytes * 8);
    if (width < 32 && value >= 2 ** width) throw damaged(`value ${value} of a run has more than ${width} bits`);
    cursor.at += valueBytes;
    const values = Math.min(head / 2, left);
    out.fill(value, filled, filled + values);
    filled += values;
  }
}

/** Levels 0 .. max of one page. */
export function decodeLevels(cursor: ByteCursor, max: number, count: number): Uint8Array {
  const out = new Uint8Array(count);
  const width = bitWidth(max);
  const { bytes: page, at: from, end } = cursor;
  const ended = levelsKernel({ page, from, end, width }, out);
  if (ended === undefined) decodeHybrid(cursor, width, out);
  else cursor.at = ended;
  checkLevels(out, max, width);
  return out;
}

/** Levels of the encoding BIT_PACKED that old writers used: most significant bit first. */
export function decodeBitPackedLevels(cursor: ByteCursor, max: number, count: number): Uint8Array {
  const out = new Uint8Array(count);
  const width = bitWidth(max);
  const bytes = Math.ceil((count * width) / 8);
  if (bytes > cursor.end - cursor.at) throw damaged('packed levels run over the end');
  let bit = cursor.at * 8;
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let k = 0; k < width; k++, bit++) {
      value = value * 2 + ((cursor.bytes[Math.floor(bit / 8)]! >> (7 - (bit & 7))) & 1);
    }
    out[i] = value;
  }
  cursor.at += bytes;
  checkLevels(out, max, width);
  return out;
}

function checkLevels(levels: Uint8Array, max: number, width: number): void {
  if (max === 2 ** width - 1) return;
  // only what is above the maximum sets bit 8, without a branch
  if (anyBits(levels, 255 - max) < 256) return;
  throw damaged(`level ${levels.find((level) => level > max)} is above ${max}`);
}

function anyBits(levels: Uint8Array, bias: number): number {
  let any = 0;
  for (let i = 0; i < levels.length; i++) any |= levels[i]! + bias;
  return any;
}

/** Are the levels one run of `value`? Most pages of nullable columns have no null, and then need no array. */
export function isOneRun(cursor: ByteCursor, value: number, count: number): boolean {
  const { bytes, at, end } = cursor;
  const probe = byteCursor(bytes, at, Math.min(end, at + 8));
  if (probe.at >= probe.end || value > 255) return false;
  const head = readVarint32(probe);
  return head % 2 === 0 && head / 2 >= count && probe.at < probe.end && bytes[probe.at] === value;
}
