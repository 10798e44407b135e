// Owns the raw column format: columns as one run of bytes, for worker threads, scratch files and cache entries.
// Layout: u32 header length, JSON header, then each array at a multiple of 8. Arrays that columns share stay shared.
import { invariant } from './check.ts';
import type { Column } from './column.ts';
import { bytesOf, type Dtype, viewAs } from './dtype.ts';

interface PackedArray {
  readonly dtype: Dtype;
  /** From the first byte after the header. */
  readonly at: number;
  readonly length: number;
}
type PackedColumn =
  | { readonly k: 'flat'; readonly d: Dtype; readonly v: number; readonly ok?: number }
  | { readonly k: 'utf8'; readonly o: number; readonly b: number; readonly ok?: number }
  | { readonly k: 'list'; readonly o: number; readonly i: PackedColumn; readonly ok?: number };
interface PackHeader {
  readonly rows: number;
  readonly arrays: readonly PackedArray[];
  readonly columns: readonly PackedColumn[];
}

/** What is to be packed: how many bytes it takes, and a function that writes it. */
export interface Packing {
  readonly bytes: number;
  writeTo(target: Uint8Array): void;
}

type AnyArray = Extract<Column, { kind: 'flat' }>['values'];

const align = (bytes: number) => (bytes + 7) & ~7;

/** Columns of `rows` rows each. */
export function planPacking(rows: number, columns: readonly Column[]): Packing {
  const arrays: PackedArray[] = [];
  const sources: AnyArray[] = [];
  const seen = new Map<AnyArray, number>();
  let at = 0;
  const put = (dtype: Dtype, array: AnyArray): number => {
    const known = seen.get(array);
    if (known !== undefined) return known;
    arrays.push({ dtype, at, length: array.length });
    sources.push(array);
    at += align(array.byteLength);
    seen.set(array, arrays.length - 1);
    return arrays.length - 1;
  };
  const describe = (column: Column): PackedColumn => {
    const ok = column.valid === undefined ? {} : { ok: put('u8', column.valid) };
    if (column.kind === 'flat') return { k: 'flat', d: column.dtype, v: put(column.dtype, column.values), ...ok };
    if (column.kind === 'utf8') return { k: 'utf8', o: put('i32', column.offsets), b: put('u8', column.bytes), ...ok };
    return { k: 'list', o: put('i32', column.offsets), i: describe(column.items), ...ok };
  };
  const header: PackHeader = { rows, columns: columns.map(describe), arrays };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = align(4 + text.length);
  return {
    bytes: start + at,
    writeTo: (target) => {
      invariant(target.length >= start + at, 'room for the packed columns');
      new DataView(target.buffer, target.byteOffset).setUint32(0, text.length, true);
      target.set(text, 4);
      arrays.forEach((array, i) => {
        target.set(bytesOf(sources[i]!), start + array.at);
      });
    },
  };
}

/** The columns in a packed run of bytes (at a multiple of 8 in its buffer), as views of it. */
export function unpackColumns(bytes: Uint8Array): readonly Column[] {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(Buffer.from(bytes.subarray(4, 4 + length)).toString('utf8')) as PackHeader;
  const start = bytes.byteOffset + align(4 + length);
  const arrays = header.arrays.map((array) => viewAs(array.dtype, bytes.buffer, start + array.at, array.length));
  const restore = (packed: PackedColumn, rows: number): Column => {
    const valid = packed.ok === undefined ? undefined : (arrays[packed.ok] as Uint8Array);
    if (packed.k === 'flat') return { kind: 'flat', dtype: packed.d, length: rows, values: arrays[packed.v]!, valid };
    const offsets = arrays[packed.o] as Int32Array;
    if (packed.k === 'utf8')
      return { kind: 'utf8', length: rows, offsets, bytes: arrays[packed.b] as Uint8Array, valid };
    return { kind: 'list', length: rows, offsets, items: restore(packed.i, offsets[rows]!), valid };
  };
  return header.columns.map((column) => restore(column, header.rows));
}
