// Owns verify's own matching of keys: rows sorted by key, then one merge. Shares nothing with join's tables.
import { invariant } from '../core/check.ts';
import { bytesOf } from '../core/dtype.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { orderOf, type PackedKeys, sharedBuffer } from './key-order.ts';

/** A table with its order: what merging needs. */
export interface SortedKeys {
  readonly keys: KeyTable;
  readonly order: Int32Array;
  readonly packed?: PackedKeys | undefined;
  readonly repeated: readonly RepeatedRow[];
}

/** A row whose key an earlier row of the table has too, and the first row that has it. */
export interface RepeatedRow {
  readonly row: number;
  readonly first: number;
}

/** In memory that threads share. */
export function sortKeys(keys: KeyTable): SortedKeys {
  const { rows: order, packed } = orderOf(keys, sharedBuffer);
  const sorted = { keys, order, packed };
  return { ...sorted, repeated: findRepeated(sorted) };
}

type Ordered = Omit<SortedKeys, 'repeated'>;

/** Rows whose keys are fetched at a time: all at once in no order of memory, which costs far less than one by one. */
const WINDOW_ROWS = 1 << 12;

/** Goes through the rows of a table by ascending key. */
interface KeyCursor {
  readonly sorted: Ordered;
  /** Key words of the rows from `start` on in the table's order. */
  readonly words: Uint32Array;
  start: number;
  /** In the table's order. */
  at: number;
}

function cursorOf(sorted: Ordered): KeyCursor {
  invariant(sorted.order.length === sorted.keys.rows, 'an order of all rows');
  const cursor = { sorted, words: new Uint32Array(WINDOW_ROWS * sorted.keys.stride), start: 0, at: 0 };
  fill(cursor);
  return cursor;
}

function fill(cursor: KeyCursor): void {
  const { words, sorted, at } = cursor;
  const { order, keys } = sorted;
  const { stride } = keys;
  cursor.start = at;
  const end = Math.min(order.length, at + WINDOW_ROWS);
  for (let i = at, to = 0; i < end; i++) {
    const from = order[i]! * stride;
    for (let k = 0; k < stride; k++) words[to++] = keys.words[from + k]!;
  }
}

/** False behind the last row. */
function step(cursor: KeyCursor): boolean {
  cursor.at++;
  if (cursor.at - cursor.start === WINDOW_ROWS) fill(cursor);
  return cursor.at < cursor.sorted.order.length;
}

function compareCursors(left: KeyCursor, right: KeyCursor): number {
  const { stride } = left.sorted.keys;
  const a = (left.at - left.start) * stride;
  const b = (right.at - right.start) * stride;
  for (let k = 0; k < stride; k++) {
    const difference = left.words[a + k]! - right.words[b + k]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Rows whose key an earlier row of the table has too, ascending. */
export function repeatedRows({ repeated }: SortedKeys): readonly RepeatedRow[] {
  return repeated;
}

function findRepeated(sorted: Ordered): readonly RepeatedRow[] {
  const repeated = sorted.packed === undefined ? repeatedWords(sorted) : repeatedPacked(sorted.order, sorted.packed);
  return repeated.sort((left, right) => left.row - right.row);
}

function repeatedPacked(order: Int32Array, { high, low }: PackedKeys): RepeatedRow[] {
  const repeated: RepeatedRow[] = [];
  let first = 0;
  for (let i = 1; i < order.length; i++) {
    if (low[i] === low[first] && high[i] === high[first]) repeated.push({ row: order[i]!, first: order[first]! });
    else first = i;
  }
  return repeated;
}

function repeatedWords(sorted: Ordered): RepeatedRow[] {
  const { order, keys } = sorted;
  const { stride } = keys;
  const repeated: RepeatedRow[] = [];
  if (order.length === 0) return repeated;
  const cursor = cursorOf(sorted);
  const last = cursor.words.slice(0, stride);
  let first = order[0]!;
  while (step(cursor)) {
    const from = (cursor.at - cursor.start) * stride;
    let same = true;
    for (let k = 0; k < stride; k++) same &&= cursor.words[from + k] === last[k];
    const row = order[cursor.at]!;
    if (same) repeated.push({ row, first });
    else {
      first = row;
      for (let k = 0; k < stride; k++) last[k] = cursor.words[from + k]!;
    }
  }
  return repeated;
}

/** For each row of `left` the first row of `right` with its key, or -1. */
export function mergeRows(left: Ordered, right: Ordered): Int32Array {
  const found = new Int32Array(new SharedArrayBuffer(left.keys.rows * 4)).fill(-1);
  if (left.order.length === 0 || right.order.length === 0) return found;
  if (left.packed !== undefined && left.packed.packing === right.packed?.packing) {
    mergePacked(left as Packed, right as Packed, found);
  } else mergeWords(left, right, found);
  return found;
}

type Packed = Ordered & { readonly packed: PackedKeys };

function mergePacked(left: Packed, right: Packed, found: Int32Array): void {
  const [mine, theirs] = [left.packed, right.packed];
  const rows = right.order.length;
  for (let i = 0, j = 0; i < left.order.length; i++) {
    const high = mine.high[i]!;
    const low = mine.low[i]!;
    while (j < rows && (theirs.high[j]! < high || (theirs.high[j] === high && theirs.low[j]! < low))) j++;
    if (j === rows) return;
    if (theirs.low[j] === low && theirs.high[j] === high) found[left.order[i]!] = right.order[j]!;
  }
}

function mergeWords(left: Ordered, right: Ordered, found: Int32Array): void {
  const [mine, theirs] = [cursorOf(left), cursorOf(right)];
  do {
    let order = compareCursors(theirs, mine);
    while (order < 0) {
      if (!step(theirs)) return;
      order = compareCursors(theirs, mine);
    }
    if (order === 0) found[left.order[mine.at]!] = right.order[theirs.at]!;
  } while (step(mine));
}

/** Are the keys of two tables the same, row by row? Then one order serves both. */
export function sameKeys(left: KeyTable, right: KeyTable): boolean {
  if (left.rows !== right.rows || left.stride !== right.stride) return false;
  return Buffer.compare(bytesOf(left.words), bytesOf(right.words)) === 0;
}

/** The other way round: for each row of the right table a row of the left one that found it, or -1. */
export function invertRows(found: Int32Array, rows: number): Int32Array {
  const inverse = new Int32Array(rows).fill(-1);
  for (let row = found.length - 1; row >= 0; row--) if (found[row]! >= 0) inverse[found[row]!] = row;
  return inverse;
}
