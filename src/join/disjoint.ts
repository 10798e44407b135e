// Owns the proof that no match was lost: by order, with no hash, so that it proves what hashes found.
import { ColweaveError } from '../core/errors.ts';
import type { KeyTable } from '../core/key-spec.ts';

/** Rows of a table, in any order. */
export interface KeyRows {
  readonly keys: KeyTable;
  readonly rows: Int32Array;
}

/** Rows firstRow .. of a union of tables. */
interface Tier {
  readonly keys: KeyTable;
  readonly firstRow: number;
}

export function rowNumbers(count: number): Int32Array {
  const rows = new Int32Array(count);
  for (let i = 0; i < count; i++) rows[i] = i;
  return rows;
}

/**
 * No key of the union that the friend lacks (-1 in `map`) may be among the friend's keys that the union lacks (`rest`).
 * Errors: join/seal-mismatch.
 */
export function proveDisjoint(tiers: readonly Tier[], map: Int32Array, rest: KeyRows): void {
  if (rest.rows.length === 0) return;
  let count = 0;
  for (let i = 0; i < map.length; i++) if (map[i]! < 0) count++;
  if (count === 0) return;
  const { stride, spec } = rest.keys;
  const words = new Uint32Array(count * stride);
  for (let row = 0, to = 0; row < map.length; row++) {
    if (map[row]! >= 0) continue;
    const tier = tiers.findLast(({ firstRow }) => firstRow <= row)!;
    const at = (row - tier.firstRow) * stride;
    for (let k = 0; k < stride; k++) words[to++] = tier.keys.words[at + k]!;
  }
  const lonely = { keys: { spec, rows: count, stride, words }, rows: rowNumbers(count) };
  if (count < rest.rows.length ? areDisjoint(lonely, rest) : areDisjoint(rest, lonely)) return;
  throw new ColweaveError('join/seal-mismatch', 'a match was lost: a key is unmatched on both sides');
}

/** No key is in both. Sorts the fewer and searches them for each of the many. */
export function areDisjoint(few: KeyRows, many: KeyRows): boolean {
  const sorted = sortedRows(few);
  const { words, stride } = few.keys;
  for (const row of many.rows) {
    const at = row * stride;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(words, sorted[middle]! * stride, many.keys.words, at, stride) < 0) low = middle + 1;
      else high = middle;
    }
    if (low < sorted.length && compareKeys(words, sorted[low]! * stride, many.keys.words, at, stride) === 0)
      return false;
  }
  return true;
}

function sortedRows({ keys: { words, stride }, rows }: KeyRows): Int32Array {
  return rows.slice().sort((left, right) => compareKeys(words, left * stride, words, right * stride, stride));
}

function compareKeys(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number, stride: number): number {
  for (let i = 0; i < stride; i++) {
    const difference = left[leftAt + i]! - right[rightAt + i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
