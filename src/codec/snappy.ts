// Owns raw Snappy blocks (no framing), as Parquet stores them: https://github.com/google/snappy/blob/main/format_description.txt

const LITERAL = 0;
const COPY_1 = 1;
const COPY_2 = 2;

/** The compressor works in blocks of 64 KiB, so that every copy has an offset of two bytes. */
const BLOCK_BYTES = 1 << 16;
const HASH_BITS = 14;
/** Fewer bytes than this at a block's end are literals: matching reads four bytes at once. */
const TAIL_BYTES = 15;
const COPY_BYTES_MAX = 64;
/** 2^32 - 1 is the most that the format's length can say. */
const LENGTH_VARINT_BYTES_MAX = 5;

/** The most bytes that compressing `bytes` can give (the bound of the reference implementation). */
export function snappyBytesMax(bytes: number): number {
  return 32 + bytes + Math.floor(bytes / 6);
}

/** Used again for every block of a thread, and cleared for each. */
const table = new Uint16Array(1 << HASH_BITS);

export function compressSnappy(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(snappyBytesMax(source.length));
  return target.slice(0, compressSnappyInto(source, target));
}

/** The same into `out`, which has room for snappyBytesMax; gives the length of the block. */
export function compressSnappyInto(source: Uint8Array, out: Uint8Array): number {
  let at = 0;
  let length = source.length;
  for (; length > 0x7f; length = Math.floor(length / 128)) out[at++] = (length & 0x7f) | 0x80;
  out[at++] = length;
  for (let start = 0; start < source.length; start += BLOCK_BYTES) {
    table.fill(0);
    at = compressBlock(source, start, Math.min(source.length, start + BLOCK_BYTES), out, at, table);
  }
  return at;
}

/** Greedy matching through a hash of four bytes; the step grows where nothing matches, as in the reference. */
function compressBlock(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outAt: number,
  table: Uint16Array,
): number {
  let at = outAt;
  let literal = start;
  const limit = end - TAIL_BYTES;
  let i = start + 1;
  let skip = 32;
  while (i < limit) {
    const word = load32(source, i);
    const hash = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
    const candidate = start + table[hash]!;
    table[hash] = i - start;
    if (candidate >= i || load32(source, candidate) !== word) {
      i += skip++ >> 5;
      continue;
    }
    at = writeLiteral(source, literal, i, out, at);
    let matched = 4;
    while (i + matched < end && source[candidate + matched] === source[i + matched]) matched++;
    at = writeCopy(i - candidate, matched, out, at);
    i += matched;
    literal = i;
    skip = 32;
  }
  return writeLiteral(source, literal, end, out, at);
}

function load32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeLiteral(source: Uint8Array, start: number, end: number, out: Uint8Array, outAt: number): number {
  const length = end - start;
  if (length === 0) return outAt;
  let at = outAt;
  const code = length - 1;
  if (code < 60) {
    out[at++] = code << 2;
  } else if (code < 256) {
    out[at++] = 60 << 2;
    out[at++] = code;
  } else {
    out[at++] = 61 << 2;
    out[at++] = code & 0xff;
    out[at++] = code >> 8;
  }
  if (length < 16) for (let i = start; i < end; i++) out[at++] = source[i]!;
  else {
    out.set(source.subarray(start, end), at);
    at += length;
  }
  return at;
}

function writeCopy(offset: number, length: number, out: Uint8Array, outAt: number): number {
  let at = outAt;
  let left = length;
  while (left > 0) {
    const part = Math.min(left, COPY_BYTES_MAX);
    if (part >= 4 && part < 12 && offset < 2048) {
      out[at++] = COPY_1 | ((part - 4) << 2) | ((offset >> 8) << 5);
      out[at++] = offset & 0xff;
    } else {
      out[at++] = COPY_2 | ((part - 1) << 2);
      out[at++] = offset & 0xff;
      out[at++] = offset >> 8;
    }
    left -= part;
  }
  return at;
}

/** Throws a RangeError for bytes that are no Snappy block, or that hold other than `expectedBytes`. */
export function decompressSnappy(source: Uint8Array, expectedBytes: number): Uint8Array {
  const { length, next } = readLength(source);
  if (length !== expectedBytes) throw new RangeError(`snappy: block of ${length} bytes, expected ${expectedBytes}`);
  const out = new Uint8Array(length);
  let at = next;
  let outAt = 0;
  while (at < source.length) {
    const tag = source[at++]!;
    if ((tag & 3) === LITERAL) {
      let count = tag >> 2;
      if (count >= 60) {
        const extra = count - 59;
        count = littleEndian(source, at, extra);
        at += extra;
      }
      count++;
      if (count > source.length - at || count > length - outAt) throw new RangeError('snappy: literal runs over');
      if (count < 16) for (let i = 0; i < count; i++) out[outAt + i] = source[at + i]!;
      else out.set(source.subarray(at, at + count), outAt);
      at += count;
      outAt += count;
      continue;
    }
    const near = (tag & 3) === COPY_1;
    const count = near ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const extra = near ? 1 : (tag & 3) === COPY_2 ? 2 : 4;
    const offset = littleEndian(source, at, extra) + (near ? (tag >> 5) * 256 : 0);
    at += extra;
    if (offset === 0 || offset > outAt || count > length - outAt) throw new RangeError('snappy: copy out of range');
    copyWithin(out, outAt, offset, count);
    outAt += count;
  }
  if (outAt !== length) throw new RangeError(`snappy: block ends after ${outAt} of ${length} bytes`);
  return out;
}

/** A copy may overlap what it writes: then it repeats. */
function copyWithin(out: Uint8Array, at: number, offset: number, count: number): void {
  if (offset >= count && count > 16) out.copyWithin(at, at - offset, at - offset + count);
  else for (let i = 0; i < count; i++) out[at + i] = out[at + i - offset]!;
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  if (at + count > bytes.length) throw new RangeError('snappy: block ends inside a tag');
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

function readLength(source: Uint8Array): { length: number; next: number } {
  let length = 0;
  for (let i = 0; i < LENGTH_VARINT_BYTES_MAX; i++) {
    const byte = source[i];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { length, next: i + 1 };
  }
  throw new RangeError('snappy: no length');
}
