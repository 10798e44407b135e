// Owns the sums of seal/1: one term a row, four at a time by the kernels where there are any, the rest one at a time.
import { type Kernel, runKernel } from './kernels.ts';

const MIX_1 = 0x7feb352d;
const MIX_2 = 0x846ca68b;
const LANE_A = 0xc2b2ae35;
const LANE_B = 0x9e3779b1;
const LIST_A = 0x51ed270b;
const LIST_B = 0x2f6a3d95;
/** Terms are below 2^32: the sum of this many stays exact in a double. */
const BLOCK = 1 << 20;
/** Fewer rows than this are not worth a call of a kernel. */
const KERNEL_ROWS_MIN = 64;
const MASK_64 = (1n << 64n) - 1n;

/** Two lanes a row: what a value's term is mixed with. */
export interface KeyStates {
  readonly a: Int32Array;
  readonly b: Int32Array;
}

/** Two sums mod 2^64, and how many rows were not null. Seals of parts add up to the seal of the whole. */
export interface Seal {
  readonly present: number;
  readonly a: bigint;
  readonly b: bigint;
}

export const NO_SEAL: Seal = { present: 0, a: 0n, b: 0n };

export function addSeals(left: Seal, right: Seal): Seal {
  return {
    present: left.present + right.present,
    a: (left.a + right.a) & MASK_64,
    b: (left.b + right.b) & MASK_64,
  };
}

/** One row's terms of a kernel, one at a time over rows from .. end, at most BLOCK of them. */
type Scalar = (values: Uint32Array | Int32Array, over: Over, from: number, end: number, depth: number) => Seal;

/** The states of rows, and which of them count: one byte a row, 0 = leave out; undefined = all. */
interface Over extends KeyStates {
  readonly rows: Uint8Array | undefined;
}

const SCALAR: Readonly<Record<Kernel, Scalar>> = {
  terms1: (words, over, from, end) =>
    over.rows === undefined ? termsAll(words, over, from, end) : termsSome(words, over, over.rows, from, end),
  terms2: pairTerms,
  lengths: lengthTerms,
};

function sum(kernel: Kernel, values: Uint32Array | Int32Array, over: Over, depth: number): Seal {
  const { length } = over.a;
  const fast = length < KERNEL_ROWS_MIN ? 0 : length & -4;
  const quick = fast === 0 ? undefined : runKernel(kernel, values, over, fast, depth);
  let total = quick === undefined ? NO_SEAL : addSeals(NO_SEAL, quick);
  for (let from = quick === undefined ? 0 : fast; from < length; from += BLOCK) {
    total = addSeals(total, SCALAR[kernel](values, over, from, Math.min(length, from + BLOCK), depth));
  }
  return total;
}

/** Of values of one word each. `rows`: one byte a row, 0 = leave out. */
export function sumWords1(words: Uint32Array, { a, b }: KeyStates, rows: Uint8Array | undefined): Seal {
  return sum('terms1', words, { a, b, rows }, 0);
}

/** Of values of two words each, low word first. */
export function sumWords2(words: Uint32Array, { a, b }: KeyStates, rows: Uint8Array | undefined): Seal {
  return sum('terms2', words, { a, b, rows }, 0);
}

/** The list terms: (length, depth) under salted states. */
export function sumLengths(
  offsets: Int32Array,
  { a, b }: KeyStates,
  rows: Uint8Array | undefined,
  depth: number,
): Seal {
  return sum('lengths', offsets, { a, b, rows }, depth);
}

function termsAll(words: Uint32Array | Int32Array, { a, b }: KeyStates, from: number, end: number): Seal {
  let sumA = 0;
  let sumB = 0;
  for (let i = from; i < end; i++) {
    const x = firstWord(words[i]!, a[i]!, b[i]!);
    sumA += lane(x, a[i]!, LANE_A);
    sumB += lane(x, b[i]!, LANE_B);
  }
  return { present: end - from, a: BigInt(sumA), b: BigInt(sumB) };
}

function termsSome(
  words: Uint32Array | Int32Array,
  { a, b }: KeyStates,
  rows: Uint8Array,
  from: number,
  end: number,
): Seal {
  let sumA = 0;
  let sumB = 0;
  let present = 0;
  for (let i = from; i < end; i++) {
    if (rows[i] === 0) continue;
    present++;
    const x = firstWord(words[i]!, a[i]!, b[i]!);
    sumA += lane(x, a[i]!, LANE_A);
    sumB += lane(x, b[i]!, LANE_B);
  }
  return { present, a: BigInt(sumA), b: BigInt(sumB) };
}

function pairTerms(words: Uint32Array | Int32Array, { a, b, rows }: Over, from: number, end: number): Seal {
  let sumA = 0;
  let sumB = 0;
  let present = 0;
  for (let i = from; i < end; i++) {
    if (rows !== undefined && rows[i] === 0) continue;
    present++;
    const x = nextWord(firstWord(words[2 * i]!, a[i]!, b[i]!), words[2 * i + 1]!, a[i]!);
    sumA += lane(x, a[i]!, LANE_A);
    sumB += lane(x, b[i]!, LANE_B);
  }
  return { present, a: BigInt(sumA), b: BigInt(sumB) };
}

function lengthTerms(
  offsets: Uint32Array | Int32Array,
  { a, b, rows }: Over,
  from: number,
  end: number,
  depth: number,
): Seal {
  let sumA = 0;
  let sumB = 0;
  let present = 0;
  for (let i = from; i < end; i++) {
    if (rows !== undefined && rows[i] === 0) continue;
    present++;
    const stateA = a[i]! ^ LIST_A;
    const stateB = b[i]! ^ LIST_B;
    const x = nextWord(firstWord(offsets[i + 1]! - offsets[i]!, stateA, stateB), depth, stateA);
    sumA += lane(x, stateA, LANE_A);
    sumB += lane(x, stateB, LANE_B);
  }
  return { present, a: BigInt(sumA), b: BigInt(sumB) };
}

/** What is mixed of the first word of a value. */
export function firstWord(word: number, a: number, b: number): number {
  let x = Math.imul(word ^ (word >>> 16) ^ a, MIX_1);
  x = Math.imul(x ^ (x >>> 15) ^ b, MIX_2);
  return x ^ (x >>> 16);
}

/** What is mixed of each word after it. */
export function nextWord(state: number, word: number, a: number): number {
  let x = Math.imul(state ^ word, MIX_1);
  x = Math.imul(x ^ (x >>> 15) ^ a, MIX_2);
  return x ^ (x >>> 16);
}

/** The state enters once more: two values that one row's state makes alike must not be alike for another row's. */
function lane(word: number, state: number, factor: number): number {
  const x = Math.imul(word ^ state, factor);
  return (x ^ (x >>> 15)) >>> 0;
}

/** Both lanes of a row, each below 2^32. */
export function laneA(word: number, a: number): number {
  return lane(word, a, LANE_A);
}
export function laneB(word: number, b: number): number {
  return lane(word, b, LANE_B);
}
