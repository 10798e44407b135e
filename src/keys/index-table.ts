// Owns finding a key: an open-addressing table of rows over a table of key words, and the test for aligned rows.
import { invariant } from '../core/check.ts';
import type { KeyTable } from '../core/key-spec.ts';

/** Slots a key: 1.6 keeps probes short at 13 bytes a key. */
const LOAD = 1.6;

export interface KeyIndex {
  /** Row of `keys` that has the key of a row of `other`, or -1. */
  find(other: KeyTable, row: number): number;
  /** Rows of `other` in start .. end looked up at once, into `out`. */
  findAll(other: KeyTable, out: Int32Array): void;
}

/** A key that two rows of one table have. */
export interface Twin {
  readonly first: number;
  readonly second: number;
}

/** Are the keys of both tables equal row by row? The first row where not, or -1. Both have the same stride. */
export function firstDifference(
  left: KeyTable,
  leftStart: number,
  right: KeyTable,
  rightStart: number,
  rows: number,
): number {
  const a = left.words;
  const b = right.words;
  const { stride } = left;
  const count = rows * stride;
  for (let i = 0, p = leftStart * stride, q = rightStart * stride; i < count; i++, p++, q++) {
    if (a[p] !== b[q]) return Math.floor(i / stride);
  }
  return -1;
}

function hashRow(words: Uint32Array, at: number, stride: number): number {
  let h = 0x9e3779b9 | 0;
  for (let i = at; i < at + stride; i++) h = Math.imul((h ^ (h >>> 15)) + words[i]!, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function sameRow(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number, stride: number): boolean {
  for (let i = 0; i < stride; i++) if (left[leftAt + i] !== right[rightAt + i]) return false;
  return true;
}

/** Bytes of slots that one partition spans: they stay in a core's own cache while its rows are worked on. */
const PARTITION_BYTES = 128 * 1024;
const PARTITION_BITS_MAX = 12;
/** Twins looked at before the first ones by row are told. */
const TWINS_MAX = 1 << 16;

/** Slots hold [tag, row + 1]; the tag's high bits are the slot, so that rows sorted by them work on few slots at a time. */
interface Slots {
  readonly keys: KeyTable;
  readonly slots: Int32Array;
  /** Bits to shift a tag by to get its slot. */
  readonly shift: number;
}

/**
 * An index over all rows of `keys`. Rows whose key an earlier row has are told in `twins` (up to `twinsMax`, the first by row)
 * and not indexed. Rows are inserted and found partition by partition: in the cache, not at random in memory.
 */
export function indexKeys(keys: KeyTable, twins: Twin[], twinsMax: number): KeyIndex {
  const bits = Math.ceil(Math.log2(Math.max(16, keys.rows * LOAD)));
  invariant(bits <= 30, 'a table of keys fits');
  const table: Slots = { keys, slots: new Int32Array(2 ** (bits + 1)), shift: 32 - bits };
  const found: Twin[] = [];
  insertAll(table, partition(keys, bits), found);
  found.sort((left, right) => left.second - right.second);
  twins.push(...found.slice(0, twinsMax));
  return {
    find: (other, row) =>
      findRow(table, hashRow(other.words, row * keys.stride, keys.stride), other.words, row * keys.stride),
    findAll: (other, out) => findAll(table, other, partition(other, bits), out),
  };
}

/** Rows and their tags, sorted by the high bits of the tag; rows of one partition stay in order. */
interface Partitioned {
  readonly rows: Int32Array;
  readonly tags: Int32Array;
}

function partition(keys: KeyTable, slotBits: number): Partitioned {
  const tags = hashAll(keys);
  const bits = Math.min(PARTITION_BITS_MAX, Math.max(0, slotBits - Math.log2(PARTITION_BYTES / 8)));
  const shift = 32 - bits;
  const next = new Int32Array(2 ** bits + 1);
  const at = (tag: number) => (bits === 0 ? 0 : tag >>> shift);
  for (let row = 0; row < tags.length; row++) {
    const to = at(tags[row]!) + 1;
    next[to] = next[to]! + 1;
  }
  for (let p = 0; p < next.length - 1; p++) next[p + 1] = next[p + 1]! + next[p]!;
  const rows = new Int32Array(tags.length);
  const sorted = new Int32Array(tags.length);
  for (let row = 0; row < tags.length; row++) {
    const tag = tags[row]!;
    const from = at(tag);
    const to = next[from]!;
    next[from] = to + 1;
    rows[to] = row;
    sorted[to] = tag;
  }
  return { rows, tags: sorted };
}

function hashAll({ words, stride, rows }: KeyTable): Int32Array {
  const tags = new Int32Array(rows);
  for (let row = 0; row < rows; row++) tags[row] = hashRow(words, row * stride, stride);
  return tags;
}

function insertAll({ keys, slots, shift }: Slots, { rows, tags }: Partitioned, twins: Twin[]): void {
  const { words, stride } = keys;
  const mask = slots.length / 2 - 1;
  for (let i = 0; i < rows.length; i++) {
    const tag = tags[i]!;
    const row = rows[i]!;
    let slot = tag >>> shift;
    for (;;) {
      const there = slots[2 * slot + 1]!;
      if (there === 0) {
        slots[2 * slot] = tag;
        slots[2 * slot + 1] = row + 1;
        break;
      }
      if (slots[2 * slot] === tag && sameRow(words, (there - 1) * stride, words, row * stride, stride)) {
        if (twins.length < TWINS_MAX) twins.push({ first: there - 1, second: row });
        break;
      }
      slot = (slot + 1) & mask;
    }
  }
}

/** First whoever has the tag, partition by partition; then, in row order, whether it is the key, else a search of its own. */
function findAll(table: Slots, other: KeyTable, { rows, tags }: Partitioned, out: Int32Array): void {
  const { keys, slots, shift } = table;
  const { stride } = keys;
  const mask = slots.length / 2 - 1;
  for (let i = 0; i < rows.length; i++) {
    const tag = tags[i]!;
    let slot = tag >>> shift;
    while (slots[2 * slot + 1] !== 0 && slots[2 * slot] !== tag) slot = (slot + 1) & mask;
    out[rows[i]!] = slots[2 * slot + 1]! - 1;
  }
  for (let row = 0; row < out.length; row++) {
    const there = out[row]!;
    if (there < 0 || sameRow(keys.words, there * stride, other.words, row * stride, stride)) continue;
    out[row] = findRow(table, hashRow(other.words, row * stride, stride), other.words, row * stride);
  }
}

function findRow({ keys, slots, shift }: Slots, tag: number, words: Uint32Array, at: number): number {
  const { stride } = keys;
  const mask = slots.length / 2 - 1;
  let slot = tag >>> shift;
  for (;;) {
    const there = slots[2 * slot + 1]!;
    if (there === 0) return -1;
    if (slots[2 * slot] === tag && sameRow(keys.words, (there - 1) * stride, words, at, stride)) return there - 1;
    slot = (slot + 1) & mask;
  }
}
