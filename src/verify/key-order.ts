// Owns the order of rows by key: key words packed into as few bits as they need, then a radix sort of what is left.
import type { KeyTable } from '../core/key-spec.ts';

/** Digits this wide keep the places that a pass writes to in a core's cache. */
const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;

/** Of each key word the least value, and how many bits the differences from it take. */
interface WordRange {
  readonly least: number;
  readonly bits: number;
}

/** The rows of a table in the order of their keys; equal keys keep the order of their rows. */
export function sortRows(keys: KeyTable, makeRows = ownRows): Int32Array {
  const { rows } = keys;
  let order = makeRows(rows);
  for (let row = 0; row < rows; row++) order[row] = row;
  const ranges = wordRanges(keys);
  let other = makeRows(rows);
  let digits = new Uint32Array(rows);
  let moved = new Uint32Array(rows);
  // from the last bits of the key to the first ones, 32 at a time
  for (const parts of groupsOf(ranges)) {
    const bits = parts.reduce((sum, part) => sum + part.bits, 0);
    pack(keys, order, parts, digits);
    for (let shift = 0; shift < bits; shift += DIGIT_BITS) {
      if (!sortByDigit(digits, order, shift, moved, other)) continue;
      [order, other] = [other, order];
      [digits, moved] = [moved, digits];
    }
  }
  return order;
}

const ownRows = (rows: number): Int32Array => new Int32Array(rows);

/** Row numbers where threads see them. */
export function sharedRows(rows: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(rows * 4));
}

function wordRanges({ rows, stride, words }: KeyTable): WordRange[] {
  return Array.from({ length: stride }, (_, word) => {
    let least = 0xffffffff;
    let most = 0;
    for (let i = 0, at = word; i < rows; i++, at += stride) {
      const value = words[at]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return { least, bits: rows === 0 ? 0 : 32 - Math.clz32(most - least) };
  });
}

/** A word's part of 32 bits that are sorted by at once: where they begin in the word, and how many they are. */
interface WordPart {
  readonly word: number;
  readonly least: number;
  readonly bits: number;
}

/** Words that vary, last word first, in groups of at most 32 bits. */
function groupsOf(ranges: readonly WordRange[]): WordPart[][] {
  const groups: WordPart[][] = [];
  let left = 0;
  for (let word = ranges.length - 1; word >= 0; word--) {
    const { least, bits } = ranges[word]!;
    if (bits === 0) continue;
    if (bits > left) {
      groups.push([]);
      left = 32;
    }
    groups.at(-1)!.push({ word, least, bits });
    left -= bits;
  }
  return groups;
}

/** The words of a group side by side, the last word in the lowest bits, of the rows in their order so far. */
function pack({ stride, words }: KeyTable, order: Int32Array, parts: readonly WordPart[], out: Uint32Array): void {
  let shift = 0;
  for (const { word, least, bits } of parts) {
    if (shift === 0) for (let i = 0; i < out.length; i++) out[i] = words[order[i]! * stride + word]! - least;
    else for (let i = 0; i < out.length; i++) out[i]! |= (words[order[i]! * stride + word]! - least) << shift;
    shift += bits;
  }
}

/** One stable pass; false = all rows have the same digit and nothing was moved. */
function sortByDigit(
  digits: Uint32Array,
  order: Int32Array,
  shift: number,
  moved: Uint32Array,
  other: Int32Array,
): boolean {
  const places = new Int32Array(DIGITS);
  for (let i = 0; i < digits.length; i++) {
    const digit = (digits[i]! >>> shift) & (DIGITS - 1);
    places[digit] = places[digit]! + 1;
  }
  let sum = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = places[digit]!;
    if (count === digits.length) return false;
    places[digit] = sum;
    sum += count;
  }
  for (let i = 0; i < digits.length; i++) {
    const packed = digits[i]!;
    const digit = (packed >>> shift) & (DIGITS - 1);
    const place = places[digit]!;
    moved[place] = packed;
    other[place] = order[i]!;
    places[digit] = place + 1;
  }
  return true;
}
