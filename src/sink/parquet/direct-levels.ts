// Owns the levels of flat columns and of lists of one level, written as bits straight from offsets and validity.
// https://parquet.apache.org/docs/file-format/nestedencoding/
import { packBits, writeVarint } from './hybrid.ts';
import { LENGTH_BYTES, PAGE_ENTRIES, type Page, type Paging } from './paging.ts';

/** Four definition levels of 2, of two bits each. */
const PRESENT_ITEMS = 0b10101010;
const LENGTH_AND_HEADER_BYTES_MAX = 9;

/** Every PAGE_ENTRIES rows a page. `valid` is there for nullable columns only; none of it = nothing is null. */
export function flatPaging(rows: number, nullable: boolean, valid?: Uint8Array): Paging {
  const pages: Page[] = [];
  let value = 0;
  for (let start = 0; start < rows; start += PAGE_ENTRIES) {
    const end = Math.min(rows, start + PAGE_ENTRIES);
    const present = valid === undefined ? end - start : countOnes(valid, start, end);
    const levels = nullable ? flatLevels({ start, end, present }, valid) : new Uint8Array(0);
    pages.push({ entries: end - start, valueStart: value, valueEnd: value + present, levels });
    value += present;
  }
  return { pages, entries: rows, absent: rows - value };
}

function countOnes(bytes: Uint8Array, start: number, end: number): number {
  let ones = 0;
  for (let i = start; i < end; i++) ones += bytes[i]!;
  return ones;
}

function flatLevels(
  { start, end, present }: { readonly start: number; readonly end: number; readonly present: number },
  valid?: Uint8Array,
): Uint8Array {
  const entries = end - start;
  if (valid === undefined || present === 0 || present === entries)
    return constantLevels(present === 0 ? 0 : 1, entries);
  const levels = packedLevels(entries, 1);
  packBits(valid, { start, end }, 1, levels.bytes, levels.bitsAt);
  return levels.bytes;
}

/** A page ends at the first row that starts when it is full. A null row has no items. */
export function listPaging(offsets: Int32Array, rows: number, nullable: boolean, valid?: Uint8Array): Paging {
  const pages: Page[] = [];
  let entriesBefore = 0;
  for (let start = 0; start < rows; ) {
    const { end, empty, first } = pageOfRows(offsets, start, rows);
    const entries = offsets[end]! - offsets[start]! + empty;
    const range = { start, end, entries };
    const repetition = first === entries ? constantLevels(0, entries) : repetitionOf(offsets, range);
    const definition = definitionOf(offsets, range, { empty, nullable }, valid);
    const levels = new Uint8Array(repetition.length + definition.length);
    levels.set(repetition);
    levels.set(definition, repetition.length);
    pages.push({ entries, valueStart: offsets[start]!, valueEnd: offsets[end]!, levels });
    entriesBefore += entries;
    start = end;
  }
  return { pages, entries: entriesBefore, absent: entriesBefore - offsets[rows]! };
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly entries: number;
}

/** Where the page that starts at a row ends; how many of its rows are `empty`; and entries that come `first` in a row. */
function pageOfRows(
  offsets: Int32Array,
  start: number,
  rows: number,
): { readonly end: number; readonly empty: number; readonly first: number } {
  let empty = 0;
  let entries = 0;
  let row = start;
  let from = offsets[start]!;
  for (; row < rows && entries < PAGE_ENTRIES; row++) {
    const to = offsets[row + 1]!;
    if (to === from) {
      empty++;
      entries++;
    } else entries += to - from;
    from = to;
  }
  return { end: row, empty, first: row - start };
}

/** All ones, but for the first entry of each row. */
function repetitionOf(offsets: Int32Array, { start, end, entries }: Range): Uint8Array {
  const { bytes, bitsAt } = packedLevels(entries, 1);
  bytes.fill(0xff, bitsAt);
  let entry = bitsAt * 8;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    bytes[entry >> 3]! &= ~(1 << (entry & 7));
    entry += to === from ? 1 : to - from;
    from = to;
  }
  clearTail(bytes, entry);
  return bytes;
}

function definitionOf(
  offsets: Int32Array,
  range: Range,
  { empty, nullable }: { readonly empty: number; readonly nullable: boolean },
  valid?: Uint8Array,
): Uint8Array {
  if (empty === 0) return constantLevels(nullable ? 2 : 1, range.entries);
  if (!nullable && empty === range.entries) return constantLevels(0, range.entries);
  const levels = packedLevels(range.entries, nullable ? 2 : 1);
  if (!nullable) clearEmpty(offsets, range, levels);
  else if (valid === undefined) lowerEmpty(offsets, range, levels);
  else lowerEmptyAndNull(offsets, range, levels, valid);
  return levels.bytes;
}

/** Level 1 for items, 0 for an empty list. */
function clearEmpty(offsets: Int32Array, { start, end }: Range, { bytes, bitsAt }: Packed): void {
  bytes.fill(0xff, bitsAt);
  let entry = bitsAt * 8;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    if (to === from) {
      bytes[entry >> 3]! &= ~(1 << (entry & 7));
      entry++;
    } else entry += to - from;
    from = to;
  }
  clearTail(bytes, entry);
}

/** Level 2 for items, 1 for an empty list. */
function lowerEmpty(offsets: Int32Array, { start, end }: Range, { bytes, bitsAt }: Packed): void {
  bytes.fill(PRESENT_ITEMS, bitsAt);
  let entry = bitsAt * 4;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    if (to === from) {
      bytes[entry >> 2]! ^= 3 << (2 * (entry & 3));
      entry++;
    } else entry += to - from;
    from = to;
  }
  clearTail(bytes, 2 * entry);
}

/** Level 2 for items, 1 for an empty list, 0 for a null one. */
function lowerEmptyAndNull(
  offsets: Int32Array,
  { start, end }: Range,
  { bytes, bitsAt }: Packed,
  valid: Uint8Array,
): void {
  bytes.fill(PRESENT_ITEMS, bitsAt);
  let entry = bitsAt * 4;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    if (to === from) {
      bytes[entry >> 2]! ^= (valid[row] === 0 ? 2 : 3) << (2 * (entry & 3));
      entry++;
    } else entry += to - from;
    from = to;
  }
  clearTail(bytes, 2 * entry);
}

/** Zeros after the last level, which ends at this bit. */
function clearTail(bytes: Uint8Array, bitsEnd: number): void {
  const at = bitsEnd >> 3;
  if (at === bytes.length) return;
  bytes[at]! &= (1 << (bitsEnd & 7)) - 1;
  bytes.fill(0, at + 1);
}

interface Packed {
  readonly bytes: Uint8Array;
  /** Where the levels start, after their length and the header of their only run. */
  readonly bitsAt: number;
}

/** Room for one bit-packed run of all levels of a page. */
function packedLevels(entries: number, width: 1 | 2): Packed {
  const groups = (entries + 7) >> 3;
  const head = new Uint8Array(LENGTH_AND_HEADER_BYTES_MAX);
  const bitsAt = writeVarint(groups * 2 + 1, head, LENGTH_BYTES);
  const bytes = new Uint8Array(bitsAt + groups * width);
  bytes.set(head.subarray(0, bitsAt));
  putLength(bytes);
  return { bytes, bitsAt };
}

function constantLevels(level: number, entries: number): Uint8Array {
  const bytes = new Uint8Array(LENGTH_AND_HEADER_BYTES_MAX + 1);
  const at = writeVarint(entries * 2, bytes, LENGTH_BYTES);
  bytes[at] = level;
  const levels = bytes.slice(0, at + 1);
  putLength(levels);
  return levels;
}

function putLength(levels: Uint8Array): void {
  new DataView(levels.buffer).setUint32(0, levels.length - LENGTH_BYTES, true);
}
