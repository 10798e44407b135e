// Owns seal/1: a sum over rows that binds the values of a column to the keys of their events, whatever their order.
// The formula is published in man 7 colweave-receipt; fixtures/receipt_check.py is written from that page alone.
import type { Take } from './arena.ts';
import { invariant } from './check.ts';
import type { Column, FlatColumn, ListColumn, Utf8Column } from './column.ts';
import { allocate, type Values, wordsOf } from './dtype.ts';
import { countOnes } from './flags.ts';
import { itemStatesKernel, keyStatesKernel, keySumsKernel, sumStatesKernel } from './kernels.ts';
import { isLikeCms, type KeyTable } from './key-spec.ts';
import {
  addSeals,
  firstWord,
  type KeyStates,
  laneA,
  laneB,
  NO_SEAL,
  nextWord,
  type Seal,
  sumLengths,
  sumWords1,
  sumWords2,
} from './seal-terms.ts';

export { addSeals, type KeyStates, NO_SEAL, type Seal };

const MIX_1 = 0x7feb352d;
const MIX_2 = 0x846ca68b;
const ITEM_A = 0x9e3779b9;
const ITEM_B = 0x7f4a7c15;
const NULL_A = 0x2545f491;
const NULL_B = 0x68e31da4;
/** Terms are below 2^32: the sum of this many stays exact in a double. */
const BLOCK = 1 << 20;
const MASK_64 = (1n << 64n) - 1n;

export function sameSeal(left: Seal, right: Seal): boolean {
  return left.a === right.a && left.b === right.b && left.present === right.present;
}

/** 32 hex digits: lane a, then lane b. */
export function sealHex(seal: Seal): string {
  return seal.a.toString(16).padStart(16, '0') + seal.b.toString(16).padStart(16, '0');
}

export function sealFromHex(text: string, present: number): Seal {
  return { present, a: BigInt(`0x${text.slice(0, 16)}`), b: BigInt(`0x${text.slice(16, 32)}`) };
}

/** The states of rows start .. start + count. Each key column enters as two words, low and high. */
export function keyStates(keys: KeyTable, start: number, count: number, take: Take = allocate): KeyStates {
  const a = take('i32', count) as Int32Array;
  const b = take('i32', count) as Int32Array;
  const widths = Uint8Array.from(keys.spec.columns, (column) => column.words);
  const fast = isLikeCms(keys.spec) ? count & -4 : 0;
  const done = fast > 0 && keyStatesKernel(keys.words, start, fast, { a, b }) ? fast : 0;
  stateLoop(keys.words, (start + done) * keys.stride, widths, a.subarray(done), b.subarray(done));
  return { a, b };
}

/** Neighbouring rows mostly share all key columns but the last one (run and lumi block): what they give is kept. */
function stateLoop(words: Uint32Array, from: number, widths: Uint8Array, a: Int32Array, b: Int32Array): void {
  const last = widths.length - 1;
  const lastWide = widths[last] === 2;
  const lead = widths.reduce((sum, width) => sum + width, 0) - widths[last]!;
  let leadX = 0;
  let leadY = 0;
  for (let row = 0, at = from; row < a.length; row++) {
    if (row === 0 || !sameLead(words, at, lead, lead + widths[last]!)) {
      leadX = 0x9e3779b9 | 0;
      leadY = 0x85ebca77 | 0;
      for (let column = 0, word = at; column < last; column++) {
        const low = words[word++]!;
        const high = widths[column] === 2 ? words[word++]! : 0;
        leadX = stepX(stepX(leadX, low), high);
        leadY = stepY(stepY(leadY, low), high);
      }
    }
    at += lead;
    const low = words[at++]!;
    const high = lastWide ? words[at++]! : 0;
    let x = stepX(stepX(leadX, low), high);
    let y = stepY(stepY(leadY, low), high);
    x = Math.imul(x ^ (x >>> 16), MIX_1);
    y = Math.imul(y ^ (y >>> 16), MIX_2);
    x = Math.imul(x ^ (x >>> 15), MIX_2);
    y = Math.imul(y ^ (y >>> 15), MIX_1);
    a[row] = x ^ (x >>> 16);
    b[row] = y ^ (y >>> 16);
  }
}

/** Are the first `lead` words of the row at `at` those of the row before? */
function sameLead(words: Uint32Array, at: number, lead: number, stride: number): boolean {
  for (let i = at; i < at + lead; i++) if (words[i] !== words[i - stride]) return false;
  return true;
}

function stepX(state: number, word: number): number {
  return Math.imul((state ^ (state >>> 15)) + word, 0x85ebca6b);
}

function stepY(state: number, word: number): number {
  return Math.imul((state ^ (state >>> 13)) + word, 0xc2b2ae35);
}

/** The seal of the keys alone: the sum of the states. `rows`: one byte a row, 0 = leave out. */
export function sealKeys({ a, b }: KeyStates, rows?: Uint8Array): Seal {
  if (rows === undefined) return { present: a.length, a: sumAll(a), b: sumAll(b) };
  return { present: countOnes(rows), a: sumBlocks(a, rows), b: sumBlocks(b, rows) };
}

/** The seal of the keys of a table: states are not kept. */
export function sealTable(keys: KeyTable): Seal {
  const fast = isLikeCms(keys.spec) ? keys.rows & -4 : 0;
  const sums = fast > 0 ? keySumsKernel(keys.words, fast) : undefined;
  if (sums === undefined) return sealKeys(keyStates(keys, 0, keys.rows));
  return addSeals({ present: fast, ...sums }, sealKeys(keyStates(keys, fast, keys.rows - fast)));
}

function sumAll(states: Int32Array): bigint {
  const fast = states.length & -4;
  const sum = fast > 0 ? sumStatesKernel(states, fast) : undefined;
  return sum === undefined ? sumBlocks(states) : sum + sumBlocks(states.subarray(fast));
}

function sumBlocks(states: Int32Array, rows?: Uint8Array): bigint {
  let sum = 0n;
  for (let from = 0; from < states.length; from += BLOCK) {
    const end = Math.min(states.length, from + BLOCK);
    sum += BigInt(rows === undefined ? sumWords(states, from, end) : sumMarked(states, rows, from, end));
  }
  return sum;
}

function sumWords(states: Int32Array, from: number, end: number): number {
  let sum = 0;
  for (let i = from; i < end; i++) sum += states[i]! >>> 0;
  return sum;
}

function sumMarked(states: Int32Array, rows: Uint8Array, from: number, end: number): number {
  let sum = 0;
  for (let i = from; i < end; i++) if (rows[i] !== 0) sum += states[i]! >>> 0;
  return sum;
}

/** The seal of the row numbers start, start + 1, ... as a u32 column: tells rows that were put in another order. */
export function sealOrder(states: KeyStates, start: number): Seal {
  const rows = new Uint32Array(states.a.length);
  countUp(rows, start);
  return sumWords1(rows, states, undefined);
}

function countUp(out: Uint32Array, start: number): void {
  for (let i = 0; i < out.length; i++) out[i] = start + i;
}

/** What sealing many columns of the same rows shares: states, the rows that count, and work done once a collection. */
export interface SealScope {
  readonly states: KeyStates;
  /** One byte a row, 0 = leave the row out; absent = all rows. */
  readonly rows?: Uint8Array | undefined;
  readonly depth: number;
  readonly lists: Map<Int32Array, ListScope>;
  /** Makes the states of items. */
  readonly take: Take;
}
interface ListScope {
  readonly lengths: Seal;
  readonly items: SealScope;
  readonly valid: Uint8Array | undefined;
}

export function sealScope(states: KeyStates, rows?: Uint8Array, take: Take = allocate): SealScope {
  return { states, rows, depth: 0, lists: new Map(), take };
}

/** The seal of a column whose row i belongs to state i of the scope. */
export function sealColumn(column: Column, scope: SealScope): Seal {
  invariant(column.length === scope.states.a.length, 'a column of as many rows as there are keys');
  switch (column.kind) {
    case 'flat':
      return sealFlat(column, scope);
    case 'utf8':
      return sealUtf8(column, scope);
    case 'list':
      return sealList(column, scope);
  }
}

/** Rows that count and hold a value; undefined = all of them. */
function presentRows(scope: SealScope, valid: Uint8Array | undefined): Uint8Array | undefined {
  if (valid === undefined) return scope.rows;
  if (scope.rows === undefined) return valid;
  const out = new Uint8Array(valid.length);
  for (let i = 0; i < out.length; i++) out[i] = valid[i]! & scope.rows[i]!;
  return out;
}

/** Items only: a null item adds a term of its own, so that a null cannot wander inside its list. A null row adds nothing. */
function sealNullItems(scope: SealScope, valid: Uint8Array | undefined): Seal {
  if (scope.depth === 0 || valid === undefined) return NO_SEAL;
  const rows = new Uint8Array(valid.length);
  for (let i = 0; i < rows.length; i++)
    rows[i] = valid[i] === 0 && (scope.rows === undefined || scope.rows[i] !== 0) ? 1 : 0;
  const seal = sumWords1(new Uint32Array(valid.length).fill(0xffffffff), salted(scope.states, NULL_A, NULL_B), rows);
  return { ...seal, present: 0 };
}

function sealFlat(column: FlatColumn, scope: SealScope): Seal {
  const rows = presentRows(scope, column.valid);
  const wide = column.values.BYTES_PER_ELEMENT === 8;
  const words = wide ? wordsOf(column.values) : widened(column.values, column.length);
  const seal = wide ? sumWords2(words, scope.states, rows) : sumWords1(words, scope.states, rows);
  return addSeals(seal, sealNullItems(scope, column.valid));
}

let wideScratch = new Uint32Array(0);

/** Values of at most 32 bits as one word each, sign-extended; a view where the bits are words already. */
function widened(values: Values, length: number): Uint32Array {
  if (values.BYTES_PER_ELEMENT === 4) return wordsOf(values);
  if (wideScratch.length < length) wideScratch = new Uint32Array(length + (length >> 2));
  const out = wideScratch.subarray(0, length);
  out.set(values as Uint8Array);
  return out;
}

/** A string is its length in bytes, then its bytes four a word, little-endian, padded with zeros. */
function sealUtf8(column: Utf8Column, scope: SealScope): Seal {
  const rows = presentRows(scope, column.valid);
  const { a, b } = scope.states;
  const { bytes, offsets } = column;
  let sumA = 0n;
  let sumB = 0n;
  let present = 0;
  for (let i = 0; i < column.length; i++) {
    if (rows !== undefined && rows[i] === 0) continue;
    present++;
    const end = offsets[i + 1]!;
    let x = firstWord(end - offsets[i]!, a[i]!, b[i]!);
    for (let at = offsets[i]!; at < end; at += 4) x = nextWord(x, packed(bytes, at, end), a[i]!);
    sumA += BigInt(laneA(x, a[i]!));
    sumB += BigInt(laneB(x, b[i]!));
  }
  return addSeals({ present, a: sumA & MASK_64, b: sumB & MASK_64 }, sealNullItems(scope, column.valid));
}

function packed(bytes: Uint8Array, at: number, end: number): number {
  let word = bytes[at]!;
  if (at + 1 < end) word |= bytes[at + 1]! << 8;
  if (at + 2 < end) word |= bytes[at + 2]! << 16;
  if (at + 3 < end) word |= bytes[at + 3]! << 24;
  return word;
}

function sealList(column: ListColumn, scope: SealScope): Seal {
  let shared = scope.lists.get(column.offsets);
  if (shared === undefined || shared.valid !== column.valid) {
    shared = listScope(column, scope);
    scope.lists.set(column.offsets, shared);
  }
  const items = sealColumn(column.items, shared.items);
  return addSeals(shared.lengths, { ...items, present: 0 });
}

function listScope(column: ListColumn, scope: SealScope): ListScope {
  const rows = presentRows(scope, column.valid);
  const { offsets, length } = column;
  const lengths = addSeals(sumLengths(offsets, scope.states, rows, scope.depth), sealNullItems(scope, column.valid));
  const states = itemStates(scope, offsets, length);
  const itemRows = rows === undefined ? undefined : spread(rows, offsets, length);
  const items = { states, rows: itemRows, depth: scope.depth + 1, lists: new Map(), take: scope.take };
  return { lengths, valid: column.valid, items };
}

function salted(states: KeyStates, saltA: number, saltB: number): KeyStates {
  const { a, b } = states;
  const length = a.length;
  const outA = new Int32Array(length);
  const outB = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    outA[i] = a[i]! ^ saltA;
    outB[i] = b[i]! ^ saltB;
  }
  return { a: outA, b: outB };
}

/** Item k of a row steps its state k + 1 times; below the first level the row's state is mixed again before stepping. */
function itemStates(scope: SealScope, offsets: Int32Array, length: number): KeyStates {
  const { a, b } = scope.states;
  const total = offsets[length]!;
  const [wideA, wideB] = [scope.take('i32', total + 3) as Int32Array, scope.take('i32', total + 3) as Int32Array];
  const [outA, outB] = [wideA.subarray(0, total), wideB.subarray(0, total)];
  const nested = scope.depth > 0;
  if (!nested && itemStatesKernel(scope.states, offsets, length, { a: wideA, b: wideB })) return { a: outA, b: outB };
  let item = 0;
  for (let i = 0; i < length; i++) {
    let x = a[i]!;
    let y = b[i]!;
    if (nested) {
      x = Math.imul(x ^ (x >>> 16), MIX_1);
      y = Math.imul(y ^ (y >>> 16), MIX_2);
    }
    const end = offsets[i + 1]!;
    for (; item < end; item++) {
      x = (x + ITEM_A) | 0;
      y = (y + ITEM_B) | 0;
      outA[item] = x;
      outB[item] = y;
    }
  }
  return { a: outA, b: outB };
}

function spread(rows: Uint8Array, offsets: Int32Array, length: number): Uint8Array {
  const out = new Uint8Array(offsets[length]!);
  for (let i = 0; i < length; i++) out.fill(rows[i]!, offsets[i]!, offsets[i + 1]!);
  return out;
}
