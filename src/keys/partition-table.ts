// Owns finding keys within one partition: an open-addressing table that stays in the core's cache.
import type { Take } from '../core/arena.ts';
import { allocate } from '../core/dtype.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { hashFour, hashKey } from './partition.ts';

/** Numbers of keys of a table, by key: those whose key an earlier one has are not in it. */
export interface PartitionTable {
  readonly keys: KeyTable;
  /** Number + 1, 0 = free. */
  readonly slots: Int32Array;
}

/** Slots for so many keys: between a half and a third of them are used. */
export function makePartitionTable(keys: KeyTable, take: Take = allocate): PartitionTable {
  const bits = Math.ceil(Math.log2(Math.max(8, keys.rows * 2)));
  const slots = take('i32', 2 ** bits) as Int32Array;
  return { keys, slots: slots.fill(0) };
}

/** Puts in the keys number from .. to; of each that is there already, its number and the earlier one go to `twice`. */
export function insertKeys(
  { keys: { words, stride }, slots }: PartitionTable,
  { from, to }: { readonly from: number; readonly to: number },
  twice: (first: number, second: number) => void,
): void {
  const mask = slots.length - 1;
  for (let i = from, at = from * stride; i < to; i++, at += stride) {
    let slot = hashKey(words, at, stride) & mask;
    for (;;) {
      const there = slots[slot]!;
      if (there === 0) {
        slots[slot] = i + 1;
        break;
      }
      if (sameKey(words, (there - 1) * stride, words, at, stride)) {
        twice(there - 1, i);
        break;
      }
      slot = (slot + 1) & mask;
    }
  }
}

/** The number of each key of `other` in the table, or -1, into `out`. */
export function findKeys(table: PartitionTable, other: KeyTable, out: Int32Array): void {
  for (let i = 0, at = 0; i < other.rows; i++, at += other.stride) out[i] = findKey(table, other.words, at);
}

/** The number of the key at words[at ..] in the table, or -1. */
function findKey({ keys, slots }: PartitionTable, words: Uint32Array, at: number): number {
  const { stride } = keys;
  const mask = slots.length - 1;
  let slot = hashKey(words, at, stride) & mask;
  let there = slots[slot]!;
  while (there !== 0 && !sameKey(keys.words, (there - 1) * stride, words, at, stride)) {
    slot = (slot + 1) & mask;
    there = slots[slot]!;
  }
  return there - 1;
}

/** The number of each of the keys `rows` of `other` in the table, or -1. */
export function findRows(table: PartitionTable, other: KeyTable, rows: Int32Array): Int32Array {
  const out = new Int32Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = findKey(table, other.words, rows[i]! * other.stride);
  return out;
}

/** Bits of a sieve a key of its table: of other keys one in so many passes. */
const SIEVE_BITS = 32;
/** Two megabytes: a sieve that a core's cache does not hold saves nothing. */
const SIEVE_BITS_MAX = 2 ** 24;

/** One bit a hash of a key of the table: tells of most other keys, in a few nanoseconds, that they are not in it. */
export function makeSieve({ words, rows, stride }: KeyTable): Uint8Array {
  const bits = Math.min(SIEVE_BITS_MAX, 2 ** Math.ceil(Math.log2(Math.max(8, rows * SIEVE_BITS))));
  const sieve = new Uint8Array(bits / 8);
  const mask = 8 * sieve.length - 1;
  for (let i = 0, at = 0; i < rows; i++, at += stride) {
    const bit = hashKey(words, at, stride) & mask;
    sieve[bit >>> 3] = sieve[bit >>> 3]! | (1 << (bit & 7));
  }
  return sieve;
}

/** The rows of `keys`, ascending, whose key may be in the table of the sieve: all that are, and few others. */
export function siftRows(sieve: Uint8Array, { words, rows, stride }: KeyTable): Int32Array {
  const out = new Int32Array(rows + 1);
  const count = stride === 4 ? siftFour(sieve, words, rows, out) : siftAny(sieve, words, rows, stride, out);
  return out.subarray(0, count);
}

function siftAny(sieve: Uint8Array, words: Uint32Array, rows: number, stride: number, out: Int32Array): number {
  const mask = 8 * sieve.length - 1;
  let count = 0;
  for (let i = 0, at = 0; i < rows; i++, at += stride) {
    const bit = hashKey(words, at, stride) & mask;
    out[count] = i;
    count += (sieve[bit >>> 3]! >>> (bit & 7)) & 1;
  }
  return count;
}

/** The loop above for keys of four words, which is most of them. */
function siftFour(sieve: Uint8Array, words: Uint32Array, rows: number, out: Int32Array): number {
  const mask = 8 * sieve.length - 1;
  let count = 0;
  for (let i = 0, at = 0; i < rows; i++, at += 4) {
    const bit = hashFour(words, at) & mask;
    out[count] = i;
    count += (sieve[bit >>> 3]! >>> (bit & 7)) & 1;
  }
  return count;
}

/** From the end: there is what tells events of one lumi block apart. */
function sameKey(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number, stride: number): boolean {
  for (let i = stride - 1; i >= 0; i--) if (left[leftAt + i] !== right[rightAt + i]) return false;
  return true;
}
