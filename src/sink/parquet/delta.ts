// Owns DELTA_BINARY_PACKED: differences to the value before, packed in the fewest bits of each 32 of them.
// https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC
import { writeVarint } from './hybrid.ts';

const BLOCK_VALUES = 128;
const MINIBLOCKS = 4;
const MINIBLOCK_VALUES = BLOCK_VALUES / MINIBLOCKS;
const VARINT_BYTES_MAX = 10;

export function deltaBytesMax(count: number, valueBytes: 4 | 8): number {
  const blocks = Math.ceil(count / BLOCK_VALUES);
  return 4 * VARINT_BYTES_MAX + blocks * (VARINT_BYTES_MAX + MINIBLOCKS + BLOCK_VALUES * valueBytes);
}

/** Differences of one block as two 32-bit words each; all arithmetic wraps at the value's width, as the format asks. */
interface Block {
  readonly low: Uint32Array;
  readonly high: Int32Array;
  readonly packed: Uint32Array;
}

/**
 * Writes values start .. end of `words` (one word a value, or two, low first, when `wide`) to `out` from `outAt`;
 * returns where it ended.
 */
export function writeDelta(
  words: Uint32Array,
  { start, end, wide }: { readonly start: number; readonly end: number; readonly wide: boolean },
  out: Uint8Array,
  outAt: number,
): number {
  const block: Block = {
    low: new Uint32Array(BLOCK_VALUES),
    high: new Int32Array(BLOCK_VALUES),
    packed: new Uint32Array(2 * MINIBLOCK_VALUES),
  };
  let at = writeVarint(BLOCK_VALUES, out, outAt);
  at = writeVarint(MINIBLOCKS, out, at);
  at = writeVarint(end - start, out, at);
  if (start === end) return writeVarint(0, out, at);
  at = wide
    ? writeZigzag(words[2 * start]!, words[2 * start + 1]! | 0, out, at)
    : writeZigzag(words[start]!, (words[start]! | 0) >> 31, out, at);
  for (let i = start + 1; i < end; i += BLOCK_VALUES) {
    const count = Math.min(BLOCK_VALUES, end - i);
    if (wide) wideDifferences(words, i, count, block);
    else differences(words, i, count, block);
    at = writeBlock(block, count, out, at);
  }
  return at;
}

function differences(words: Uint32Array, start: number, count: number, { low, high }: Block): void {
  for (let k = 0; k < count; k++) {
    const difference = (words[start + k]! - words[start + k - 1]!) | 0;
    low[k] = difference;
    high[k] = difference >> 31;
  }
}

function wideDifferences(words: Uint32Array, start: number, count: number, { low, high }: Block): void {
  for (let k = 0, i = 2 * start; k < count; k++, i += 2) {
    const borrow = words[i]! < words[i - 2]! ? 1 : 0;
    low[k] = words[i]! - words[i - 2]!;
    high[k] = words[i + 1]! - words[i - 1]! - borrow;
  }
}

function writeBlock({ low, high, packed }: Block, count: number, out: Uint8Array, outAt: number): number {
  let minLow = low[0]!;
  let minHigh = high[0]!;
  for (let k = 1; k < count; k++) {
    if (high[k]! < minHigh || (high[k] === minHigh && low[k]! < minLow)) {
      minLow = low[k]!;
      minHigh = high[k]!;
    }
  }
  for (let k = 0; k < count; k++) {
    const borrow = low[k]! < minLow ? 1 : 0;
    low[k] = low[k]! - minLow;
    high[k] = high[k]! - minHigh - borrow;
  }
  low.fill(0, count);
  high.fill(0, count);
  const widthsAt = writeZigzag(minLow, minHigh, out, outAt);
  let at = widthsAt + MINIBLOCKS;
  for (let mini = 0; mini < MINIBLOCKS; mini++) {
    const from = mini * MINIBLOCK_VALUES;
    if (from >= count) {
      out[widthsAt + mini] = 0;
      continue;
    }
    const width = widthOf(low, high, from);
    out[widthsAt + mini] = width;
    packMiniblock(low, high, { from, width }, packed);
    out.set(new Uint8Array(packed.buffer, 0, width * 4), at);
    at += width * 4;
  }
  return at;
}

function widthOf(low: Uint32Array, high: Int32Array, from: number): number {
  let anyLow = 0;
  let anyHigh = 0;
  for (let k = from; k < from + MINIBLOCK_VALUES; k++) {
    anyLow |= low[k]!;
    anyHigh |= high[k]!;
  }
  return anyHigh !== 0 ? 64 - Math.clz32(anyHigh) : 32 - Math.clz32(anyLow);
}

/** 32 values of `width` bits are just `width` words. */
function packMiniblock(
  low: Uint32Array,
  high: Int32Array,
  { from, width }: { readonly from: number; readonly width: number },
  packed: Uint32Array,
): void {
  let word = 0;
  let filled = 0;
  let at = 0;
  const lowWidth = Math.min(width, 32);
  const highWidth = width - lowWidth;
  for (let k = from; k < from + MINIBLOCK_VALUES; k++) {
    word |= low[k]! << filled;
    filled += lowWidth;
    if (filled >= 32) {
      packed[at++] = word;
      filled -= 32;
      word = filled === 0 ? 0 : low[k]! >>> (lowWidth - filled);
    }
    if (highWidth === 0) continue;
    word |= high[k]! << filled;
    filled += highWidth;
    if (filled >= 32) {
      packed[at++] = word;
      filled -= 32;
      word = filled === 0 ? 0 : high[k]! >>> (highWidth - filled);
    }
  }
}

/** Zigzag varint of a signed 64-bit number in two words. */
function writeZigzag(low: number, high: number, out: Uint8Array, outAt: number): number {
  const sign = high >> 31;
  let left = ((low << 1) ^ sign) >>> 0;
  let top = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
  let at = outAt;
  while (top !== 0 || left > 0x7f) {
    out[at++] = (left & 0x7f) | 0x80;
    left = ((left >>> 7) | (top << 25)) >>> 0;
    top >>>= 7;
  }
  out[at++] = left;
  return at;
}
