// Owns what the reader needs to know of a tree: plain data that can be posted to a worker thread.
import type { Dtype } from '../../core/dtype.ts';
import type { ObjectLayout } from './object/wire.ts';

export interface RootLayout {
  readonly tree: string;
  /** Where the file's UUID is, so that a file put in place of this one is noticed; -1 in files too old to have one. */
  readonly uuidOffset: number;
  readonly branches: readonly BranchLayout[];
  readonly baskets: BasketTable;
  /** Baskets that are inside the tree object itself (not flushed when it was written). */
  readonly embedded: readonly BasketData[];
}

/** A basket out of its compression, values as in the file. */
export interface BasketData {
  readonly payload: Uint8Array;
  /** Big-endian i32, one an entry, counting the key; absent where the file does not store them. */
  readonly entryOffsets?: Uint8Array;
  readonly keyBytes: number;
}

export interface BranchLayout {
  readonly name: string;
  /** `string`: length-prefixed bytes (TLeafC). `object`: entries that a wire describes. */
  readonly kind: 'number' | 'string' | 'object';
  /** How entries are decoded, and which slot is this column; columns of one branch have the same baskets and layout. */
  readonly object?: { readonly layout: ObjectLayout; readonly slot: number };
  /** Of one value; u8 for strings. */
  readonly dtype: Dtype;
  /** Fixed dimensions below the row (and below the counted list), outermost first. */
  readonly dims: readonly number[];
  /** Branch that counts the items of a row. */
  readonly counter?: string;
  /** Baskets of this branch: this range of the table, in row order, without gaps. */
  readonly basketStart: number;
  readonly basketEnd: number;
  /** ROOT's setting (100 x algorithm + level) with which it was written; -1 where the branch does not say. */
  readonly compression: number;
  /** Decompressed, about. */
  readonly rawBytes: number;
}

/** All baskets of all branches in one set of arrays: objects would cost more than they say. */
export interface BasketTable {
  /** Byte position of the basket's key in the file; -1 - i for embedded[i]. */
  readonly seek: Float64Array;
  /** Bytes with key, as stored. */
  readonly bytes: Int32Array;
  readonly rowStart: Int32Array;
  /** Exclusive. */
  readonly rowEnd: Int32Array;
}

/** Bytes of one item of a list, or of one row of a branch without counter. */
export function valuesPerItem(branch: BranchLayout): number {
  return branch.dims.reduce((product, size) => product * size, 1);
}
