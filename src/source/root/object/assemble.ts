// Owns putting decoded parts together: the rows asked for, slot by slot, into the columns of a branch.
import type { Take } from '../../../core/arena.ts';
import type { Column, ListColumn } from '../../../core/column.ts';
import { bytesOf, type Dtype, dtypeBytes } from '../../../core/dtype.ts';
import { damaged } from '../baskets.ts';
import type { ObjectPart } from './decode.ts';
import type { ListSink, NumberSink, StringSink } from './sinks.ts';
import type { ObjectLayout, Slot } from './wire.ts';

const ITEMS_MAX = 2 ** 31 - 1;

/** Rows or items of a part that are wanted. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The columns of slots of one branch; lists around them are the same objects. */
export type Assembled = (slot: number) => Column;

/** `parts` hold the rows of a read, each row once. */
export function assemble({ slots }: ObjectLayout, parts: ObjectPart[], take: Take): Assembled {
  parts.sort((left, right) => left.rowStart - right.rowStart);
  const ranges = parts.map((part) => rangesOf(slots, part));
  const made = new Map<number, Int32Array>();
  const offsetsOf = (slot: number): Int32Array => {
    const known = made.get(slot);
    if (known) return known;
    const offsets = joinEnds(parts, ranges, slot, take);
    made.set(slot, offsets);
    return offsets;
  };
  return (slot) => {
    let column = leafColumn(slots[slot]!, slot, { parts, ranges, take }, offsetsOf);
    for (let at = slots[slot]!.parent; at >= 0; at = slots[at]!.parent) {
      const outer = slots[at]!;
      column = outer.kind === 'fixed' ? regular(column, outer.size) : listed(column, offsetsOf(at));
    }
    return column;
  };
}

/** Of each slot: what belongs to the wanted rows. */
function rangesOf(slots: readonly Slot[], { skip, rows, sinks }: ObjectPart): Range[] {
  const ranges: Range[] = [];
  slots.forEach(({ parent }, i) => {
    const outer = parent < 0 ? { start: skip, end: skip + rows } : ranges[parent]!;
    const around = parent < 0 ? undefined : slots[parent]!;
    if (around === undefined) ranges[i] = outer;
    else if (around.kind === 'fixed') ranges[i] = { start: outer.start * around.size, end: outer.end * around.size };
    else {
      const { ends } = sinks[parent] as ListSink;
      ranges[i] = { start: endBefore(ends, outer.start), end: endBefore(ends, outer.end) };
    }
  });
  return ranges;
}

const endBefore = (ends: Int32Array, index: number): number => (index === 0 ? 0 : ends[index - 1]!);

interface Parts {
  readonly parts: readonly ObjectPart[];
  readonly ranges: readonly (readonly Range[])[];
  readonly take: Take;
}

function leafColumn(
  slot: Slot,
  index: number,
  { parts, ranges, take }: Parts,
  offsetsOf: (slot: number) => Int32Array,
): Column {
  if (slot.kind === 'number') return numberColumn(slot.dtype, index, { parts, ranges, take });
  const offsets = offsetsOf(index);
  const bytes = new Uint8Array(offsets.at(-1)!);
  let at = 0;
  parts.forEach(({ sinks }, p) => {
    const { ends, bytes: text } = sinks[index] as StringSink;
    const { start, end } = ranges[p]![index]!;
    const piece = text.subarray(endBefore(ends, start), endBefore(ends, end));
    bytes.set(piece, at);
    at += piece.length;
  });
  return { kind: 'utf8', length: offsets.length - 1, offsets, bytes };
}

function numberColumn(dtype: Dtype, index: number, { parts, ranges, take }: Parts): Column {
  const length = parts.reduce((sum, _, p) => sum + ranges[p]![index]!.end - ranges[p]![index]!.start, 0);
  const values = take(dtype, length);
  const target = bytesOf(values);
  const width = dtypeBytes(dtype);
  let at = 0;
  parts.forEach(({ sinks }, p) => {
    const { words } = sinks[index] as NumberSink;
    const { start, end } = ranges[p]![index]!;
    target.set(new Uint8Array(words.buffer, start * width, (end - start) * width), at);
    at += (end - start) * width;
  });
  return { kind: 'flat', dtype, length, values };
}

/** Offsets of the wanted lists (or strings) of all parts, from 0. */
function joinEnds(parts: readonly ObjectPart[], ranges: Parts['ranges'], index: number, take: Take): Int32Array {
  const length = parts.reduce((sum, _, p) => sum + ranges[p]![index]!.end - ranges[p]![index]!.start, 0);
  const offsets = take('i32', length + 1) as Int32Array;
  offsets[0] = 0;
  let row = 0;
  let base = 0;
  parts.forEach(({ sinks }, p) => {
    const { ends } = sinks[index] as ListSink | StringSink;
    const { start, end } = ranges[p]![index]!;
    const first = endBefore(ends, start);
    if (base + endBefore(ends, end) - first > ITEMS_MAX) throw damaged('its lists have more items than can be counted');
    for (let i = start; i < end; i++) offsets[++row] = base + ends[i]! - first;
    base += endBefore(ends, end) - first;
  });
  return offsets;
}

function listed(items: Column, offsets: Int32Array): ListColumn {
  return { kind: 'list', length: offsets.length - 1, offsets, items };
}

/** Lists of one size. */
export function regular(items: Column, size: number): ListColumn {
  const length = items.length / size;
  const offsets = new Int32Array(length + 1);
  for (let i = 1; i <= length; i++) offsets[i] = i * size;
  return { kind: 'list', length, offsets, items };
}

/** Lists of equal lengths get one `offsets`, so that what is made of it is made once. */
export function shareOffsets(columns: readonly Column[]): Column[] {
  const known = new Map<string, Int32Array[]>();
  return columns.map((column) => {
    if (column.kind !== 'list') return column;
    const key = `${column.length} ${column.items.length}`;
    const alike = known.get(key) ?? [];
    const same = alike.find((offsets) => Buffer.compare(bytesOf(offsets), bytesOf(column.offsets)) === 0);
    if (same) return { ...column, offsets: same };
    known.set(key, [...alike, column.offsets]);
    return column;
  });
}
