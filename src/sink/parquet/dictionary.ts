// Owns dictionaries: the distinct values of a column chunk, in order of first appearance, and an index for each value.
import type { Bits } from '../../core/dtype.ts';
import { scratchBytes } from './scratch.ts';

/** Indices of one byte: what zstd compresses best, and few enough to give up early on a column that has more. */
export const DISTINCT_MAX = 256;
const SLOT_BITS = 10;
const SLOTS = 1 << SLOT_BITS;
const SLOT_MASK = SLOTS - 1;
const HASH = 0x9e3779b1;
const HASH_HIGH = 0x85ebca6b;
const HASH_SHIFT = 32 - SLOT_BITS;
/** First values looked at, and values spread over the chunk, before all of them are. */
const HEAD_VALUES = 4096;
const SPREAD_VALUES = 1024;
/** Integers this near to 0 are found in a table of their own, without hashing. */
const NEAR = 4096;
const NEAR_BELOW = NEAR / 2;

const indexScratch = scratchBytes();

/** Good until the next dictionary is built. */
export interface Dictionary {
  /** Where each distinct value appears first. */
  readonly first: Int32Array;
  readonly indices: Uint8Array;
}

/** Absent when there are more than DISTINCT_MAX distinct values. Values are told apart by their bits: -0 is not 0. */
export function buildDictionary(bits: Bits): Dictionary | undefined {
  if (bits instanceof Uint8Array) return ofBytes(bits);
  if (bits instanceof BigUint64Array) return ofWords(new Uint32Array(bits.buffer, bits.byteOffset, bits.length * 2), 2);
  return ofWords(bits instanceof Uint16Array ? new Uint32Array(bits) : bits, 1);
}

function ofBytes(bytes: Uint8Array): Dictionary {
  const indices = indexScratch.bytes(bytes.length).subarray(0, bytes.length);
  const first = new Int32Array(DISTINCT_MAX);
  const distinct = indexBytes(bytes, first, indices);
  return { first: first.subarray(0, distinct), indices };
}

function indexBytes(bytes: Uint8Array, first: Int32Array, indices: Uint8Array): number {
  const known = new Int16Array(DISTINCT_MAX);
  let distinct = 0;
  for (let i = 0; i < bytes.length; i++) {
    let index = known[bytes[i]!]!;
    if (index === 0) {
      first[distinct] = i;
      index = ++distinct;
      known[bytes[i]!] = index;
    }
    indices[i] = index - 1;
  }
  return distinct;
}

function ofWords(words: Uint32Array, wordsPerValue: 1 | 2): Dictionary | undefined {
  const count = words.length / wordsPerValue;
  const index = wordsPerValue === 1 ? indexWords : indexPairs;
  const indices = indexScratch.bytes(count).subarray(0, count);
  const table = emptied(chunkTable);
  // Most columns of many values show it at once, most others in a few values from all over the chunk.
  const head = Math.min(count, HEAD_VALUES);
  if (!index(words, { start: 0, end: head }, table, indices)) return undefined;
  if (head === count) return { first: table.first.subarray(0, table.distinct), indices };
  const spread = spreadValues(words, wordsPerValue);
  if (!index(spread, { start: 0, end: SPREAD_VALUES }, emptied(spreadTable), indices.subarray(head))) {
    return undefined;
  }
  if (!index(words, { start: head, end: count }, table, indices)) return undefined;
  return { first: table.first.subarray(0, table.distinct), indices };
}

function spreadValues(words: Uint32Array, wordsPerValue: 1 | 2): Uint32Array {
  const step = Math.floor(words.length / wordsPerValue / SPREAD_VALUES);
  const spread = new Uint32Array(SPREAD_VALUES * wordsPerValue);
  for (let i = 0; i < spread.length; i++) {
    const value = wordsPerValue === 1 ? i : i >> 1;
    spread[i] = words[value * step * wordsPerValue + (i - value * wordsPerValue)]!;
  }
  return spread;
}

interface Table {
  /** 1 + the index of the value that hashes there; 0 = free. */
  readonly slots: Int16Array;
  /** 1 + the index of the integers from -NEAR_BELOW on; 0 = not seen. */
  readonly near: Int16Array;
  /** The distinct values themselves, and where each was first. */
  readonly known: Uint32Array;
  readonly first: Int32Array;
  distinct: number;
}

function makeTable(): Table {
  return {
    slots: new Int16Array(SLOTS),
    near: new Int16Array(NEAR),
    known: new Uint32Array(DISTINCT_MAX * 2),
    first: new Int32Array(DISTINCT_MAX),
    distinct: 0,
  };
}

/** Used again for every column of a thread. */
const chunkTable = makeTable();
const spreadTable = makeTable();

function emptied(table: Table): Table {
  table.slots.fill(0);
  table.near.fill(0);
  table.distinct = 0;
  return table;
}

/** False when there are too many distinct values. */
type Index = (
  words: Uint32Array,
  range: { readonly start: number; readonly end: number },
  table: Table,
  indices: Uint8Array,
) => boolean;

const indexWords: Index = (words, { start, end }, table, indices) => {
  const { slots, near, known, first } = table;
  let distinct = table.distinct;
  for (let i = start; i < end; i++) {
    const word = words[i]!;
    const place = (word + NEAR_BELOW) >>> 0;
    if (place < NEAR) {
      let index = near[place]!;
      if (index === 0) {
        if (distinct === DISTINCT_MAX) return false;
        first[distinct] = i;
        index = ++distinct;
        near[place] = index;
      }
      indices[i] = index - 1;
      continue;
    }
    let slot = Math.imul(word ^ (word >>> 15), HASH) >>> HASH_SHIFT;
    let index = slots[slot]!;
    while (index !== 0 && known[index - 1] !== word) {
      slot = (slot + 1) & SLOT_MASK;
      index = slots[slot]!;
    }
    if (index === 0) {
      if (distinct === DISTINCT_MAX) return false;
      first[distinct] = i;
      known[distinct] = word;
      index = ++distinct;
      slots[slot] = index;
    }
    indices[i] = index - 1;
  }
  table.distinct = distinct;
  return true;
};

const indexPairs: Index = (words, { start, end }, table, indices) => {
  const { slots, known, first } = table;
  let distinct = table.distinct;
  for (let i = start; i < end; i++) {
    const low = words[2 * i]!;
    const high = words[2 * i + 1]!;
    const mixed = low ^ Math.imul(high, HASH_HIGH);
    let slot = Math.imul(mixed ^ (mixed >>> 15), HASH) >>> HASH_SHIFT;
    let index = slots[slot]!;
    while (index !== 0 && (known[2 * index - 2] !== low || known[2 * index - 1] !== high)) {
      slot = (slot + 1) & SLOT_MASK;
      index = slots[slot]!;
    }
    if (index === 0) {
      if (distinct === DISTINCT_MAX) return false;
      first[distinct] = i;
      known[2 * distinct] = low;
      known[2 * distinct + 1] = high;
      index = ++distinct;
      slots[slot] = index;
    }
    indices[i] = index - 1;
  }
  table.distinct = distinct;
  return true;
};
