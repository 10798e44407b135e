// Owns the columns: values as typed arrays, lists as offsets and items, validity as one byte a row.
import type { Take } from './arena.ts';
import { invariant } from './check.ts';
import { allocate, bytesOf, type Dtype, type Values } from './dtype.ts';
import type { ColumnType } from './schema.ts';

export type Column = FlatColumn | Utf8Column | ListColumn;

/** `valid`: one byte a row, 1 present, absent = all present. Values under a null are 0 and never read. */
export interface FlatColumn {
  readonly kind: 'flat';
  readonly dtype: Dtype;
  readonly length: number;
  readonly values: Values;
  readonly valid?: Uint8Array | undefined;
}

/** Row i is bytes[offsets[i] .. offsets[i + 1]) in UTF-8; offsets has length + 1 entries, the first one 0. */
export interface Utf8Column {
  readonly kind: 'utf8';
  readonly length: number;
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
  readonly valid?: Uint8Array | undefined;
}

/**
 * Row i is items[offsets[i] .. offsets[i + 1]); offsets has length + 1 entries, the first one 0; a null row has length 0.
 * Columns of one collection read together share the same `offsets` object: code may use its identity to do a thing once.
 */
export interface ListColumn {
  readonly kind: 'list';
  readonly length: number;
  readonly offsets: Int32Array;
  readonly items: Column;
  readonly valid?: Uint8Array | undefined;
}

export function flatColumn(dtype: Dtype, values: Values, valid?: Uint8Array): FlatColumn {
  return { kind: 'flat', dtype, length: values.length, values, valid };
}

/** A column of no rows. */
export function emptyColumn(type: ColumnType): Column {
  switch (type.kind) {
    case 'flat':
      return flatColumn(type.dtype, allocate(type.dtype, 0));
    case 'utf8':
      return { kind: 'utf8', length: 0, offsets: new Int32Array(1), bytes: new Uint8Array(0) };
    case 'list':
      return { kind: 'list', length: 0, offsets: new Int32Array(1), items: emptyColumn(type.item) };
  }
}

/** `length` rows, all null. */
export function nullColumn(type: ColumnType, length: number): Column {
  const valid = new Uint8Array(length);
  switch (type.kind) {
    case 'flat':
      return { kind: 'flat', dtype: type.dtype, length, values: allocate(type.dtype, length), valid };
    case 'utf8':
      return { kind: 'utf8', length, offsets: new Int32Array(length + 1), bytes: new Uint8Array(0), valid };
    case 'list':
      return { kind: 'list', length, offsets: new Int32Array(length + 1), items: emptyColumn(type.item), valid };
  }
}

/** Rows start .. end (exclusive) of a column; flat values are views, offsets are rebased copies. */
export function sliceColumn(column: Column, start: number, end: number): Column {
  if (start === 0 && end === column.length) return column;
  const valid = column.valid?.subarray(start, end);
  const length = end - start;
  if (column.kind === 'flat') {
    return { kind: 'flat', dtype: column.dtype, length, values: column.values.subarray(start, end), valid };
  }
  const first = column.offsets[start]!;
  const last = column.offsets[end]!;
  const offsets = rebased(column.offsets, start, end);
  return column.kind === 'utf8'
    ? { kind: 'utf8', length, offsets, bytes: column.bytes.subarray(first, last), valid }
    : { kind: 'list', length, offsets, items: sliceColumn(column.items, first, last), valid };
}

/** Rows start .. end of columns of equal length. What lists share stays shared: equal offsets are one object. */
export function sliceColumns(columns: readonly Column[], start: number, end: number): Column[] {
  const offsets = new Map<Int32Array, Int32Array>();
  return columns.map((column) => {
    const slice = sliceColumn(column, start, end);
    if (column.kind === 'flat' || slice.kind === 'flat') return slice;
    const known = offsets.get(column.offsets);
    if (known === undefined) offsets.set(column.offsets, slice.offsets);
    return known === undefined ? slice : { ...slice, offsets: known };
  });
}

function rebased(offsets: Int32Array, start: number, end: number): Int32Array {
  const first = offsets[start]!;
  const out = new Int32Array(end - start + 1);
  for (let i = 0; i < out.length; i++) out[i] = offsets[start + i]! - first;
  return out;
}

/** The rows of all parts, one after the other; parts are of one type. One part is returned as it is. */
export function concatColumns(type: ColumnType, parts: readonly Column[], take: Take = allocate): Column {
  if (parts.length === 0) return emptyColumn(type);
  if (parts.length === 1) return parts[0]!;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const valid = concatValid(parts, length);
  switch (type.kind) {
    case 'flat':
      return { kind: 'flat', dtype: type.dtype, length, values: concatValues(type.dtype, parts, length, take), valid };
    case 'utf8':
      return { kind: 'utf8', length, offsets: concatOffsets(parts, length, take), bytes: concatBytes(parts), valid };
    case 'list': {
      const items = parts.map((part) => (part as ListColumn).items);
      return {
        kind: 'list',
        length,
        offsets: concatOffsets(parts, length, take),
        items: concatColumns(type.item, items, take),
        valid,
      };
    }
  }
}

function concatValid(parts: readonly Column[], length: number): Uint8Array | undefined {
  if (parts.every((part) => part.valid === undefined)) return undefined;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (part.valid) out.set(part.valid, at);
    else out.fill(1, at, at + part.length);
    at += part.length;
  }
  return out;
}

function concatValues(dtype: Dtype, parts: readonly Column[], length: number, take: Take): Values {
  const out = take(dtype, length);
  const target = bytesOf(out);
  let at = 0;
  for (const part of parts) {
    invariant(part.kind === 'flat' && part.dtype === dtype, `parts of one dtype, ${dtype}`);
    const bytes = bytesOf(part.values);
    target.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

function concatOffsets(parts: readonly Column[], length: number, take: Take): Int32Array {
  const out = take('i32', length + 1) as Int32Array;
  out[0] = 0;
  let at = 0;
  let base = 0;
  for (const part of parts) {
    invariant(part.kind !== 'flat', 'parts with offsets');
    const { offsets } = part;
    addBase(offsets, base, out.subarray(at, at + part.length + 1));
    at += part.length;
    base += offsets[part.length]!;
  }
  return out;
}

/** All but the first, which the part before has written. */
function addBase(offsets: Int32Array, base: number, out: Int32Array): void {
  for (let i = 1; i < out.length; i++) out[i] = base + offsets[i]!;
}

function concatBytes(parts: readonly Column[]): Uint8Array {
  const chunks = parts.map((part) =>
    (part as Utf8Column).bytes.subarray(0, (part as Utf8Column).offsets[part.length]!),
  );
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Bytes a column holds in memory. */
export function columnBytes(column: Column): number {
  const valid = column.valid?.byteLength ?? 0;
  if (column.kind === 'flat') return column.values.byteLength + valid;
  if (column.kind === 'utf8') return column.offsets.byteLength + column.bytes.byteLength + valid;
  return column.offsets.byteLength + columnBytes(column.items) + valid;
}

/** Arrays of its own. `offsets`: those copied before, so that columns that share theirs still do. */
export function copyColumn(column: Column, offsets: Map<Int32Array, Int32Array>): Column {
  const valid = column.valid?.slice();
  if (column.kind === 'flat') return { ...column, values: column.values.slice(), valid };
  const own = offsets.get(column.offsets) ?? column.offsets.slice();
  offsets.set(column.offsets, own);
  return column.kind === 'utf8'
    ? { ...column, offsets: own, bytes: column.bytes.slice(), valid }
    : { ...column, offsets: own, items: copyColumn(column.items, offsets), valid };
}
