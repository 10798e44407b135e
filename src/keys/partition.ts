// Owns rows of a key table sorted by a hash of their keys: equal keys of any table lie in partitions of one number.
import { releaseBytes, type Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { readScratch, type Scratch } from '../scratch/scratch.ts';

/** Rows of one partition: a table over them stays in a core's own cache while it is worked on. */
const PARTITION_ROWS = 1 << 13;
const BITS_MAX = 10;
/** Words of a key of run, luminosityBlock and event. */
const CMS_STRIDE = 4;

/** Some neighbouring rows of a source, sorted: partition by partition, in it row by row; its row numbers, then its keys. */
export interface KeySegment {
  /** Rows before each partition, and of all; in shared memory. */
  readonly bounds: Int32Array;
  readonly stored:
    | { readonly kind: 'memory'; readonly words: Uint32Array }
    | { readonly kind: 'scratch'; readonly offset: number };
}

/** Rows of one partition of a source, ascending, and their keys. */
export interface PartitionRows {
  readonly rows: Int32Array;
  readonly keys: KeyTable;
}

/** How many bits of the hash tell partitions apart, for a source of so many rows. */
export function partitionBits(rows: number, partitionRows = PARTITION_ROWS): number {
  return Math.min(BITS_MAX, Math.max(0, Math.ceil(Math.log2(Math.max(1, rows / partitionRows)))));
}

export function hashKey(words: Uint32Array, at: number, stride: number): number {
  let h = 0x9e3779b9 | 0;
  for (let i = at; i < at + stride; i++) h = Math.imul((h ^ (h >>> 15)) + words[i]!, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The same of four words. */
export function hashFour(words: Uint32Array, at: number): number {
  let h = 0x9e3779b9 | 0;
  h = Math.imul((h ^ (h >>> 15)) + words[at]!, 0x85ebca6b);
  h = Math.imul((h ^ (h >>> 15)) + words[at + 1]!, 0x85ebca6b);
  h = Math.imul((h ^ (h >>> 15)) + words[at + 2]!, 0x85ebca6b);
  h = Math.imul((h ^ (h >>> 15)) + words[at + 3]!, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Sorts the rows of a table, of which the first is row `firstRow` of its source, into `words`: rows x (stride + 1). */
export function sortIntoPartitions(
  { words, stride, rows }: KeyTable,
  firstRow: number,
  bits: number,
  out: Uint32Array,
): Int32Array {
  const count = 2 ** bits;
  const shift = 32 - bits;
  const bounds = new Int32Array(new SharedArrayBuffer((count + 1) * 4));
  const parts = new Uint16Array(rows);
  if (bits > 0) countByPartition(words, stride, shift, parts, bounds);
  else bounds[1] = rows;
  for (let part = 0; part < count; part++) bounds[part + 1] = bounds[part + 1]! + bounds[part]!;
  const rowAt = new Int32Array(count);
  const keyAt = new Int32Array(count);
  for (let part = 0; part < count; part++) {
    rowAt[part] = bounds[part]! * (stride + 1);
    keyAt[part] = rowAt[part]! + bounds[part + 1]! - bounds[part]!;
  }
  if (stride === CMS_STRIDE) placeFourByPartition({ words, firstRow }, parts, { rowAt, keyAt }, out);
  else placeByPartition({ words, stride, firstRow }, parts, { rowAt, keyAt }, out);
  return bounds;
}

/** The partition of each row; and, one place on, how many rows each partition has. */
function countByPartition(
  words: Uint32Array,
  stride: number,
  shift: number,
  parts: Uint16Array,
  counts: Int32Array,
): void {
  for (let row = 0, at = 0; row < parts.length; row++, at += stride) {
    const part = hashKey(words, at, stride) >>> shift;
    parts[row] = part;
    counts[part + 1] = counts[part + 1]! + 1;
  }
}

interface Ends {
  /** Where the next row number, and the next key, of each partition goes. */
  readonly rowAt: Int32Array;
  readonly keyAt: Int32Array;
}

/** The loop below for keys of four words, which is most of them. */
function placeFourByPartition(
  { words, firstRow }: { readonly words: Uint32Array; readonly firstRow: number },
  parts: Uint16Array,
  { rowAt, keyAt }: Ends,
  out: Uint32Array,
): void {
  for (let row = 0, at = 0; row < parts.length; row++, at += 4) {
    const part = parts[row]!;
    const to = rowAt[part]!;
    out[to] = firstRow + row;
    rowAt[part] = to + 1;
    const key = keyAt[part]!;
    out[key] = words[at]!;
    out[key + 1] = words[at + 1]!;
    out[key + 2] = words[at + 2]!;
    out[key + 3] = words[at + 3]!;
    keyAt[part] = key + 4;
  }
}

function placeByPartition(
  { words, stride, firstRow }: { readonly words: Uint32Array; readonly stride: number; readonly firstRow: number },
  parts: Uint16Array,
  { rowAt, keyAt }: Ends,
  out: Uint32Array,
): void {
  for (let row = 0, at = 0; row < parts.length; row++, at += stride) {
    const part = parts[row]!;
    const to = rowAt[part]!;
    out[to] = firstRow + row;
    rowAt[part] = to + 1;
    const key = keyAt[part]!;
    for (let k = 0; k < stride; k++) out[key + k] = words[at + k]!;
    keyAt[part] = key + stride;
  }
}

/** It cannot be read any more. */
export function releaseSegment({ stored }: KeySegment): void {
  if (stored.kind === 'memory') releaseBytes(stored.words);
}

/** The rows of one partition, over all segments of a source in their order; in arrays that `take` makes. */
export function loadPartition(
  segments: readonly KeySegment[],
  part: number,
  { spec, stride }: Pick<KeyTable, 'spec' | 'stride'>,
  { scratch, take }: { readonly scratch: Scratch | undefined; readonly take: Take },
): PartitionRows {
  const sizes = segments.map(({ bounds }) => bounds[part + 1]! - bounds[part]!);
  const count = sizes.reduce((sum, size) => sum + size, 0);
  const rows = take('i32', count) as Int32Array;
  const words = take('u32', count * stride) as Uint32Array;
  let at = 0;
  for (const [i, { bounds, stored }] of segments.entries()) {
    const size = sizes[i]!;
    if (size === 0) continue;
    const from = bounds[part]! * (stride + 1);
    const own = sliceOf(stored, from, size * (stride + 1), scratch);
    rows.set(own.subarray(0, size), at);
    words.set(own.subarray(size), at * stride);
    at += size;
  }
  return { rows, keys: { spec, stride, rows: count, words } };
}

function sliceOf(stored: KeySegment['stored'], from: number, length: number, scratch: Scratch | undefined) {
  if (stored.kind === 'memory') return stored.words.subarray(from, from + length);
  invariant(scratch !== undefined, 'a segment is in memory or in scratch');
  const own = new Uint32Array(length);
  readScratch(scratch, stored.offset + from * 4, new Uint8Array(own.buffer));
  return own;
}
