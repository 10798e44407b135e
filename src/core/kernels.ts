// Owns this thread's WebAssembly kernels (kernels.wat) and their memory: results, a stage for arrays from elsewhere, the rest lent out.
import { KERNELS } from './kernels-binary.ts';
import { instantiate } from './wasm.ts';

/** Rows a call: what is staged for it stays in a core's cache. */
const CHUNK_ROWS = 16 * 1024;
const WORDS_AT = 64 * 1024;
const A_AT = WORDS_AT + 8 * CHUNK_ROWS + 64;
const B_AT = A_AT + 4 * CHUNK_ROWS;
const ROWS_AT = B_AT + 4 * CHUNK_ROWS;
const ROOM_AT = ROWS_AT + CHUNK_ROWS;

type Loop = (...places: number[]) => void;
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly terms1: Loop;
  readonly terms2: Loop;
  readonly lengths: Loop;
  readonly itemStates: Loop;
  readonly split: Loop;
  readonly entriesAgree: (...places: number[]) => number;
  readonly keyStates: Loop;
  readonly sumStates: Loop;
}

interface Kernels {
  readonly exports: Exports;
  readonly bytes: Uint8Array;
  readonly sums: BigUint64Array;
  readonly counts: Uint32Array;
  roomLent: boolean;
}

/** One a thread; null where WebAssembly or its vectors are missing. */
let held: Kernels | null | undefined;

function kernels(): Kernels | null {
  if (held !== undefined) return held;
  try {
    const exports = instantiate<Exports>(KERNELS);
    const { buffer } = exports.memory;
    held = {
      exports,
      bytes: new Uint8Array(buffer),
      sums: new BigUint64Array(buffer, 0, 4),
      counts: new Uint32Array(buffer, 32, 4),
      roomLent: false,
    };
  } catch {
    held = null; // no vectors, or no room for the memory: the loops in TypeScript serve
  }
  return held;
}

/** Memory in which the kernels read arrays without copying them: for one borrower at a time, until given back. */
export function borrowRoom(): { readonly bytes: Uint8Array; giveBack(): void } | undefined {
  const mine = kernels();
  if (mine === null || mine.roomLent) return undefined;
  mine.roomLent = true;
  return {
    bytes: mine.bytes.subarray(ROOM_AT),
    giveBack: () => {
      mine.roomLent = false;
    },
  };
}

/** Rows from .. from + count of states, and of the flags that say which rows count. */
export interface KernelRows {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly rows: Uint8Array | undefined;
}
export interface KernelSums {
  readonly present: number;
  readonly a: bigint;
  readonly b: bigint;
}
export type Kernel = 'terms1' | 'terms2' | 'lengths';

/** Sums over rows 0 .. count, a multiple of four, of values of so many words (offsets: 1 and one more). */
export function runKernel(
  kernel: Kernel,
  values: Uint32Array | Int32Array,
  { a, b, rows }: KernelRows,
  count: number,
  depth: number,
): KernelSums | undefined {
  const mine = kernels();
  if (mine === null) return undefined;
  const { exports, sums, counts, bytes } = mine;
  const run = exports[kernel];
  const width = kernel === 'terms2' ? 2 : 1;
  const extra = kernel === 'lengths' ? 1 : 0;
  let present = 0;
  let sumA = 0n;
  let sumB = 0n;
  for (let from = 0; from < count; from += CHUNK_ROWS) {
    const some = Math.min(CHUNK_ROWS, count - from);
    run(
      placeOf(bytes, values, width * from, width * some + extra, WORDS_AT),
      placeOf(bytes, a, from, some, A_AT),
      placeOf(bytes, b, from, some, B_AT),
      rows === undefined ? 0 : placeOf(bytes, rows, from, some, ROWS_AT),
      some,
      0,
      depth,
    );
    sumA += sums[0]! + sums[1]!;
    sumB += sums[2]! + sums[3]!;
    present += counts[0]! + counts[1]! + counts[2]! + counts[3]!;
  }
  return { present, a: sumA, b: sumB };
}

/** Of the items of `rows` rows, into arrays that have room for three words more. False: not where the kernels read. */
export function itemStatesKernel(
  { a, b }: { readonly a: Int32Array; readonly b: Int32Array },
  offsets: Int32Array,
  rows: number,
  out: { readonly a: Int32Array; readonly b: Int32Array },
): boolean {
  const mine = kernels();
  if (mine === null) return false;
  const arrays = [a, b, offsets, out.a, out.b];
  if (arrays.some(({ buffer }) => buffer !== mine.bytes.buffer)) return false;
  const [atA, atB, from, toA, toB] = arrays.map(({ byteOffset }) => byteOffset);
  mine.exports.itemStates(atA!, atB!, from!, rows, toA!, toB!);
  return true;
}

/** Of rows from .. from + count (a multiple of four) of four key words each. False: no kernels. */
export function keyStatesKernel(
  words: Uint32Array,
  from: number,
  count: number,
  out: { readonly a: Int32Array; readonly b: Int32Array },
): boolean {
  const mine = kernels();
  if (mine === null) return false;
  const { exports, bytes } = mine;
  for (let done = 0; done < count; done += CHUNK_ROWS / 2) {
    const some = Math.min(CHUNK_ROWS / 2, count - done);
    const at = placeOf(bytes, words, 4 * (from + done), 4 * some, WORDS_AT);
    exports.keyStates(at, some, A_AT, B_AT);
    out.a.set(new Int32Array(bytes.buffer, A_AT, some), done);
    out.b.set(new Int32Array(bytes.buffer, B_AT, some), done);
  }
  return true;
}

/** The sums, as u32, of the states of the first `count` rows (a multiple of four) of four key words each. */
export function keySumsKernel(
  words: Uint32Array,
  count: number,
): { readonly a: bigint; readonly b: bigint } | undefined {
  const mine = kernels();
  if (mine === null) return undefined;
  const { exports, bytes } = mine;
  let a = 0n;
  let b = 0n;
  for (let done = 0; done < count; done += CHUNK_ROWS / 2) {
    const some = Math.min(CHUNK_ROWS / 2, count - done);
    exports.keyStates(placeOf(bytes, words, 4 * done, 4 * some, WORDS_AT), some, A_AT, B_AT);
    a += sumAt(mine, A_AT, some);
    b += sumAt(mine, B_AT, some);
  }
  return { a, b };
}

/** The sum, as u32, of the first `count` (a multiple of four). */
export function sumStatesKernel(states: Int32Array, count: number): bigint | undefined {
  const mine = kernels();
  if (mine === null) return undefined;
  let sum = 0n;
  for (let done = 0; done < count; done += CHUNK_ROWS) {
    const some = Math.min(CHUNK_ROWS, count - done);
    sum += sumAt(mine, placeOf(mine.bytes, states, done, some, A_AT), some);
  }
  return sum;
}

function sumAt({ exports, sums }: Kernels, at: number, count: number): bigint {
  exports.sumStates(at, count, 0);
  return sums[0]! + sums[1]!;
}

/** Bytes of words from .. from + count (a multiple of sixteen) as four streams, `streamBytes` apart. False: no kernels. */
export function splitKernel(
  words: Uint32Array,
  { from, count }: { readonly from: number; readonly count: number },
  out: Uint8Array,
  { outAt, streamBytes }: { readonly outAt: number; readonly streamBytes: number },
): boolean {
  const mine = kernels();
  if (mine === null) return false;
  const { exports, bytes } = mine;
  for (let done = 0; done < count; done += CHUNK_ROWS) {
    const some = Math.min(CHUNK_ROWS, count - done);
    exports.split(placeOf(bytes, words, from + done, some, WORDS_AT), some, A_AT);
    for (let stream = 0; stream < 4; stream++) {
      const from = A_AT + stream * some;
      out.set(bytes.subarray(from, from + some), outAt + stream * streamBytes + done);
    }
  }
  return true;
}

/**
 * How many of the first `count` (a multiple of four) big-endian offsets are starts * itemBytes + shift; what it gives may
 * be up to three too few, or 0 without kernels.
 */
export function entriesKernel(
  offsets: Uint8Array,
  starts: Int32Array,
  count: number,
  { itemBytes, shift }: { readonly itemBytes: number; readonly shift: number },
): number {
  const mine = kernels();
  if (mine === null) return 0;
  const { exports, bytes } = mine;
  for (let done = 0; done < count; done += CHUNK_ROWS) {
    const some = Math.min(CHUNK_ROWS, count - done);
    const from = placeOf(bytes, offsets, 4 * done, 4 * some, WORDS_AT);
    const agreed = exports.entriesAgree(from, placeOf(bytes, starts, done, some, A_AT), some, itemBytes, shift);
    if (agreed < some) return done + agreed;
  }
  return count;
}

/** Where `length` elements from `from` are in the kernels' memory, put on the stage if they are elsewhere. */
function placeOf(
  memory: Uint8Array,
  values: Uint8Array | Uint32Array | Int32Array,
  from: number,
  length: number,
  stage: number,
): number {
  const { buffer, byteOffset, BYTES_PER_ELEMENT: size } = values;
  const at = byteOffset + from * size;
  if (buffer === memory.buffer) return at;
  memory.set(new Uint8Array(buffer, at, length * size), stage);
  return stage;
}
