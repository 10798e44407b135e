// Owns dictionaries: the distinct values of a column chunk, in order of first appearance, and an index for each value.
import type { Bits } from '../../core/dtype.ts';

/** Indices of one byte: what zstd compresses best, and few enough to give up early on a column that has more. */
export const DISTINCT_MAX = 256;
const SLOT_BITS = 10;
const SLOTS = 1 << SLOT_BITS;
const SLOT_MASK = SLOTS - 1;
const HASH = 0x9e3779b1;
const HASH_HIGH = 0x85ebca6b;
const HASH_SHIFT = 32 - SLOT_BITS;
/** Values looked at before anything is allocated for all of them. */
const HEAD_VALUES = 4096;

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
  const indices = new Uint8Array(bytes.length);
  const first = new Int32Array(DISTINCT_MAX);
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
  return { first: first.subarray(0, distinct), indices };
}

function ofWords(words: Uint32Array, wordsPerValue: 1 | 2): Dictionary | undefined {
  const count = words.length / wordsPerValue;
  const first = new Int32Array(DISTINCT_MAX);
  const table: Table = {
    slots: new Int16Array(SLOTS),
    known: new Uint32Array(DISTINCT_MAX * wordsPerValue),
    distinct: 0,
  };
  // Most columns of many values show it at once: indices for all rows are made only when the first rows pass.
  const head = Math.min(count, HEAD_VALUES);
  const start = new Uint8Array(head);
  const index = wordsPerValue === 1 ? indexWords : indexPairs;
  if (!index(words, { start: 0, end: head }, table, start, first)) return undefined;
  const indices = new Uint8Array(count);
  indices.set(start);
  if (!index(words, { start: head, end: count }, table, indices, first)) return undefined;
  return { first: first.subarray(0, table.distinct), indices };
}

interface Table {
  /** 1 + the index of the value that hashes there; 0 = free. */
  readonly slots: Int16Array;
  /** The distinct values themselves. */
  readonly known: Uint32Array;
  distinct: number;
}

/** False when there are too many distinct values. */
type Index = (
  words: Uint32Array,
  range: { readonly start: number; readonly end: number },
  table: Table,
  indices: Uint8Array,
  first: Int32Array,
) => boolean;

const indexWords: Index = (words, { start, end }, table, indices, first) => {
  const { slots, known } = table;
  let distinct = table.distinct;
  for (let i = start; i < end; i++) {
    const word = words[i]!;
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

const indexPairs: Index = (words, { start, end }, table, indices, first) => {
  const { slots, known } = table;
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
