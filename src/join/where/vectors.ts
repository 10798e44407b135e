// Owns the values of one part of a --where expression over many rows: as arrays, spread over items, as doubles or big integers.
import type { Column } from '../../core/column.ts';
import type { Values } from '../../core/dtype.ts';

/** Integers beyond 2^53: exact. */
export type BigArray = BigInt64Array | BigUint64Array | readonly bigint[];

/** Values of all rows, or of all items of all rows. Truth is one byte, 0 or 1; what a double holds exactly is a double. */
export interface Vector {
  readonly data: Uint8Array | Float64Array | BigArray;
  /** Items of row i are offsets[i] .. offsets[i + 1]; absent: one value a row. */
  readonly offsets?: Int32Array | undefined;
  /** One byte a row, 0 = missing; absent = none is. */
  readonly valid?: Uint8Array | undefined;
}

/** A bool's byte may be any but 0 for true. */
export function vectorOf(column: Column): Vector {
  const flat = column.kind === 'list' ? column.items : column;
  if (flat.kind !== 'flat') throw new Error(`a column of ${column.kind} in an expression`);
  const offsets = column.kind === 'list' ? column.offsets : undefined;
  return { data: dataOf(flat.values, flat.dtype === 'bool'), offsets, valid: column.valid };
}

function dataOf(values: Values, truth: boolean): Vector['data'] {
  if (truth) return truths(values as Uint8Array);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array || values instanceof Float64Array)
    return values;
  return new Float64Array(values as Int32Array);
}

function truths(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = bytes[i] === 0 ? 0 : 1;
  return out;
}

export function isBig(data: Vector['data']): data is BigArray {
  return !(data instanceof Uint8Array) && !(data instanceof Float64Array);
}

export function doublesOf(data: Vector['data']): Float64Array {
  if (data instanceof Float64Array) return data;
  const out = new Float64Array(data.length);
  if (data instanceof Uint8Array) out.set(data);
  else for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  return out;
}

export function bigsOf(data: Vector['data']): BigArray {
  if (isBig(data)) return data;
  const out = new Array<bigint>(data.length);
  for (let i = 0; i < out.length; i++) out[i] = BigInt(data[i]!);
  return out;
}

/** The value of each row beside every item of its list. */
export function spreadOver(offsets: Int32Array, data: Vector['data']): Vector['data'] {
  const total = offsets.at(-1)!;
  if (isBig(data)) {
    const out = new Array<bigint>(total);
    for (let row = 0; row + 1 < offsets.length; row++) out.fill(data[row]!, offsets[row]!, offsets[row + 1]!);
    return out;
  }
  return data instanceof Uint8Array
    ? spreadBytes(data, offsets, new Uint8Array(total))
    : spreadDoubles(data, offsets, new Float64Array(total));
}

function spreadBytes(values: Uint8Array, offsets: Int32Array, out: Uint8Array): Uint8Array {
  for (let row = 0, item = 0; row + 1 < offsets.length; row++) {
    const value = values[row]!;
    for (const end = offsets[row + 1]!; item < end; item++) out[item] = value;
  }
  return out;
}

function spreadDoubles(values: Float64Array, offsets: Int32Array, out: Float64Array): Float64Array {
  for (let row = 0, item = 0; row + 1 < offsets.length; row++) {
    const value = values[row]!;
    for (const end = offsets[row + 1]!; item < end; item++) out[item] = value;
  }
  return out;
}

/** Rows that both have. */
export function bothValid(left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array | undefined {
  if (left === undefined || right === undefined || left === right) return left ?? right;
  const out = new Uint8Array(left.length);
  for (let i = 0; i < out.length; i++) out[i] = left[i]! & right[i]!;
  return out;
}

/** The first row whose lists differ in length, or -1. */
export function firstUnlike(left: Int32Array, right: Int32Array): number {
  if (left === right) return -1;
  for (let row = 1; row < left.length; row++) if (left[row] !== right[row]) return row - 1;
  return -1;
}
