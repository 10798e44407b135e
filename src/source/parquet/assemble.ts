// Owns the way from levels and dense values to a column: validity, list offsets, nulls spread out.
// Levels are those of the Dremel paper; https://github.com/apache/parquet-format#nested-encoding
import { listsKernel } from '../../codec/page-kernels.ts';
import type { Take } from '../../core/arena.ts';
import { invariant } from '../../core/check.ts';
import { type Column, type FlatColumn, flatColumn, type Utf8Column } from '../../core/column.ts';
import { allocate, bitsOf, bytesOf, type Dtype, type Values, viewAs } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import type { ColumnType } from '../../core/schema.ts';
import type { Leaf } from './schema.ts';
import { damaged } from './thrift.ts';
import type { FixedValues, PageValues } from './values.ts';

/** Levels of whole rows; `def` absent = every entry is there. */
export interface Levels {
  readonly entries: number;
  /** Rows that begin. */
  readonly rows: number;
  readonly rep?: Uint8Array | undefined;
  readonly def?: Uint8Array | undefined;
}

/** `values` are those of the entries that are there, in order. */
export function assembleColumn(leaf: Leaf, shape: Shape, values: PageValues): Column {
  return assembleValues(shape, denseColumn(leaf, values));
}

/** The same of values as the column has them. */
export function assembleValues(shape: Shape, dense: Dense, take: Take = allocate): Column {
  let column: Column = spreadItems(dense, shape.items, take);
  for (const { offsets, valid } of shape.lists.toReversed()) {
    invariant(column.length === offsets[offsets.length - 1], 'items of a list are counted alike twice');
    column = { kind: 'list', length: offsets.length - 1, offsets, items: column, valid };
  }
  return column;
}

/** What levels say of a column whatever its values: offsets of each level, the outermost first, and which items are null. */
export interface Shape {
  readonly lists: readonly { readonly offsets: Int32Array; readonly valid: Uint8Array | undefined }[];
  /** One byte an item; undefined = none is null. */
  readonly items: Uint8Array | undefined;
}

export function shapeOf(leaf: Leaf, levels: Levels): Shape {
  if (levels.rep === undefined) return { lists: [], items: itemsOf(leaf, levels.def, 0) };
  const { rep, rows } = levels;
  const def = levels.def ?? new Uint8Array(levels.entries).fill(leaf.defMax);
  const [itemDef] = leaf.repeatedDefs;
  if (leaf.repeatedDefs.length === 1) {
    return { lists: [rowLists(rows, rep, def, itemDef!)], items: itemsOf(leaf, def, itemDef!) };
  }
  checkOrder(leaf, rep, def);
  const lists = leaf.repeatedDefs.map((_, level) => listLevel(leaf, rep, def, level));
  return { lists, items: itemsOf(leaf, def, leaf.repeatedDefs.at(-1)!) };
}

/**
 * An entry opens a list of this level if it repeats no deeper level and its parent has an item for it; it is an item of
 * the list if it repeats at most this level and is defined that far.
 */
function listLevel(leaf: Leaf, rep: Uint8Array, def: Uint8Array, level: number) {
  const parentDef = level === 0 ? 0 : leaf.repeatedDefs[level - 1]!;
  const itemDef = leaf.repeatedDefs[level]!;
  let lists = 0;
  for (let i = 0; i < rep.length; i++) lists += rep[i]! <= level && def[i]! >= parentDef ? 1 : 0;
  const offsets = new Int32Array(lists + 1);
  const valid = itemDef - 1 > parentDef ? new Uint8Array(lists) : undefined;
  let list = 0;
  let items = 0;
  for (let i = 0; i < rep.length; i++) {
    const d = def[i]!;
    if (rep[i]! <= level && d >= parentDef) {
      offsets[list] = items;
      if (valid !== undefined) valid[list] = d >= itemDef - 1 ? 1 : 0;
      list++;
    }
    if (rep[i]! <= level + 1 && d >= itemDef) items++;
  }
  offsets[lists] = items;
  return { offsets, valid: valid?.includes(0) ? valid : undefined };
}

/** Lists of rows, without a branch an entry: which entries begin a row cannot be predicted. What is written last is right. */
function rowLists(rows: number, rep: Uint8Array, def: Uint8Array, itemDef: number) {
  if (rep.length > 0 && rep[0] !== 0) throw damaged('levels begin inside a row');
  const offsets = new Int32Array(rows + 1);
  const good = listsKernel(rep, def, itemDef, offsets) ?? rowEnds(rep, def, itemDef, offsets);
  if (!good) throw damaged('levels continue a list that has no item');
  if (itemDef < 2 || !anyBelow(def, itemDef - 1)) return { offsets, valid: undefined };
  // an entry that goes on with a list is an item of it: it says of the list what the first entry said
  const valid = new Uint8Array(rows + 1);
  let row = 0;
  for (let i = 0; i < rep.length; i++) {
    row += 1 - rep[i]!;
    valid[row] = def[i]! >= itemDef - 1 ? 1 : 0;
  }
  const own = valid.subarray(1);
  return { offsets, valid: own.includes(0) ? own.slice() : undefined };
}

/** Without a branch an entry, as most columns have none such. */
function anyBelow(levels: Uint8Array, least: number): boolean {
  return commonBits(levels, 256 - least, 256) === 0;
}

function commonBits(levels: Uint8Array, bias: number, mask: number): number {
  let all = mask;
  for (let i = 0; i < levels.length; i++) all &= levels[i]! + bias;
  return all;
}

/** What listsKernel does, one entry at a time. */
function rowEnds(rep: Uint8Array, def: Uint8Array, itemDef: number, offsets: Int32Array): boolean {
  const bias = 256 - itemDef; // level + bias is 256 or more where there is an item
  let row = 0;
  let items = 0;
  let before = 1;
  let lost = 0;
  for (let i = 0; i < rep.length; i++) {
    const goesOn = rep[i]!;
    const item = (def[i]! + bias) >>> 8;
    row += 1 - goesOn;
    items += item;
    offsets[row] = items;
    lost |= goesOn & (1 - (item & before));
    before = item;
  }
  return lost === 0;
}

/** A row begins with level 0, and an entry that continues a list follows an item of that list and is one. */
function checkOrder(leaf: Leaf, rep: Uint8Array, def: Uint8Array): void {
  if (rep.length > 0 && rep[0] !== 0) throw damaged('levels begin inside a row');
  const itemDefs = Uint8Array.of(0, ...leaf.repeatedDefs);
  for (let i = 1; i < rep.length; i++) {
    const least = itemDefs[rep[i]!]!;
    if (def[i]! < least || def[i - 1]! < least) throw damaged('levels continue a list that has no item');
  }
}

type Dense = FlatColumn | Utf8Column;

/** Entries below `itemDef` are no items at all (empty and null lists); those below the maximum are null items. */
function itemsOf({ defMax: max }: Leaf, def: Uint8Array | undefined, itemDef: number): Uint8Array | undefined {
  if (def === undefined || max === itemDef) return undefined;
  let length = 0;
  let present = 0;
  for (let i = 0; i < def.length; i++) {
    length += def[i]! >= itemDef ? 1 : 0;
    present += def[i] === max ? 1 : 0;
  }
  if (length === present) return undefined;
  const valid = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < def.length; i++) {
    const d = def[i]!;
    if (d >= itemDef) valid[at++] = d === max ? 1 : 0;
  }
  return valid;
}

function spreadItems(dense: Dense, valid: Uint8Array | undefined, take: Take): Column {
  if (valid === undefined) return dense;
  return dense.kind === 'flat' ? spreadFlat(dense, valid, take) : spreadText(dense, valid);
}

function spreadFlat(dense: FlatColumn, valid: Uint8Array, take: Take): FlatColumn {
  const values = take(dense.dtype, valid.length);
  const from = bitsOf(dense.values) as Uint32Array;
  const to = bitsOf(values) as Uint32Array;
  bytesOf(values).fill(0);
  let next = 0;
  for (let i = 0; i < valid.length; i++) if (valid[i] === 1) to[i] = from[next++]!;
  return flatColumn(dense.dtype, values, valid);
}

function spreadText(dense: Utf8Column, valid: Uint8Array): Utf8Column {
  const { length } = valid;
  const offsets = new Int32Array(length + 1);
  let next = 0;
  for (let i = 0; i < length; i++) {
    if (valid[i] === 1) next++;
    offsets[i + 1] = dense.offsets[next]!;
  }
  return { kind: 'utf8', length, offsets, bytes: dense.bytes, valid };
}

function denseColumn(leaf: Leaf, values: PageValues): Dense {
  const { item } = leaf;
  if (item.kind === 'utf8') {
    invariant(values.kind === 'text', 'text is stored as text');
    return { kind: 'utf8', length: values.count, offsets: values.offsets, bytes: values.bytes };
  }
  invariant(item.kind === 'flat', 'items are flat or text');
  if (leaf.storage === 'decimal') return flatColumn(item.dtype, decimals(leaf, values, item.dtype));
  invariant(values.kind === 'fixed', 'numbers are of fixed width');
  if (leaf.storage === 'narrow') return flatColumn(item.dtype, narrowed(leaf, values, item.dtype));
  return flatColumn(item.dtype, viewAs(item.dtype, values.bytes.buffer, values.bytes.byteOffset, values.count));
}

/** Integers of 8 and 16 bits are stored in 32; a value that does not fit is named, never cut. */
function narrowed(leaf: Leaf, values: FixedValues, dtype: Dtype) {
  const out = allocate(dtype, values.count);
  narrowInto(leaf, values, out);
  return out;
}

export function narrowInto(leaf: Leaf, values: FixedValues, out: Values): void {
  const from = new Int32Array(values.bytes.buffer, values.bytes.byteOffset, values.count);
  if (out instanceof Uint8Array) narrowBytes(leaf, from, out);
  else narrowOthers(leaf, from, out as Int16Array);
}

// One loop for the type that NanoAOD is full of.
function narrowBytes(leaf: Leaf, from: Int32Array, out: Uint8Array): void {
  if (copyNarrow(from, out) >>> 8 !== 0) narrowOthers(leaf, from, out);
}

/** The bits that any of the values has. */
function copyNarrow(from: Int32Array, out: Uint8Array): number {
  let bits = 0;
  for (let i = 0; i < from.length; i++) {
    out[i] = from[i]!;
    bits |= from[i]!;
  }
  return bits;
}

function narrowOthers(leaf: Leaf, from: Int32Array, out: Int16Array | Uint8Array): void {
  const { item } = leaf;
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    out[i] = value;
    if (out[i] !== value) throw outOfRange(leaf, BigInt(value), (item as Extract<ColumnType, { kind: 'flat' }>).dtype);
  }
}

function decimals(leaf: Leaf, values: PageValues, dtype: Dtype) {
  const out = new DataView(new ArrayBuffer(values.count * 8));
  const { bytes } = values;
  for (let i = 0; i < values.count; i++) {
    const start = values.kind === 'text' ? values.offsets[i]! : i * values.width;
    const end = values.kind === 'text' ? values.offsets[i + 1]! : start + values.width;
    const value = bigEndian(bytes, start, end);
    const kept = dtype === 'i64' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
    if (kept !== value) throw outOfRange(leaf, value, dtype);
    out.setBigUint64(i * 8, BigInt.asUintN(64, value), true);
  }
  return viewAs(dtype, out.buffer, 0, values.count);
}

/** Two's complement, most significant byte first. */
function bigEndian(bytes: Uint8Array, start: number, end: number): bigint {
  if (start === end) return 0n;
  let value = BigInt((bytes[start]! << 24) >> 24);
  for (let i = start + 1; i < end; i++) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

function outOfRange(leaf: Leaf, value: bigint, dtype: Dtype): ColweaveError {
  return new ColweaveError('source/unreadable-column', `value ${value} of column "${leaf.name}" does not fit ${dtype}`);
}
