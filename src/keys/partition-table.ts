// Owns finding keys within one partition: an open-addressing table that stays in the core's cache.
import type { Take } from '../core/arena.ts';
import { allocate } from '../core/dtype.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { hashKey } from './partition.ts';

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
export function findKeys({ keys, slots }: PartitionTable, other: KeyTable, out: Int32Array): void {
  const { words, stride } = keys;
  const mask = slots.length - 1;
  for (let i = 0, at = 0; i < other.rows; i++, at += stride) {
    let slot = hashKey(other.words, at, stride) & mask;
    let there = slots[slot]!;
    while (there !== 0 && !sameKey(words, (there - 1) * stride, other.words, at, stride)) {
      slot = (slot + 1) & mask;
      there = slots[slot]!;
    }
    out[i] = there - 1;
  }
}

/** From the end: there is what tells events of one lumi block apart. */
function sameKey(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number, stride: number): boolean {
  for (let i = stride - 1; i >= 0; i--) if (left[leftAt + i] !== right[rightAt + i]) return false;
  return true;
}
