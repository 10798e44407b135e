// Owns columns as Arrow buffers: flat values as they are, booleans and validity as bits, offsets as they are.
import type { Column } from '../../core/column.ts';
import type { Values } from '../../core/dtype.ts';

/** Buffers of one column; can be posted between threads. */
export interface EncodedArrow {
  readonly length: number;
  readonly nulls: number;
  /** One bit a row, absent without nulls. */
  readonly validity?: Uint8Array;
  readonly offsets?: Int32Array;
  /** Booleans as bits, strings as bytes. */
  readonly values?: Values;
  readonly items?: EncodedArrow;
}

export function arrowColumn(column: Column): EncodedArrow {
  const base = { length: column.length, ...validityOf(column.valid) };
  switch (column.kind) {
    case 'flat':
      return { ...base, values: column.dtype === 'bool' ? bitsOf(column.values as Uint8Array) : column.values };
    case 'utf8':
      return { ...base, offsets: column.offsets, values: column.bytes };
    case 'list':
      return { ...base, offsets: column.offsets, items: arrowColumn(column.items) };
  }
}

function validityOf(valid: Uint8Array | undefined): { nulls: number; validity?: Uint8Array } {
  if (valid === undefined) return { nulls: 0 };
  let nulls = 0;
  for (const present of valid) if (present === 0) nulls++;
  return nulls === 0 ? { nulls } : { nulls, validity: bitsOf(valid) };
}

function bitsOf(flags: Uint8Array): Uint8Array {
  const bits = new Uint8Array((flags.length + 7) >> 3);
  for (let i = 0; i < flags.length; i++) if (flags[i] !== 0) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}
