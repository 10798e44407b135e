// Owns the levels of flat columns and of lists of one level, written as bits straight from offsets and validity.
// https://parquet.apache.org/docs/file-format/nestedencoding/
import { countOnes } from '../../core/flags.ts';
import { packBits, writeVarint } from './hybrid.ts';
import { LENGTH_BYTES, PAGE_ENTRIES, type Page, type Paging } from './paging.ts';
import { scratchBytes } from './scratch.ts';

/** Four definition levels of 2, of two bits each. */
const PRESENT_ITEMS = 0b10101010;
/** And one byte more: the level that a constant run repeats. */
const LENGTH_AND_HEADER_BYTES_MAX = 10;

const levelScratch = scratchBytes();

/** Every PAGE_ENTRIES rows a page. `valid` is there for nullable columns only; none of it = nothing is null. */
export function flatPaging(rows: number, nullable: boolean, valid?: Uint8Array): Paging {
  const pages: Page[] = [];
  let value = 0;
  for (let start = 0; start < rows; start += PAGE_ENTRIES) {
    const end = Math.min(rows, start + PAGE_ENTRIES);
    const present = valid === undefined ? end - start : countOnes(valid.subarray(start, end));
    const levels = nullable ? flatLevels({ start, end, present }, valid) : new Uint8Array(0);
    pages.push({ entries: end - start, valueStart: value, valueEnd: value + present, levels });
    value += present;
  }
  return { pages, entries: rows, absent: rows - value };
}

function flatLevels({ start, end, present }: FlatRange, valid?: Uint8Array): Uint8Array {
  const entries = end - start;
  const out = levelScratch.bytes(levelBytesMax(entries, 1));
  if (valid === undefined || present === 0 || present === entries) {
    return out.slice(0, writeConstant(present === 0 ? 0 : 1, entries, out, 0));
  }
  const run = beginPacked(entries, 1, out, 0);
  return out.slice(0, packBits(valid, { start, end }, 1, out, run.bitsAt));
}

interface FlatRange {
  readonly start: number;
  readonly end: number;
  /** How many of the rows are not null. */
  readonly present: number;
}

/** A page ends at the first row that starts when it is full. A null row has no items. */
export function listPaging(offsets: Int32Array, rows: number, nullable: boolean, valid?: Uint8Array): Paging {
  const pages: Page[] = [];
  let entriesBefore = 0;
  for (let start = 0; start < rows; ) {
    const { end, empty, first } = pageOfRows(offsets, start, rows);
    const entries = offsets[end]! - offsets[start]! + empty;
    const range = { start, end, entries };
    const out = levelScratch.bytes(levelBytesMax(entries, 1) + levelBytesMax(entries, 2));
    const middle =
      first === entries
        ? writeConstant(0, entries, out, 0)
        : writeRepetition(offsets, range, beginPacked(entries, 1, out, 0));
    const levels = out.slice(0, writeDefinition(offsets, range, { empty, nullable, valid }, out, middle));
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
    const none = noneOf(to - from);
    empty += none;
    entries += to - from + none;
    from = to;
  }
  return { end: row, empty, first: row - start };
}

/** 1 for an empty list, else 0: without a branch, since which rows are empty is anyone's guess. */
function noneOf(items: number): number {
  return (items - 1) >>> 31;
}

/** All ones, but for the first entry of each row. */
function writeRepetition(offsets: Int32Array, range: Range, { bytes, bitsAt, bitsEnd }: Packed): number {
  bytes.fill(0xff, bitsAt, bitsEnd);
  return clearTail(bytes, clearFirst(offsets, range, bytes, bitsAt * 8), bitsEnd);
}

function clearFirst(offsets: Int32Array, { start, end }: Range, bytes: Uint8Array, bit: number): number {
  let entry = bit;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    bytes[entry >> 3]! &= ~(1 << (entry & 7));
    entry += to - from + noneOf(to - from);
    from = to;
  }
  return entry;
}

interface Absent {
  /** Rows of the page that are null or have no items. */
  readonly empty: number;
  readonly nullable: boolean;
  readonly valid: Uint8Array | undefined;
}

function writeDefinition(
  offsets: Int32Array,
  range: Range,
  { empty, nullable, valid }: Absent,
  out: Uint8Array,
  outAt: number,
): number {
  const { entries } = range;
  if (empty === 0) return writeConstant(nullable ? 2 : 1, entries, out, outAt);
  if (!nullable) {
    if (empty === entries) return writeConstant(0, entries, out, outAt);
    const { bytes, bitsAt, bitsEnd } = beginPacked(entries, 1, out, outAt);
    bytes.fill(0xff, bitsAt, bitsEnd);
    return clearTail(bytes, clearEmpty(offsets, range, bytes, bitsAt * 8), bitsEnd);
  }
  const { bytes, bitsAt, bitsEnd } = beginPacked(entries, 2, out, outAt);
  bytes.fill(PRESENT_ITEMS, bitsAt, bitsEnd);
  const entry =
    valid === undefined
      ? lowerEmpty(offsets, range, bytes, bitsAt * 4)
      : lowerEmptyAndNull(offsets, range, bytes, bitsAt * 4, valid);
  return clearTail(bytes, 2 * entry, bitsEnd);
}

// One stand-alone loop each: from the first entry of a page on, all ones before; the entry after the last is returned.

/** Level 1 for items, 0 for an empty list. */
function clearEmpty(offsets: Int32Array, { start, end }: Range, bytes: Uint8Array, first: number): number {
  let entry = first;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    const none = noneOf(to - from);
    bytes[entry >> 3]! &= ~(none << (entry & 7));
    entry += to - from + none;
    from = to;
  }
  return entry;
}

/** Level 2 for items, 1 for an empty list. */
function lowerEmpty(offsets: Int32Array, { start, end }: Range, bytes: Uint8Array, first: number): number {
  let entry = first;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    const none = noneOf(to - from);
    bytes[entry >> 2]! ^= (3 * none) << (2 * (entry & 3));
    entry += to - from + none;
    from = to;
  }
  return entry;
}

/** Level 2 for items, 1 for an empty list, 0 for a null one. */
function lowerEmptyAndNull(
  offsets: Int32Array,
  { start, end }: Range,
  bytes: Uint8Array,
  first: number,
  valid: Uint8Array,
): number {
  let entry = first;
  let from = offsets[start]!;
  for (let row = start; row < end; row++) {
    const to = offsets[row + 1]!;
    const none = noneOf(to - from);
    bytes[entry >> 2]! ^= ((2 + valid[row]!) * none) << (2 * (entry & 3));
    entry += to - from + none;
    from = to;
  }
  return entry;
}

/** Zeros from this bit to the run's end, which is returned. */
function clearTail(bytes: Uint8Array, bit: number, bitsEnd: number): number {
  const at = bit >> 3;
  if (at === bitsEnd) return bitsEnd;
  bytes[at]! &= (1 << (bit & 7)) - 1;
  bytes.fill(0, at + 1, bitsEnd);
  return bitsEnd;
}

function levelBytesMax(entries: number, width: 1 | 2): number {
  return LENGTH_AND_HEADER_BYTES_MAX + ((entries + 7) >> 3) * width;
}

/** Bytes of the one bit-packed run of a page, that start and end here. */
interface Packed {
  readonly bytes: Uint8Array;
  readonly bitsAt: number;
  readonly bitsEnd: number;
}

/** Writes what comes before the bits: their length, and the header of their run. */
function beginPacked(entries: number, width: 1 | 2, out: Uint8Array, outAt: number): Packed {
  const groups = (entries + 7) >> 3;
  const bitsAt = writeVarint(groups * 2 + 1, out, outAt + LENGTH_BYTES);
  const bitsEnd = bitsAt + groups * width;
  putLength(out, outAt, bitsEnd);
  return { bytes: out, bitsAt, bitsEnd };
}

function writeConstant(level: number, entries: number, out: Uint8Array, outAt: number): number {
  const at = writeVarint(entries * 2, out, outAt + LENGTH_BYTES);
  out[at] = level;
  putLength(out, outAt, at + 1);
  return at + 1;
}

function putLength(out: Uint8Array, at: number, end: number): void {
  new DataView(out.buffer, out.byteOffset).setUint32(at, end - at - LENGTH_BYTES, true);
}
