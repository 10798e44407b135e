// Owns finding the rows in which two columns differ: bytes at once where rows lie alike, else loops over bits.
import type { Column, FlatColumn, ListColumn } from '../core/column.ts';
import { type Bits, bitsOf, bytesOf, wordsOf } from '../core/dtype.ts';
import { sameRow } from './same-value.ts';
import { equalTogether } from './together.ts';

/** Row left[k] of one column should be row right[k] of the other. */
export interface Pairs {
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** On both sides each row is the one after the row before. */
  readonly run: boolean;
}

export function pairsOf(left: Int32Array, right: Int32Array): Pairs {
  return { left, right, run: isRun(left) && isRun(right) };
}

function isRun(rows: Int32Array): boolean {
  const shift = rows[0] ?? 0;
  for (let k = 0; k < rows.length; k++) if (rows[k] !== shift + k) return false;
  return true;
}

/** Two columns of one type that should be the same by pairs of rows. */
export interface Compared {
  readonly left: Column;
  readonly right: Column;
}

/** The same as differingPairs of each; columns that lie alike are looked at together first, as most differ nowhere. */
export function differingColumns(columns: readonly Compared[], pairs: Pairs): readonly (readonly number[])[] {
  const same = pairs.run ? new Set<Compared>() : equalTogether(columns, pairs);
  return columns.map((column) => (same.has(column) ? [] : differingPairs(column.left, column.right, pairs)));
}

/** The k, ascending, whose rows are not the same. Both columns are of one type. */
export function differingPairs(left: Column, right: Column, pairs: Pairs): readonly number[] {
  if (left.valid === undefined && right.valid === undefined) return differingValues(left, right, pairs);
  const both: number[] = [];
  const wrong: number[] = [];
  for (let k = 0; k < pairs.left.length; k++) {
    const here = left.valid?.[pairs.left[k]!] ?? 1;
    if (here !== (right.valid?.[pairs.right[k]!] ?? 1)) wrong.push(k);
    else if (here === 1) both.push(k);
  }
  const present =
    both.length === pairs.left.length
      ? pairs
      : pairsOf(
          Int32Array.from(both, (k) => pairs.left[k]!),
          Int32Array.from(both, (k) => pairs.right[k]!),
        );
  for (const k of differingValues(left, right, present)) wrong.push(both[k]!);
  return wrong.sort((a, b) => a - b);
}

/** Of rows that are not null. */
function differingValues(left: Column, right: Column, pairs: Pairs): readonly number[] {
  if (left.kind === 'flat' && right.kind === 'flat') {
    return pairs.run && sameStretch(left, right, pairs) ? [] : differingFlat(left, right, pairs);
  }
  if (isPlainList(left) && isPlainList(right)) {
    return pairs.run && sameLists(left, right, pairs) ? [] : differingLists(left, right, pairs);
  }
  const same = sameRow({ ...left, valid: undefined }, { ...right, valid: undefined });
  const out: number[] = [];
  for (let k = 0; k < pairs.left.length; k++) if (!same(pairs.left[k]!, pairs.right[k]!)) out.push(k);
  return out;
}

type PlainList = ListColumn & { readonly items: FlatColumn };

function isPlainList(column: Column): column is PlainList {
  return column.kind === 'list' && column.items.kind === 'flat' && column.items.valid === undefined;
}

interface Stretch {
  readonly left: number;
  readonly right: number;
  readonly length: number;
}

function sameBytes(left: FlatColumn, right: FlatColumn, stretch: Stretch): boolean {
  const a = left.values.subarray(stretch.left, stretch.left + stretch.length);
  const b = right.values.subarray(stretch.right, stretch.right + stretch.length);
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function sameStretch(left: FlatColumn, right: FlatColumn, pairs: Pairs): boolean {
  const { length } = pairs.left;
  return length === 0 || sameBytes(left, right, { left: pairs.left[0]!, right: pairs.right[0]!, length });
}

/** Lists as long as each other, row by row, and then all items at once. */
function sameLists(left: PlainList, right: PlainList, pairs: Pairs): boolean {
  const { length } = pairs.left;
  if (length === 0) return true;
  const [a, b] = [left.offsets, right.offsets];
  const [i, j] = [pairs.left[0]!, pairs.right[0]!];
  const shift = b[j]! - a[i]!;
  for (let k = 1; k <= length; k++) if (b[j + k]! - a[i + k]! !== shift) return false;
  return sameBytes(left.items, right.items, { left: a[i]!, right: b[j]!, length: a[i + length]! - a[i]! });
}

/** Words of 8-byte values, two each; else the bits as they are. */
function elementsOf({ values }: FlatColumn): { readonly bits: Exclude<Bits, BigUint64Array>; readonly scale: 1 | 2 } {
  return values.BYTES_PER_ELEMENT === 8
    ? { bits: wordsOf(values), scale: 2 }
    : { bits: bitsOf(values) as Uint32Array, scale: 1 };
}

function differingFlat(left: FlatColumn, right: FlatColumn, pairs: Pairs): number[] {
  const a = elementsOf(left);
  const b = elementsOf(right);
  const out: number[] = [];
  if (a.scale === 2) flatPairs(a.bits as Uint32Array, b.bits as Uint32Array, pairs, out);
  else if (a.bits instanceof Uint32Array) flat4(a.bits, b.bits as Uint32Array, pairs, out);
  else flatNarrow(a.bits as Uint8Array, b.bits as Uint8Array, pairs, out);
  return out;
}

// One loop an array type, so that each stays fast.
function flat4(a: Uint32Array, b: Uint32Array, { left, right }: Pairs, out: number[]): void {
  for (let k = 0; k < left.length; k++) if (a[left[k]!] !== b[right[k]!]) out.push(k);
}
function flatNarrow(a: Uint8Array, b: Uint8Array, { left, right }: Pairs, out: number[]): void {
  for (let k = 0; k < left.length; k++) if (a[left[k]!] !== b[right[k]!]) out.push(k);
}
function flatPairs(a: Uint32Array, b: Uint32Array, { left, right }: Pairs, out: number[]): void {
  for (let k = 0; k < left.length; k++) {
    const i = 2 * left[k]!;
    const j = 2 * right[k]!;
    if (a[i] !== b[j] || a[i + 1] !== b[j + 1]) out.push(k);
  }
}

function differingLists(left: PlainList, right: PlainList, pairs: Pairs): number[] {
  const a = elementsOf(left.items);
  const b = elementsOf(right.items);
  const lists = { a: left.offsets, b: right.offsets, scale: a.scale };
  const out: number[] = [];
  if (a.bits instanceof Uint32Array) lists4(a.bits, b.bits as Uint32Array, lists, pairs, out);
  else listsNarrow(a.bits as Uint8Array, b.bits as Uint8Array, lists, pairs, out);
  return out;
}

interface Lists {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly scale: 1 | 2;
}

function lists4(a: Uint32Array, b: Uint32Array, lists: Lists, { left, right }: Pairs, out: number[]): void {
  const { scale } = lists;
  for (let k = 0; k < left.length; k++) {
    const [i, j] = [left[k]!, right[k]!];
    let from = lists.a[i]! * scale;
    let other = lists.b[j]! * scale;
    const end = lists.a[i + 1]! * scale;
    let same = end - from === lists.b[j + 1]! * scale - other;
    for (; same && from < end; from++, other++) same = a[from] === b[other];
    if (!same) out.push(k);
  }
}
function listsNarrow(a: Uint8Array, b: Uint8Array, lists: Lists, { left, right }: Pairs, out: number[]): void {
  for (let k = 0; k < left.length; k++) {
    const [i, j] = [left[k]!, right[k]!];
    let from = lists.a[i]!;
    let other = lists.b[j]!;
    const end = lists.a[i + 1]!;
    let same = end - from === lists.b[j + 1]! - other;
    for (; same && from < end; from++, other++) same = a[from] === b[other];
    if (!same) out.push(k);
  }
}
