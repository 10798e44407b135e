// Owns finding the rows in which two columns differ, in stand-alone loops over bits: millions of rows and items a second.
import type { Column, FlatColumn, ListColumn } from '../core/column.ts';
import { type Bits, bitsOf, wordsOf } from '../core/dtype.ts';
import { sameRow } from './same-value.ts';

/** For each row of `left` the row of `right` that it should equal; negative = none: such rows are not looked at. */
export interface Partners {
  readonly rows: Int32Array;
  /** Taken off each row of `right`. */
  readonly base: number;
}

/** Rows of `left`, ascending, that are not what their partners are. Both columns are of one type. */
export function differingRows(left: Column, right: Column, partners: Partners): readonly number[] {
  if (left.kind === 'flat' && right.kind === 'flat' && noNulls(left, right))
    return differingFlat(left, right, partners);
  if (isPlainList(left) && isPlainList(right) && noNulls(left, right)) return differingLists(left, right, partners);
  const same = sameRow(left, right);
  const { rows, base } = partners;
  const out: number[] = [];
  for (let i = 0; i < rows.length; i++) if (rows[i]! >= 0 && !same(i, rows[i]! - base)) out.push(i);
  return out;
}

const noNulls = (left: Column, right: Column): boolean => left.valid === undefined && right.valid === undefined;

type PlainList = ListColumn & { readonly items: FlatColumn };

function isPlainList(column: Column): column is PlainList {
  return column.kind === 'list' && column.items.kind === 'flat' && column.items.valid === undefined;
}

/** Words of 8-byte values, two each; else the bits as they are. */
function elementsOf({ values }: FlatColumn): { readonly bits: Exclude<Bits, BigUint64Array>; readonly scale: 1 | 2 } {
  return values.BYTES_PER_ELEMENT === 8
    ? { bits: wordsOf(values), scale: 2 }
    : { bits: bitsOf(values) as Uint32Array, scale: 1 };
}

function differingFlat(left: FlatColumn, right: FlatColumn, { rows, base }: Partners): number[] {
  const a = elementsOf(left);
  const b = elementsOf(right);
  const out: number[] = [];
  if (a.scale === 2) flatPairs(a.bits as Uint32Array, b.bits as Uint32Array, rows, base, out);
  else if (a.bits instanceof Uint32Array) flat4(a.bits, b.bits as Uint32Array, rows, base, out);
  else flatNarrow(a.bits as Uint8Array, b.bits as Uint8Array, rows, base, out);
  return out;
}

// One loop an array type, so that each stays fast.
function flat4(a: Uint32Array, b: Uint32Array, rows: Int32Array, base: number, out: number[]): void {
  for (let i = 0; i < rows.length; i++) if (rows[i]! >= 0 && a[i] !== b[rows[i]! - base]) out.push(i);
}
function flatNarrow(a: Uint8Array, b: Uint8Array, rows: Int32Array, base: number, out: number[]): void {
  for (let i = 0; i < rows.length; i++) if (rows[i]! >= 0 && a[i] !== b[rows[i]! - base]) out.push(i);
}
function flatPairs(a: Uint32Array, b: Uint32Array, rows: Int32Array, base: number, out: number[]): void {
  for (let i = 0; i < rows.length; i++) {
    const j = 2 * (rows[i]! - base);
    if (rows[i]! >= 0 && (a[2 * i] !== b[j] || a[2 * i + 1] !== b[j + 1])) out.push(i);
  }
}

function differingLists(left: PlainList, right: PlainList, { rows, base }: Partners): number[] {
  const a = elementsOf(left.items);
  const b = elementsOf(right.items);
  const lists = { a: left.offsets, b: right.offsets, rows, base, scale: a.scale };
  const out: number[] = [];
  if (a.bits instanceof Uint32Array) lists4(a.bits, b.bits as Uint32Array, lists, out);
  else listsNarrow(a.bits as Uint8Array, b.bits as Uint8Array, lists, out);
  return out;
}

interface Lists {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly rows: Int32Array;
  readonly base: number;
  readonly scale: 1 | 2;
}

function lists4(a: Uint32Array, b: Uint32Array, { a: left, b: right, rows, base, scale }: Lists, out: number[]): void {
  for (let i = 0; i < rows.length; i++) {
    if (rows[i]! < 0) continue;
    const row = rows[i]! - base;
    let from = left[i]! * scale;
    let other = right[row]! * scale;
    const end = left[i + 1]! * scale;
    let same = end - from === right[row + 1]! * scale - other;
    for (; same && from < end; from++, other++) same = a[from] === b[other];
    if (!same) out.push(i);
  }
}
function listsNarrow(a: Uint8Array, b: Uint8Array, { a: left, b: right, rows, base }: Lists, out: number[]): void {
  for (let i = 0; i < rows.length; i++) {
    if (rows[i]! < 0) continue;
    const row = rows[i]! - base;
    let from = left[i]!;
    let other = right[row]!;
    const end = left[i + 1]!;
    let same = end - from === right[row + 1]! - other;
    for (; same && from < end; from++, other++) same = a[from] === b[other];
    if (!same) out.push(i);
  }
}
