// Owns comparing one value with another, bit by bit, and showing the two.
import type { Column, FlatColumn, ListColumn, Utf8Column } from '../core/column.ts';
import { bitsOf, wordsOf } from '../core/dtype.ts';

/** Is row i of one column the same as row j of another of the same type? Floats by their bits: NaN is itself, -0 is not 0. */
export type SameRow = (left: number, right: number) => boolean;

export function sameRow(left: Column, right: Column): SameRow {
  const same = samePresent(left, right);
  const a = left.valid;
  const b = right.valid;
  if (a === undefined && b === undefined) return same;
  return (i, j) => {
    const here = a === undefined || a[i] === 1;
    const there = b === undefined || b[j] === 1;
    return here && there ? same(i, j) : here === there;
  };
}

function samePresent(left: Column, right: Column): SameRow {
  if (left.kind === 'flat') return sameFlat(left, right as FlatColumn);
  if (left.kind === 'utf8') return sameText(left, right as Utf8Column);
  return sameList(left, right as ListColumn);
}

function sameFlat(left: FlatColumn, right: FlatColumn): SameRow {
  if (left.values.BYTES_PER_ELEMENT === 8) {
    const a = wordsOf(left.values);
    const b = wordsOf(right.values);
    return (i, j) => a[2 * i] === b[2 * j] && a[2 * i + 1] === b[2 * j + 1];
  }
  const a = bitsOf(left.values) as Uint32Array;
  const b = bitsOf(right.values) as Uint32Array;
  return (i, j) => a[i] === b[j];
}

function sameText(left: Utf8Column, right: Utf8Column): SameRow {
  return (i, j) => {
    const a = left.bytes.subarray(left.offsets[i]!, left.offsets[i + 1]!);
    const b = right.bytes.subarray(right.offsets[j]!, right.offsets[j + 1]!);
    return a.length === b.length && a.every((byte, k) => byte === b[k]);
  };
}

function sameList(left: ListColumn, right: ListColumn): SameRow {
  const same = sameRow(left.items, right.items);
  return (i, j) => {
    const a = left.offsets[i]!;
    const b = right.offsets[j]!;
    const length = left.offsets[i + 1]! - a;
    if (length !== right.offsets[j + 1]! - b) return false;
    for (let k = 0; k < length; k++) if (!same(a + k, b + k)) return false;
    return true;
  };
}

/** Items of a list that a message shows. */
const ITEMS_MAX = 8;

export function valueText(column: Column, row: number): string {
  if (column.valid?.[row] === 0) return 'null';
  if (column.kind === 'flat') {
    if (column.dtype === 'bool') return column.values[row] === 1 ? 'true' : 'false';
    const value = column.values[row]!;
    return Object.is(value, -0) ? '-0' : String(value);
  }
  const start = column.offsets[row]!;
  const end = column.offsets[row + 1]!;
  if (column.kind === 'utf8') return JSON.stringify(new TextDecoder().decode(column.bytes.subarray(start, end)));
  const items: string[] = [];
  for (let k = start; k < Math.min(end, start + ITEMS_MAX); k++) items.push(valueText(column.items, k));
  return `[${items.join(', ')}${end - start > ITEMS_MAX ? `, ... ${end - start} items` : ''}]`;
}
