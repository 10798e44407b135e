// Owns the plan by which entries of an object branch are decoded: plain data, made from class descriptions, posted to
// worker threads. A wire says what stands in the file, a slot where decoded values go; slots make columns.
import type { Dtype } from '../../../core/dtype.ts';
import { type ColumnType, flat, list, utf8 } from '../../../core/schema.ts';

export type Wire =
  | NumberWire
  | PackedWire
  | StringWire
  | ListWire
  | FixedWire
  | CountedWire
  | RestWire
  | RecordWire
  | ObjectWire;

/** Big-endian, of `dtype`; the slot's dtype may be a wider one where versions of a class differ. */
export interface NumberWire {
  readonly kind: 'number';
  readonly dtype: Dtype;
  readonly slot: number;
}

/** Double32_t and Float16_t with a range or fewer bits. */
export interface PackedWire {
  readonly kind: 'packed';
  readonly packing: Packing;
  readonly slot: number;
}

/** `range`: u32 times (high - low) / 2^bits, plus low. `truncated`: an exponent byte, then `bits` of mantissa and a sign. */
export type Packing =
  | { readonly kind: 'range'; readonly low: number; readonly factor: number }
  | { readonly kind: 'truncated'; readonly bits: number };

/** `short`: a length byte (255: then an i32). `long`: an i32. `header`: byte count and version before it. */
export interface StringWire {
  readonly kind: 'string';
  readonly length: 'short' | 'long';
  readonly header: boolean;
  readonly slot: number;
}

/** A count (i32) and items; with a header (byte count, version) they may be stored member by member. */
export interface ListWire {
  readonly kind: 'list';
  readonly header: boolean;
  readonly item: Wire;
  readonly slot: number;
}

export interface FixedWire {
  readonly kind: 'fixed';
  readonly size: number;
  readonly item: Wire;
  readonly slot: number;
}

/** A byte that says whether there is an array, then as many items as the number that was put into a slot last. */
export interface CountedWire {
  readonly kind: 'counted';
  readonly counter: number;
  readonly item: Wire;
  readonly slot: number;
}

/** Items up to the end of the entry, after `skip` bytes: lists whose count is kept by another branch. */
export interface RestWire {
  readonly kind: 'rest';
  readonly skip: number;
  readonly header: boolean;
  readonly item: Wire;
  readonly slot: number;
}

/** An object of a class: with a header (byte count, version, and a checksum where the version is 0), or bare. */
export interface RecordWire {
  readonly kind: 'record';
  readonly name: string;
  readonly header: boolean;
  /** A base class, and its version: stored member by member, its members stand among the others without a header. */
  readonly base?: number;
  /** One where there is no header: the branch says which. */
  readonly versions: readonly RecordVersion[];
}

export interface RecordVersion {
  readonly version: number;
  readonly checksum: number;
  readonly members: readonly Wire[];
}

/** TObject: a version, two words, and a process number where a bit says so. */
export interface ObjectWire {
  readonly kind: 'tobject';
  readonly uniqueId: number;
  readonly bits: number;
}

/** `parent`: the slot of the list that the values are in; -1: one a row. */
export type Slot =
  | { readonly kind: 'number'; readonly dtype: Dtype; readonly parent: number }
  | { readonly kind: 'string'; readonly parent: number }
  | { readonly kind: 'list'; readonly parent: number }
  | { readonly kind: 'fixed'; readonly size: number; readonly parent: number };

/** What one branch holds. Parents stand before their children. */
export interface ObjectLayout {
  readonly wire: Wire;
  readonly slots: readonly Slot[];
}

/** The column of a slot of numbers or strings. */
export function slotType(slots: readonly Slot[], index: number): ColumnType {
  const slot = slots[index]!;
  let type: ColumnType = slot.kind === 'number' ? flat(slot.dtype) : utf8;
  for (let at = slot.parent; at >= 0; at = slots[at]!.parent) {
    const outer = slots[at]!;
    type = outer.kind === 'fixed' ? list(type, outer.size) : list(type);
  }
  return type;
}
