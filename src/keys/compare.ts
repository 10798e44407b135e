// Owns the test for aligned rows: keys compared one by one, in place.
import type { KeyTable } from '../core/key-spec.ts';

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
