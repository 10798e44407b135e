// Owns verify's own matching of keys: a radix sort of rows by key, then one merge. Shares nothing with join's tables.
import type { KeyTable } from '../core/key-spec.ts';

const DIGITS = 1 << 16;

/** The rows of a table in the order of their keys; equal keys keep the order of their rows. */
export function sortRows(keys: KeyTable): Int32Array {
  const { rows, stride, words } = keys;
  let order = new Int32Array(rows);
  for (let row = 0; row < rows; row++) order[row] = row;
  let other = new Int32Array(rows);
  for (let word = stride - 1; word >= 0; word--) {
    for (const shift of [0, 16]) {
      if (!sortByDigit({ words, stride, word, shift }, order, other)) continue;
      [order, other] = [other, order];
    }
  }
  return order;
}

interface Digit {
  readonly words: Uint32Array;
  readonly stride: number;
  readonly word: number;
  readonly shift: number;
}

/** One stable pass; false = all rows have the same digit and nothing was moved. */
function sortByDigit({ words, stride, word, shift }: Digit, from: Int32Array, to: Int32Array): boolean {
  const counts = new Int32Array(DIGITS + 1);
  for (let i = 0, at = word; i < from.length; i++, at += stride) {
    const digit = (words[at]! >>> shift) & 0xffff;
    counts[digit + 1] = counts[digit + 1]! + 1;
  }
  if (counts.includes(from.length)) return false;
  for (let digit = 0; digit < DIGITS; digit++) counts[digit + 1] = counts[digit + 1]! + counts[digit]!;
  for (let i = 0; i < from.length; i++) {
    const row = from[i]!;
    const digit = (words[row * stride + word]! >>> shift) & 0xffff;
    const place = counts[digit]!;
    to[place] = row;
    counts[digit] = place + 1;
  }
  return true;
}

export function compareKeys(left: KeyTable, leftRow: number, right: KeyTable, rightRow: number): number {
  const { stride } = left;
  const a = leftRow * stride;
  const b = rightRow * stride;
  for (let i = 0; i < stride; i++) {
    const difference = left.words[a + i]! - right.words[b + i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A table with its order: what merging needs. */
export interface SortedKeys {
  readonly keys: KeyTable;
  readonly order: Int32Array;
}

/** Sorted when the order is asked for first: that may be while other threads are at work. */
export function sortKeys(keys: KeyTable): SortedKeys {
  let order: Int32Array | undefined;
  return {
    keys,
    get order() {
      order ??= sortRows(keys);
      return order;
    },
  };
}

/** Rows whose key an earlier row of the table has too, each with the first row that has it. */
export function repeatedRows({ keys, order }: SortedKeys): readonly { readonly row: number; readonly first: number }[] {
  const repeated: { row: number; first: number }[] = [];
  let first = order[0]!;
  for (let i = 1; i < order.length; i++) {
    const row = order[i]!;
    if (compareKeys(keys, first, keys, row) === 0) repeated.push({ row, first });
    else first = row;
  }
  return repeated.sort((left, right) => left.row - right.row);
}

/** For each row of `left` the first row of `right` with its key, or -1. */
export function mergeRows(left: SortedKeys, right: SortedKeys): Int32Array {
  const found = new Int32Array(left.keys.rows).fill(-1);
  const [mine, theirs] = [left.order, right.order];
  let j = 0;
  for (let i = 0; i < mine.length; i++) {
    const row = mine[i]!;
    while (j < theirs.length && compareKeys(right.keys, theirs[j]!, left.keys, row) < 0) j++;
    if (j === theirs.length) break;
    if (compareKeys(right.keys, theirs[j]!, left.keys, row) === 0) found[row] = theirs[j]!;
  }
  return found;
}

/** The other way round: for each row of the right table a row of the left one that found it, or -1. */
export function invertRows(found: Int32Array, rows: number): Int32Array {
  const inverse = new Int32Array(rows).fill(-1);
  for (let row = found.length - 1; row >= 0; row--) if (found[row]! >= 0) inverse[found[row]!] = row;
  return inverse;
}
