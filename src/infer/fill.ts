// Owns the loops that write values into tensors: rows of single values, and padded rows of items.
import type { Numbers } from './numbers.ts';
import type { Slots } from './slots.ts';

/** Rows start .. end of the block. */
export interface RowSpan {
  readonly start: number;
  readonly end: number;
}

/** Rows written at a time in all columns: their part of the tensor stays in the cache. */
const TILE_ROWS = 512;

/** out[row, column] = values of each column, by its index where there is one. */
export function fillRows(
  out: Numbers,
  columns: readonly { readonly values: Numbers; readonly index?: Int32Array }[],
  { start, end }: RowSpan,
): void {
  const width = columns.length;
  for (let from = start; from < end; from += TILE_ROWS) {
    const to = Math.min(end, from + TILE_ROWS);
    columns.forEach(({ values, index }, c) => {
      const at = (from - start) * width + c;
      if (index === undefined) fillStraight(out, values, { at, step: width }, from, to);
      else fillIndexed(out, values, index, { at, step: width }, from, to);
    });
  }
}

interface Stride {
  readonly at: number;
  readonly step: number;
}

function fillStraight(out: Numbers, values: Numbers, { at, step }: Stride, from: number, to: number): void {
  for (let row = from, place = at; row < to; row++, place += step) out[place] = values[row]!;
}

function fillIndexed(
  out: Numbers,
  values: Numbers,
  index: Int32Array,
  { at, step }: Stride,
  from: number,
  to: number,
): void {
  for (let row = from, place = at; row < to; row++, place += step) out[place] = values[index[row]!]!;
}

/** How the items of one column lie in the tensor of a padded input. */
export interface ItemLayout {
  readonly pad: number;
  readonly fill: number;
  /** Values of a row over all columns. */
  readonly rowValues: number;
  /** Where the column begins in its row, and how far its items are apart. */
  readonly base: number;
  readonly step: number;
}

/** `through`: from an item of the slots to one of the values, where these are not the same. */
export function fillItems(
  out: Numbers,
  { values, through }: { readonly values: Numbers; readonly through?: Int32Array },
  { starts, index }: Slots,
  { pad, fill, rowValues, base, step }: ItemLayout,
  { start, end }: RowSpan,
): void {
  const by = through === undefined ? index : composed(through, index, starts[start]!, starts[end]!);
  const shift = through === undefined ? 0 : starts[start]!;
  for (let row = start; row < end; row++) {
    const first = starts[row]! - shift;
    const count = Math.min(pad, starts[row + 1]! - shift - first);
    let place = (row - start) * rowValues + base;
    if (by === undefined) for (let i = 0; i < count; i++, place += step) out[place] = values[first + i]!;
    else for (let i = 0; i < count; i++, place += step) out[place] = values[by[first + i]!]!;
    for (let i = count; i < pad; i++, place += step) out[place] = fill;
  }
}

function composed(through: Int32Array, index: Int32Array | undefined, start: number, end: number): Int32Array {
  const out = new Int32Array(end - start);
  for (let i = 0; i < out.length; i++) out[i] = through[index === undefined ? start + i : index[start + i]!]!;
  return out;
}

/** 1 where a row has an item, 0 where there is padding. */
export function fillMask(out: Numbers, { starts }: Slots, pad: number, { start, end }: RowSpan): void {
  for (let row = start; row < end; row++) {
    const count = Math.min(pad, starts[row + 1]! - starts[row]!);
    const place = (row - start) * pad;
    out.fill(1, place, place + count);
    out.fill(0, place + count, place + pad);
  }
}
