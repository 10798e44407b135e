// Owns finding a key: an open-addressing table of rows over a table of key words, and the test for aligned rows.
import { invariant } from '../core/check.ts';
import type { KeyTable } from '../core/key-spec.ts';

/** Slots a key: 1.6 keeps probes short at 13 bytes a key. */
const LOAD = 1.6;

export interface KeyIndex {
  /** Row of `keys` that has the key of a row of `other`, or -1. */
  find(other: KeyTable, row: number): number;
  /** Rows of `other` in start .. end looked up at once, into `out`. */
  findAll(other: KeyTable, out: Int32Array): void;
}

/** A key that two rows of one table have. */
export interface Twin {
  readonly first: number;
  readonly second: number;
}

/** Are the keys of both tables equal row by row? The first row where not, or -1. Both have the same stride. */
export function firstDifference(
  left: KeyTable,
  leftStart: number,
  right: KeyTable,
  rightStart: number,
  rows: number,
): number {
  const a = left.words;
  const b = right.words;
  const { stride } = left;
  const count = rows * stride;
  for (let i = 0, p = leftStart * stride, q = rightStart * stride; i < count; i++, p++, q++) {
    if (a[p] !== b[q]) return Math.floor(i / stride);
  }
  return -1;
}

function hashRow(words: Uint32Array, at: number, stride: number): number {
  let h = 0x9e3779b9 | 0;
  for (let i = at; i < at + stride; i++) h = Math.imul((h ^ (h >>> 15)) + words[i]!, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function sameRow(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number, stride: number): boolean {
  for (let i = 0; i < stride; i++) if (left[leftAt + i] !== right[rightAt + i]) return false;
  return true;
}

/** Slots hold [tag, row + 1]: most misses are told by the tag, without touching the key words. */
export function indexKeys(keys: KeyTable, twins: Twin[], twinsMax: number): KeyIndex {
  const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, keys.rows * LOAD)));
  invariant(capacity <= 2 ** 30, 'a table of keys fits');
  const mask = capacity - 1;
  const slots = new Int32Array(2 * capacity);
  insertAll(keys, slots, mask, twins, twinsMax);
  return {
    find: (other, row) => findRow(keys, slots, mask, other.words, row * keys.stride),
    findAll: (other, out) => {
      for (let row = 0; row < out.length; row++) out[row] = findRow(keys, slots, mask, other.words, row * keys.stride);
    },
  };
}

function insertAll(keys: KeyTable, slots: Int32Array, mask: number, twins: Twin[], twinsMax: number): void {
  const { words, stride, rows } = keys;
  for (let row = 0; row < rows; row++) {
    const tag = hashRow(words, row * stride, stride);
    let slot = tag & mask;
    for (;;) {
      const there = slots[2 * slot + 1]!;
      if (there === 0) {
        slots[2 * slot] = tag;
        slots[2 * slot + 1] = row + 1;
        break;
      }
      if (slots[2 * slot] === tag && sameRow(words, (there - 1) * stride, words, row * stride, stride)) {
        if (twins.length < twinsMax) twins.push({ first: there - 1, second: row });
        break;
      }
      slot = (slot + 1) & mask;
    }
  }
}

function findRow(keys: KeyTable, slots: Int32Array, mask: number, words: Uint32Array, at: number): number {
  const { stride } = keys;
  const tag = hashRow(words, at, stride);
  let slot = tag & mask;
  for (;;) {
    const there = slots[2 * slot + 1]!;
    if (there === 0) return -1;
    if (slots[2 * slot] === tag && sameRow(keys.words, (there - 1) * stride, words, at, stride)) return there - 1;
    slot = (slot + 1) & mask;
  }
}
