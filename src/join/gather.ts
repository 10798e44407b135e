// Owns moving values by a row map: bits only, one loop a value size, the work of a collection's offsets done once.
import type { Take } from '../core/arena.ts';
import type { Column, ListColumn } from '../core/column.ts';
import { allocate, type Bits, bitsOf } from '../core/dtype.ts';

/** What gathers of many columns by the same rows share. */
export interface GatherScope {
  /** Source row of each output row, -1 = absent. */
  readonly rows: Int32Array;
  /** One byte a row, 0 = absent; undefined = every row is there. */
  readonly valid: Uint8Array | undefined;
  readonly lists: Map<Int32Array, ItemRows>;
  /** Makes the arrays of results. */
  readonly take: Take;
  /** Makes what is needed only while gathering. */
  readonly work: Take;
}
interface ItemRows {
  readonly offsets: Int32Array;
  readonly items: GatherScope;
}

export function gatherScope(rows: Int32Array, take: Take = allocate, work = take): GatherScope {
  return { rows, valid: presence(rows), lists: new Map(), take, work };
}

function presence(rows: Int32Array): Uint8Array | undefined {
  if (firstAbsent(rows) < 0) return undefined;
  const valid = new Uint8Array(rows.length);
  markPresent(rows, valid);
  return valid;
}

function firstAbsent(rows: Int32Array): number {
  for (let i = 0; i < rows.length; i++) if (rows[i]! < 0) return i;
  return -1;
}

function markPresent(rows: Int32Array, valid: Uint8Array): void {
  for (let i = 0; i < rows.length; i++) valid[i] = rows[i]! < 0 ? 0 : 1;
}

/** Row i of the result is row rows[i] of the column; absent rows are null. */
export function gatherColumn(column: Column, scope: GatherScope): Column {
  const { rows } = scope;
  const valid = gatherValid(column, scope);
  switch (column.kind) {
    case 'flat': {
      const values = scope.take(column.dtype, rows.length);
      gatherBits(bitsOf(column.values), rows, bitsOf(values));
      return { kind: 'flat', dtype: column.dtype, length: rows.length, values, valid };
    }
    case 'utf8': {
      const { offsets, items } = itemRows(column.offsets, scope);
      const bytes = scope.take('u8', items.rows.length) as Uint8Array;
      gather1(column.bytes, items.rows, bytes);
      return { kind: 'utf8', length: rows.length, offsets, bytes, valid };
    }
    case 'list':
      return gatherList(column, scope, valid);
  }
}

function gatherList(column: ListColumn, scope: GatherScope, valid: Uint8Array | undefined): ListColumn {
  const { offsets, items } = itemRows(column.offsets, scope);
  return { kind: 'list', length: scope.rows.length, offsets, items: gatherColumn(column.items, items), valid };
}

function gatherValid({ valid }: Column, scope: GatherScope): Uint8Array | undefined {
  if (valid === undefined) return scope.valid;
  const out = scope.take('u8', scope.rows.length) as Uint8Array;
  for (let i = 0; i < out.length; i++) out[i] = scope.rows[i]! < 0 ? 0 : valid[scope.rows[i]!]!;
  return out;
}

function itemRows(offsets: Int32Array, scope: GatherScope): ItemRows {
  let known = scope.lists.get(offsets);
  if (known === undefined) {
    known = countItems(offsets, scope);
    scope.lists.set(offsets, known);
  }
  return known;
}

function countItems(offsets: Int32Array, { rows, take, work }: GatherScope): ItemRows {
  const out = take('i32', rows.length + 1) as Int32Array;
  out[0] = 0;
  sumLengths(offsets, rows, out);
  const items = work('i32', out[rows.length]!) as Int32Array;
  numberItems(offsets, rows, items);
  return { offsets: out, items: { rows: items, valid: undefined, lists: new Map(), take, work } };
}

function sumLengths(offsets: Int32Array, rows: Int32Array, out: Int32Array): void {
  let total = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (row >= 0) total += offsets[row + 1]! - offsets[row]!;
    out[i + 1] = total;
  }
}

function numberItems(offsets: Int32Array, rows: Int32Array, items: Int32Array): void {
  for (let i = 0, to = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (row < 0) continue;
    const end = offsets[row + 1]!;
    for (let from = offsets[row]!; from < end; from++) items[to++] = from;
  }
}

function gatherBits(source: Bits, rows: Int32Array, target: Bits): void {
  if (source instanceof Uint32Array) gather4(source, rows, target as Uint32Array);
  else if (source instanceof BigUint64Array) gather8(source, rows, target as BigUint64Array);
  else if (source instanceof Uint16Array) gather2(source, rows, target as Uint16Array);
  else gather1(source, rows, target as Uint8Array);
}

// One stand-alone loop a value size: each sees one array type for ever, which is what makes it fast. Absent rows are zeros.
function gather1(source: Uint8Array, rows: Int32Array, target: Uint8Array): void {
  for (let i = 0; i < rows.length; i++) target[i] = rows[i]! < 0 ? 0 : source[rows[i]!]!;
}
function gather2(source: Uint16Array, rows: Int32Array, target: Uint16Array): void {
  for (let i = 0; i < rows.length; i++) target[i] = rows[i]! < 0 ? 0 : source[rows[i]!]!;
}
function gather4(source: Uint32Array, rows: Int32Array, target: Uint32Array): void {
  for (let i = 0; i < rows.length; i++) target[i] = rows[i]! < 0 ? 0 : source[rows[i]!]!;
}
function gather8(source: BigUint64Array, rows: Int32Array, target: BigUint64Array): void {
  for (let i = 0; i < rows.length; i++) target[i] = rows[i]! < 0 ? 0n : source[rows[i]!]!;
}
