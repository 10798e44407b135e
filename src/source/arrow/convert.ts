// Owns the way from Arrow's arrays to columns: bits as they are, validity as bytes, offsets from 0, nothing under a null.
import type { Data } from 'apache-arrow';
import { type Column, concatColumns, type FlatColumn, flatColumn, sliceColumn } from '../../core/column.ts';
import { allocate, bitsOf, bytesOf, type Dtype, dtypeBytes, type Values, viewAs } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import type { ColumnType } from '../../core/schema.ts';
import { ArrowType, isListType, type TypeParts } from './leaves.ts';

/** What of a Data is read: the parts that are there depend on its type. */
interface Parts {
  readonly length: number;
  readonly offset: number;
  readonly values?: ArrayBufferView;
  readonly valueOffsets?: Int32Array | BigInt64Array;
  readonly nullBitmap?: Uint8Array | null;
  readonly children: readonly Data[];
  readonly variadicBuffers?: readonly Uint8Array[];
  readonly dictionary?: { readonly data: readonly Data[] };
}

const OFFSET_MAX = 2 ** 31 - 1;
/** A view of up to this many bytes holds the string itself. */
const INLINE_BYTES_MAX = 12;

/** One batch's rows of a leaf. `type` is that of `data` with the structs taken away. */
export function convertData(data: Data, type: ColumnType, steps: readonly number[], above?: Uint8Array): Column {
  const parts = data as unknown as Parts;
  const { typeId } = data.type as unknown as TypeParts;
  if (parts.offset !== 0) throw damaged('an array has an offset, which a file cannot have');
  if (above !== undefined && above.length !== parts.length) throw damaged('a struct and its member differ in length');
  const valid = both(validity(parts), above);
  if (typeId === ArrowType.STRUCT) return convertData(child(parts, steps[0]!), type, steps.slice(1), valid);
  if (type.kind === 'list') {
    const { listSize } = data.type as unknown as TypeParts;
    if (!isListType(typeId)) throw damaged('a list is no list');
    const offsets = listSize === undefined ? offsetsOf(parts) : fixedOffsets(parts.length, listSize);
    const items = convertData(child(parts, 0), type.item, steps);
    return listColumn(type, offsets, items, valid);
  }
  if (typeId === ArrowType.DICTIONARY) return gatherDictionary(parts, data, type, valid);
  if (type.kind === 'flat') return withoutHidden(flatOf(parts, type.dtype), valid);
  return typeId === ArrowType.UTF8_VIEW ? viewText(parts, valid) : plainText(parts, valid);
}

function damaged(message: string): ColweaveError {
  return new ColweaveError('source/damaged', `arrow: ${message}`);
}

function child(parts: Parts, index: number): Data {
  const found = parts.children[index];
  if (found === undefined) throw damaged('a nested array has no child');
  return found;
}

/** One byte a row, or undefined where all are there. */
function validity(parts: Parts): Uint8Array | undefined {
  const bits = parts.nullBitmap;
  if (bits === undefined || bits === null || bits.length === 0) return undefined;
  const valid = unpackBits(bits, parts.length);
  return valid.includes(0) ? valid : undefined;
}

function unpackBits(bits: Uint8Array, length: number): Uint8Array {
  if (bits.length * 8 < length) throw damaged('a bitmap is too short');
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = (bits[i >> 3]! >> (i & 7)) & 1;
  return out;
}

function both(left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return left.map((there, i) => there & right[i]!);
}

function flatOf(parts: Parts, dtype: Dtype): FlatColumn {
  const { values, length } = parts;
  if (values === undefined) throw damaged('an array has no values');
  if (dtype === 'bool') return flatColumn(dtype, unpackBits(bytesOf(values), length));
  const bytes = dtypeBytes(dtype);
  if (values.byteLength < length * bytes) throw damaged('an array is too short');
  if (values.byteOffset % bytes === 0)
    return flatColumn(dtype, viewAs(dtype, values.buffer, values.byteOffset, length));
  const copy = allocate(dtype, length);
  bytesOf(copy).set(bytesOf(values).subarray(0, length * bytes));
  return flatColumn(dtype, copy);
}

/** Values under a null are 0; Arrow lets them be anything. */
function withoutHidden(column: FlatColumn, valid: Uint8Array | undefined): FlatColumn {
  if (valid === undefined) return column;
  const values = allocate(column.dtype, column.length);
  copyWhere(column.values, values, valid);
  return flatColumn(column.dtype, values, valid);
}

function copyWhere(source: Values, target: Values, valid: Uint8Array): void {
  const from = bitsOf(source) as Uint32Array;
  const to = bitsOf(target) as Uint32Array;
  for (let i = 0; i < valid.length; i++) if (valid[i] === 1) to[i] = from[i]!;
}

/** Checked: never falling, from 0 or more, as 32 bits. */
function offsetsOf(parts: Parts): Int32Array {
  const { valueOffsets, length } = parts;
  if (valueOffsets === undefined || valueOffsets.length < length + 1) {
    if (length === 0) return new Int32Array(1);
    throw damaged('offsets are too short');
  }
  const offsets = valueOffsets instanceof BigInt64Array ? narrowOffsets(valueOffsets, length) : valueOffsets;
  if (offsets[0]! < 0) throw damaged('an offset is negative');
  for (let i = 0; i < length; i++) if (offsets[i + 1]! < offsets[i]!) throw damaged('offsets go back');
  return offsets.subarray(0, length + 1);
}

function narrowOffsets(wide: BigInt64Array, length: number): Int32Array {
  const out = new Int32Array(length + 1);
  for (let i = 0; i <= length; i++) {
    if (wide[i]! > BigInt(OFFSET_MAX)) throw damaged(`an offset of ${wide[i]} in one batch`);
    out[i] = Number(wide[i]);
  }
  return out;
}

function fixedOffsets(length: number, size: number): Int32Array {
  if (size < 0 || length * size > OFFSET_MAX) throw damaged(`${length} lists of ${size} items in one batch`);
  return Int32Array.from({ length: length + 1 }, (_, i) => i * size);
}

/** Runs of rows start .. end that are not null. */
function presentRuns(valid: Uint8Array): (readonly [number, number])[] {
  const runs: (readonly [number, number])[] = [];
  let start = 0;
  for (let i = 0; i <= valid.length; i++) {
    if (i < valid.length && valid[i] === 1) continue;
    if (i > start) runs.push([start, i]);
    start = i + 1;
  }
  return runs;
}

/** Offsets from 0 with nothing under nulls, and the spans of bytes or items that remain. */
function compact(offsets: Int32Array, valid: Uint8Array | undefined) {
  const length = offsets.length - 1;
  const out = new Int32Array(length + 1);
  let hidden = 0;
  for (let i = 0; i < length; i++) {
    const size = offsets[i + 1]! - offsets[i]!;
    const there = valid === undefined || valid[i] === 1;
    if (!there) hidden += size;
    out[i + 1] = out[i]! + (there ? size : 0);
  }
  const runs = hidden === 0 || valid === undefined ? [[0, length] as const] : presentRuns(valid);
  return { offsets: out, spans: runs.map(([start, end]) => [offsets[start]!, offsets[end]!] as const) };
}

function listColumn(
  type: Extract<ColumnType, { kind: 'list' }>,
  offsets: Int32Array,
  items: Column,
  valid: Uint8Array | undefined,
): Column {
  if (offsets[offsets.length - 1]! > items.length) throw damaged('offsets run over the items');
  const { offsets: packed, spans } = compact(offsets, valid);
  const parts = spans.map(([start, end]) => sliceColumn(items, start, end));
  return { kind: 'list', length: packed.length - 1, offsets: packed, items: concatColumns(type.item, parts), valid };
}

function plainText(parts: Parts, valid: Uint8Array | undefined): Column {
  const offsets = offsetsOf(parts);
  const bytes = parts.values === undefined ? new Uint8Array(0) : bytesOf(parts.values);
  if (offsets[offsets.length - 1]! > bytes.length) throw damaged('offsets run over the text');
  const { offsets: packed, spans } = compact(offsets, valid);
  const chunks = spans.map(([start, end]) => bytes.subarray(start, end));
  const text = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return { kind: 'utf8', length: parts.length, offsets: packed, bytes: text, valid };
}

/** Views of 16 bytes: a length, then the string itself or the buffer and place where it lies. */
function viewText(parts: Parts, valid: Uint8Array | undefined): Column {
  const { length, variadicBuffers = [] } = parts;
  const views = parts.values === undefined ? new Uint8Array(0) : bytesOf(parts.values);
  if (views.length < length * 16) throw damaged('string views are too short');
  const view = new DataView(views.buffer, views.byteOffset, views.byteLength);
  const offsets = new Int32Array(length + 1);
  const strings: Uint8Array[] = [];
  for (let i = 0; i < length; i++) {
    const size = valid === undefined || valid[i] === 1 ? view.getInt32(i * 16, true) : 0;
    const at = size > INLINE_BYTES_MAX ? view.getInt32(i * 16 + 12, true) : i * 16 + 4;
    const buffer = size > INLINE_BYTES_MAX ? variadicBuffers[view.getInt32(i * 16 + 8, true)] : views;
    if (size < 0 || at < 0 || buffer === undefined || at + size > buffer.length || offsets[i]! + size > OFFSET_MAX) {
      throw damaged('a string view leads out of its buffer');
    }
    offsets[i + 1] = offsets[i]! + size;
    if (size > 0) strings.push(buffer.subarray(at, at + size));
  }
  return { kind: 'utf8', length, offsets, bytes: Buffer.concat(strings), valid };
}

function gatherDictionary(parts: Parts, data: Data, type: ColumnType, valid: Uint8Array | undefined): Column {
  const words = concatColumns(
    type,
    (parts.dictionary?.data ?? []).map((chunk) => convertData(chunk, type, [])),
  );
  const index = (data.type as unknown as { readonly indices: TypeParts }).indices;
  const indices = flatOf(parts, `${index.isSigned ? 'i' : 'u'}${index.bitWidth}` as Dtype).values;
  const rows = new Int32Array(parts.length);
  const there = valid ?? new Uint8Array(parts.length).fill(1);
  for (let i = 0; i < rows.length; i++) {
    const row = there[i] === 1 ? Number(indices[i]) : -1;
    if (there[i] === 1 && !(row >= 0 && row < words.length)) throw damaged(`index ${row} into a dictionary`);
    rows[i] = words.valid !== undefined && row >= 0 && words.valid[row] === 0 ? -1 : row;
  }
  const kept = Uint8Array.from(rows, (row) => (row < 0 ? 0 : 1));
  return gatherRows(words, rows, kept.includes(0) ? kept : undefined);
}

function gatherRows(words: Column, rows: Int32Array, valid: Uint8Array | undefined): Column {
  if (words.kind === 'flat') {
    const values = allocate(words.dtype, rows.length);
    const from = bitsOf(words.values) as Uint32Array;
    const to = bitsOf(values) as Uint32Array;
    for (let i = 0; i < rows.length; i++) if (rows[i]! >= 0) to[i] = from[rows[i]!]!;
    return flatColumn(words.dtype, values, valid);
  }
  if (words.kind === 'list') throw damaged('a dictionary of lists');
  const offsets = new Int32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const size = row < 0 ? 0 : words.offsets[row + 1]! - words.offsets[row]!;
    if (offsets[i]! + size > OFFSET_MAX) throw damaged('a dictionary column of more than 2 GB in one batch');
    offsets[i + 1] = offsets[i]! + size;
  }
  const bytes = new Uint8Array(offsets[rows.length]!);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (row >= 0) bytes.set(words.bytes.subarray(words.offsets[row], words.offsets[row + 1]), offsets[i]!);
  }
  return { kind: 'utf8', length: rows.length, offsets, bytes, valid };
}
