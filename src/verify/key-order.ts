// Owns the order of rows by key: key words packed into as few bits as they need, then sorted digit by digit.
import type { KeyTable } from '../core/key-spec.ts';

/** The rows of a table by ascending key; equal keys keep the order of their rows. */
export interface Order {
  readonly rows: Int32Array;
  /** The keys in that order, where they fit 64 bits. */
  readonly packed?: PackedKeys | undefined;
}

/** Key i is high[i], low[i]; tables of one `packing` compare by these words alone. */
export interface PackedKeys {
  readonly packing: string;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

/** Makes arrays of so many bytes: where threads see them, or not. */
export type MakeBuffer = (bytes: number) => ArrayBufferLike;

export const sharedBuffer: MakeBuffer = (bytes) => new SharedArrayBuffer(bytes);
const ownBuffer: MakeBuffer = (bytes) => new ArrayBuffer(bytes);

export function sortRows(keys: KeyTable): Int32Array {
  return orderOf(keys, ownBuffer).rows;
}

export function orderOf(keys: KeyTable, make: MakeBuffer): Order {
  const all = wordRanges(keys);
  const parts = all.filter((part) => part.bits > 0);
  const bits = parts.reduce((sum, part) => sum + part.bits, 0);
  if (bits > 64) return { rows: sortLong(keys, parts, make) };
  const packed = pack(keys, parts);
  const { rows, high, low } = sortPacked({ ...packed, rows: rowNumbers(keys.rows, ownBuffer) }, bits, make);
  const packing = all.map((part) => `${part.word} ${part.least} ${part.bits}`).join();
  return { rows, packed: { packing, high, low } };
}

function rowNumbers(count: number, make: MakeBuffer): Int32Array {
  const rows = new Int32Array(make(count * 4));
  for (let row = 0; row < count; row++) rows[row] = row;
  return rows;
}

/** Of a key word its least value, and how many bits the differences from it take. */
interface WordPart {
  readonly word: number;
  readonly least: number;
  readonly bits: number;
}

function wordRanges({ rows, stride, words }: KeyTable): WordPart[] {
  return Array.from({ length: stride }, (_, word) => {
    let least = 0xffffffff;
    let most = 0;
    for (let i = 0, at = word; i < rows; i++, at += stride) {
      const value = words[at]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return { word, least, bits: rows === 0 ? 0 : 32 - Math.clz32(most - least) };
  });
}

interface Words {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

/** The parts side by side in 64 bits, the last one in the lowest. */
function pack({ rows, stride, words }: KeyTable, parts: readonly WordPart[]): Words {
  const high = new Uint32Array(rows);
  const low = new Uint32Array(rows);
  let shift = 0;
  for (const { word, least, bits } of parts.toReversed()) {
    if (shift < 32) {
      for (let i = 0, at = word; i < rows; i++, at += stride) low[i]! |= (words[at]! - least) << shift;
      if (shift + bits > 32) addHigh({ rows, stride, words }, { word, least }, -shift, high);
    } else addHigh({ rows, stride, words }, { word, least }, shift - 32, high);
    shift += bits;
  }
  return { high, low };
}

/** `shift` below 0: the upper bits of a part whose lower ones were put elsewhere, `-shift` bits up. */
function addHigh(
  { rows, stride, words }: Pick<KeyTable, 'rows' | 'stride' | 'words'>,
  { word, least }: Pick<WordPart, 'word' | 'least'>,
  shift: number,
  high: Uint32Array,
): void {
  if (shift >= 0) for (let i = 0, at = word; i < rows; i++, at += stride) high[i]! |= (words[at]! - least) << shift;
  else for (let i = 0, at = word; i < rows; i++, at += stride) high[i]! |= (words[at]! - least) >>> (32 + shift);
}

interface Records extends Words {
  readonly rows: Int32Array;
}

/** First split by the uppermost bits: what is left to sort of each share stays in a core's cache. */
const FIRST_BITS = 10;
/** Of the passes over a share. */
const DIGIT_BITS_MAX = 9;

function sortPacked(from: Records, bits: number, make: MakeBuffer): Records {
  const count = from.rows.length;
  const to = { rows: new Int32Array(make(count * 4)), high: wordsIn(make, count), low: wordsIn(make, count) };
  const below = Math.max(0, bits - FIRST_BITS);
  const places = new Int32Array(1 << FIRST_BITS);
  scatter(from, to, { digits: uppermost(from, below), shift: 0, start: 0, end: count }, places);
  let start = 0;
  for (const end of places) {
    if (end - start > 1 && below > 0) sortShare(to, from, { start, end }, below);
    start = end;
  }
  return to;
}

const wordsIn = (make: MakeBuffer, count: number): Uint32Array => new Uint32Array(make(count * 4));

/** The bits of each record from bit `shift` on, fewer than 32. */
function uppermost({ high, low }: Words, shift: number): Uint32Array {
  if (shift === 0) return low;
  const out = new Uint32Array(low.length);
  if (shift >= 32) for (let i = 0; i < out.length; i++) out[i] = high[i]! >>> (shift - 32);
  else for (let i = 0; i < out.length; i++) out[i] = (low[i]! >>> shift) | (high[i]! << (32 - shift));
  return out;
}

/** Records start .. end, and the digits to move them by: those of `digits` from bit `shift` on. */
interface Pass {
  readonly digits: Uint32Array;
  readonly shift: number;
  readonly start: number;
  readonly end: number;
}

/** One stable pass; afterwards `places`, one a digit, say where each digit's records end. */
function scatter(from: Records, to: Records, { digits, shift, start, end }: Pass, places: Int32Array): void {
  const mask = places.length - 1;
  const { high, low, rows } = from;
  const { high: toHigh, low: toLow, rows: toRows } = to;
  places.fill(0);
  for (let i = start; i < end; i++) {
    const digit = (digits[i]! >>> shift) & mask;
    places[digit] = places[digit]! + 1;
  }
  let sum = start;
  for (let digit = 0; digit <= mask; digit++) {
    const count = places[digit]!;
    places[digit] = sum;
    sum += count;
  }
  for (let i = start; i < end; i++) {
    const digit = (digits[i]! >>> shift) & mask;
    const place = places[digit]!;
    toHigh[place] = high[i]!;
    toLow[place] = low[i]!;
    toRows[place] = rows[i]!;
    places[digit] = place + 1;
  }
}

interface Share {
  readonly start: number;
  readonly end: number;
}

/** Sorts records start .. end by their lowest `bits` bits, with room for as many in `room`. */
function sortShare(records: Records, room: Records, { start, end }: Share, bits: number): void {
  let [from, to] = [records, room];
  for (const word of ['low', 'high'] as const) {
    const own = word === 'low' ? Math.min(32, bits) : bits - 32;
    if (own <= 0) continue;
    const step = Math.ceil(own / Math.ceil(own / DIGIT_BITS_MAX));
    for (let shift = 0; shift < own; shift += step) {
      scatter(from, to, { digits: from[word], shift, start, end }, placesFor(Math.min(step, own - shift)));
      [from, to] = [to, from];
    }
  }
  if (from === records) return;
  records.high.set(from.high.subarray(start, end), start);
  records.low.set(from.low.subarray(start, end), start);
  records.rows.set(from.rows.subarray(start, end), start);
}

const placesKept: Int32Array[] = [];

function placesFor(bits: number): Int32Array {
  placesKept[bits] ??= new Int32Array(1 << bits);
  return placesKept[bits];
}

/** Keys of more than 64 bits: by 32 bits at a time, from the last word to the first. */
function sortLong({ rows: count, stride, words }: KeyTable, parts: readonly WordPart[], make: MakeBuffer): Int32Array {
  let rows = rowNumbers(count, ownBuffer);
  const high = new Uint32Array(count);
  for (const { word, least, bits } of parts.toReversed()) {
    const low = new Uint32Array(count);
    for (let i = 0; i < count; i++) low[i] = words[rows[i]! * stride + word]! - least;
    rows = sortPacked({ rows, high, low }, bits, make).rows;
  }
  return rows;
}
