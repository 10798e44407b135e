// Owns copying a few rows of columns, run by run. It must share nothing with gather: the seals of the two are compared.
import type { Column } from '../core/column.ts';
import { allocate, type Values } from '../core/dtype.ts';

/** Bytes from .. to (exclusive) of values, in values: what one picked row has. */
interface Runs {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly total: number;
}

/** Rows of each column, ascending. Columns that share offsets go on sharing them. */
export function pickColumns(columns: readonly Column[], rows: Int32Array): Column[] {
  const lists = new Map<Int32Array, { readonly offsets: Int32Array; readonly runs: Runs }>();
  const whole: Runs = { from: rows, to: rows.map((row) => row + 1), total: rows.length };
  const listRuns = (offsets: Int32Array) => {
    const known = lists.get(offsets) ?? pickOffsets(offsets, rows);
    lists.set(offsets, known);
    return known;
  };
  return columns.map((column): Column => {
    const valid = column.valid && rows.length > 0 ? Uint8Array.from(rows, (row) => column.valid![row]!) : undefined;
    if (column.kind === 'flat')
      return { ...column, length: rows.length, values: copyRuns(column.values, column.dtype, whole), valid };
    const { offsets, runs } = listRuns(column.offsets);
    if (column.kind === 'utf8')
      return {
        kind: 'utf8',
        length: rows.length,
        offsets,
        bytes: copyRuns(column.bytes, 'u8', runs) as Uint8Array,
        valid,
      };
    return { kind: 'list', length: rows.length, offsets, items: pickItems(column.items, runs), valid };
  });
}

function pickItems(items: Column, runs: Runs): Column {
  if (items.kind === 'flat' && items.valid === undefined) {
    return { ...items, length: runs.total, values: copyRuns(items.values, items.dtype, runs) };
  }
  const rows = new Int32Array(runs.total);
  let at = 0;
  for (let i = 0; i < runs.from.length; i++)
    for (let item = runs.from[i]!; item < runs.to[i]!; item++) rows[at++] = item;
  return pickColumns([items], rows)[0]!;
}

function pickOffsets(offsets: Int32Array, rows: Int32Array): { readonly offsets: Int32Array; readonly runs: Runs } {
  const out = new Int32Array(rows.length + 1);
  const from = rows.map((row) => offsets[row]!);
  const to = rows.map((row) => offsets[row + 1]!);
  for (let i = 0; i < rows.length; i++) out[i + 1] = out[i]! + (to[i]! - from[i]!);
  return { offsets: out, runs: { from, to, total: out[rows.length]! } };
}

/** Integers of the value's size: a float's bits do not change on the way. */
function copyRuns(values: Values, dtype: Parameters<typeof allocate>[0], { from, to, total }: Runs): Values {
  const out = allocate(dtype, total);
  const size = values.BYTES_PER_ELEMENT;
  if (size === 8) copy(words(values, 2), words(out, 2), from, to, 2);
  else if (size === 4) copy(words(values, 1), words(out, 1), from, to, 1);
  else copyBytes(bytes(values), bytes(out), from, to, size);
  return out;
}

function words(values: Values, width: number): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * width);
}

function bytes(values: Values): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function copy(source: Uint32Array, target: Uint32Array, from: Int32Array, to: Int32Array, width: number): void {
  let at = 0;
  for (let run = 0; run < from.length; run++) {
    for (let word = from[run]! * width, end = to[run]! * width; word < end; word++) target[at++] = source[word]!;
  }
}

function copyBytes(source: Uint8Array, target: Uint8Array, from: Int32Array, to: Int32Array, width: number): void {
  let at = 0;
  for (let run = 0; run < from.length; run++) {
    for (let byte = from[run]! * width, end = to[run]! * width; byte < end; byte++) target[at++] = source[byte]!;
  }
}
