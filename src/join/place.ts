// Owns putting scattered rows into their places: the mirror of gather, from many parts into one column, in one move.
import type { Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { Column, ListColumn, Utf8Column } from '../core/column.ts';
import { allocate, type Bits, bitsOf, bytesOf } from '../core/dtype.ts';

/** Rows of one part and the row of the result that each one becomes. */
export interface PlaceScope {
  readonly rows: number;
  readonly dests: readonly Int32Array[];
  /** One byte a row of the result, 0 = no part has it; undefined = every row is there. */
  readonly valid: Uint8Array | undefined;
  readonly lists: Map<Int32Array, PlacedItems>;
  /** Makes the arrays of results. */
  readonly take: Take;
}
interface PlacedItems {
  readonly offsets: Int32Array;
  readonly items: PlaceScope;
}

export function placeScope(rows: number, dests: readonly Int32Array[], take: Take = allocate): PlaceScope {
  const placed = dests.reduce((sum, dest) => sum + dest.length, 0);
  if (placed === rows) return { rows, dests, valid: undefined, lists: new Map(), take };
  const valid = new Uint8Array(rows);
  for (const dest of dests) for (let i = 0; i < dest.length; i++) valid[dest[i]!] = 1;
  return { rows, dests, valid, lists: new Map(), take };
}

/** Row dests[p][i] of the result is row i of part p; rows that no part has are null. All parts are of one type. */
export function placeColumn(parts: readonly Column[], scope: PlaceScope): Column {
  const [lead] = parts;
  invariant(lead !== undefined, 'a part to place');
  const valid = placeValid(parts, scope);
  if (lead.kind === 'flat') {
    const values = scope.take(lead.dtype, scope.rows);
    const target = bitsOf(values);
    if (scope.valid !== undefined) bytesOf(values).fill(0);
    parts.forEach((part, p) => {
      invariant(part.kind === 'flat' && part.dtype === lead.dtype, 'parts of one type');
      placeBits(bitsOf(part.values), scope.dests[p]!, target);
    });
    return { kind: 'flat', dtype: lead.dtype, length: scope.rows, values, valid };
  }
  const { offsets, items } = placedItems(parts as (ListColumn | Utf8Column)[], scope);
  if (lead.kind === 'utf8') {
    const bytes = scope.take('u8', items.rows) as Uint8Array;
    parts.forEach((part, p) => {
      place1((part as Utf8Column).bytes, items.dests[p]!, bytes);
    });
    return { kind: 'utf8', length: scope.rows, offsets, bytes, valid };
  }
  const inner = placeColumn(
    parts.map((part) => (part as ListColumn).items),
    items,
  );
  return { kind: 'list', length: scope.rows, offsets, items: inner, valid };
}

function placeValid(parts: readonly Column[], { rows, dests, valid }: PlaceScope): Uint8Array | undefined {
  if (parts.every((part) => part.valid === undefined)) return valid;
  const out = new Uint8Array(rows);
  parts.forEach((part, p) => {
    const dest = dests[p]!;
    for (let i = 0; i < dest.length; i++) out[dest[i]!] = part.valid === undefined ? 1 : part.valid[i]!;
  });
  return out;
}

/** Columns of one collection share offsets in every part: what is found for the first serves the others. */
function placedItems(parts: readonly (ListColumn | Utf8Column)[], scope: PlaceScope): PlacedItems {
  const lead = parts[0]!.offsets;
  const known = scope.lists.get(lead);
  if (known !== undefined) return known;
  const offsets = (scope.take('i32', scope.rows + 1) as Int32Array).fill(0);
  parts.forEach((part, p) => {
    countItems(part.offsets, scope.dests[p]!, offsets);
  });
  sumUp(offsets);
  const dests = parts.map((part, p) => itemDests(part.offsets, scope.dests[p]!, offsets, scope.take));
  const placed = {
    offsets,
    items: { rows: offsets[scope.rows]!, dests, valid: undefined, lists: new Map(), take: scope.take },
  };
  scope.lists.set(lead, placed);
  return placed;
}

/** Each becomes the sum of all up to it. */
function sumUp(lengths: Int32Array): void {
  let sum = 0;
  for (let i = 0; i < lengths.length; i++) {
    sum += lengths[i]!;
    lengths[i] = sum;
  }
}

function countItems(source: Int32Array, dest: Int32Array, lengths: Int32Array): void {
  for (let i = 0; i < dest.length; i++) lengths[dest[i]! + 1] = source[i + 1]! - source[i]!;
}

function itemDests(source: Int32Array, dest: Int32Array, offsets: Int32Array, take: Take): Int32Array {
  const out = take('i32', source[dest.length]!) as Int32Array;
  numberItems(source, dest, offsets, out);
  return out;
}

function numberItems(source: Int32Array, dest: Int32Array, offsets: Int32Array, out: Int32Array): void {
  for (let i = 0; i < dest.length; i++) {
    const end = source[i + 1]!;
    let to = offsets[dest[i]!]!;
    for (let item = source[i]!; item < end; item++) out[item] = to++;
  }
}

function placeBits(source: Bits, dest: Int32Array, target: Bits): void {
  if (source instanceof Uint32Array) place4(source, dest, target as Uint32Array);
  else if (source instanceof BigUint64Array) place8(source, dest, target as BigUint64Array);
  else if (source instanceof Uint16Array) place2(source, dest, target as Uint16Array);
  else place1(source, dest, target as Uint8Array);
}

// One stand-alone loop a value size, as in gather.
function place1(source: Uint8Array, dest: Int32Array, target: Uint8Array): void {
  for (let i = 0; i < dest.length; i++) target[dest[i]!] = source[i]!;
}
function place2(source: Uint16Array, dest: Int32Array, target: Uint16Array): void {
  for (let i = 0; i < dest.length; i++) target[dest[i]!] = source[i]!;
}
function place4(source: Uint32Array, dest: Int32Array, target: Uint32Array): void {
  for (let i = 0; i < dest.length; i++) target[dest[i]!] = source[i]!;
}
function place8(source: BigUint64Array, dest: Int32Array, target: BigUint64Array): void {
  for (let i = 0; i < dest.length; i++) target[dest[i]!] = source[i]!;
}
