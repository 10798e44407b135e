// Owns the test for aligned rows: all keys compared, in place.
import { bytesOf } from '../core/dtype.ts';
import type { KeyTable } from '../core/key-spec.ts';

/** Words compared by one call of the system: where they differ is looked for in no more. */
const STEP_WORDS = 1 << 14;

/** Are the keys of both tables equal row by row? The first row where not, or -1. Both have the same stride. */
export function firstDifference(
  left: KeyTable,
  leftStart: number,
  right: KeyTable,
  rightStart: number,
  rows: number,
): number {
  const { stride } = left;
  const a = left.words.subarray(leftStart * stride, (leftStart + rows) * stride);
  const b = right.words.subarray(rightStart * stride, (rightStart + rows) * stride);
  for (let at = 0; at < a.length; at += STEP_WORDS) {
    const own = a.subarray(at, at + STEP_WORDS);
    const other = b.subarray(at, at + STEP_WORDS);
    if (Buffer.compare(bytesOf(own), bytesOf(other)) !== 0) return Math.floor((at + firstUnequal(own, other)) / stride);
  }
  return -1;
}

function firstUnequal(left: Uint32Array, right: Uint32Array): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  return at;
}
