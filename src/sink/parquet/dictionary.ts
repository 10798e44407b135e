// Owns dictionaries: the distinct values of a column chunk, in order of first appearance, and an index for each value.
import type { Bits } from '../../core/dtype.ts';

/** Indices of one byte: what zstd compresses best, and few enough to give up early on a column that has more. */
export const DISTINCT_MAX = 256;
const SLOTS = 1024;
const SLOT_MASK = SLOTS - 1;

export interface Dictionary {
  /** Where each distinct value appears first. */
  readonly first: Int32Array;
  readonly indices: Uint8Array;
}

/** Absent when there are more than DISTINCT_MAX distinct values. Values are told apart by their bits: -0 is not 0. */
export function buildDictionary(bits: Bits): Dictionary | undefined {
  if (bits instanceof BigUint64Array) {
    return build(new Uint32Array(bits.buffer, bits.byteOffset, bits.length * 2), 2);
  }
  return build(bits, 1);
}

function build(words: Uint8Array | Uint16Array | Uint32Array, wordsPerValue: 1 | 2): Dictionary | undefined {
  const count = words.length / wordsPerValue;
  const indices = new Uint8Array(count);
  const first = new Int32Array(DISTINCT_MAX);
  const slots = new Int16Array(SLOTS);
  const highs = wordsPerValue === 2 ? 1 : 0;
  let distinct = 0;
  for (let i = 0; i < count; i++) {
    const low = words[i * wordsPerValue]!;
    const high = words[i * wordsPerValue + highs]!;
    let slot = (Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> 22) & SLOT_MASK;
    let index = slots[slot]!;
    while (index !== 0) {
      const known = first[index - 1]! * wordsPerValue;
      if (words[known] === low && words[known + highs] === high) break;
      slot = (slot + 1) & SLOT_MASK;
      index = slots[slot]!;
    }
    if (index === 0) {
      if (distinct === DISTINCT_MAX) return undefined;
      first[distinct] = i;
      distinct++;
      index = distinct;
      slots[slot] = index;
    }
    indices[i] = index - 1;
  }
  return { first: first.subarray(0, distinct), indices };
}
