// Owns this thread's LZMA kernel (made by bin/lzma-kernel.mjs) and its memory: one chunk in, one block out, state between chunks.
import { ColweaveError } from '../core/errors.ts';
import { instantiate } from '../core/wasm.ts';
import { LZMA_KERNEL } from './lzma-binary.ts';
import * as layout from './lzma-layout.ts';

const PAGE_BYTES = 64 * 1024;
const PROBABILITY_HALF = 1024;
const CRC64_POLYNOMIAL = 0xc96c5795d7870f42n;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  /** A chunk, and its place in the block whose dictionary begins there: all are addresses. */
  readonly decode: (from: number, inputEnd: number, at: number, end: number, dictionary: number) => number;
  readonly crc64: (crc: bigint, at: number, end: number) => bigint;
}
interface Kernel {
  readonly exports: Exports;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly probabilities: Uint16Array;
}

let held: Kernel | undefined;
let hasCrc64Tables = false;

const kernel = () => {
  held ??= viewsOf(makeExports());
  return held;
};

function makeExports(): Exports {
  try {
    return instantiate<Exports>(LZMA_KERNEL);
  } catch (cause) {
    throw new ColweaveError('memory/not-enough', 'no address space to unpack LZMA in', {
      hint: 'raise ulimit -v by 10 GB a thread, or set NODE_OPTIONS=--disable-wasm-trap-handler',
      cause,
    });
  }
}

function viewsOf(exports: Exports): Kernel {
  const { buffer } = exports.memory;
  return {
    exports,
    bytes: new Uint8Array(buffer),
    words: new Int32Array(buffer, 0, layout.REPEATS_AT / 4),
    probabilities: new Uint16Array(buffer, layout.PROBABILITIES_AT, layout.PROBABILITIES),
  };
}

/** Room for a block of so many bytes, whose sizes were checked: it stays, 16 MiB at most for what ROOT writes. */
export function makeRoom(bytes: number): void {
  const { exports, bytes: memory } = kernel();
  const missing = layout.OUTPUT_AT + bytes + layout.OUTPUT_SPARE - memory.length;
  if (missing <= 0) return;
  exports.memory.grow(Math.ceil(missing / PAGE_BYTES));
  held = viewsOf(exports);
}

export function setProperties(contextBits: number, literalBits: number, positionBits: number): void {
  const { words } = kernel();
  words[layout.CONTEXT_BITS_AT / 4] = contextBits;
  words[layout.CONTEXT_SHIFT_AT / 4] = 8 - contextBits;
  words[layout.LITERAL_MASK_AT / 4] = (1 << literalBits) - 1;
  words[layout.POSITION_MASK_AT / 4] = (1 << positionBits) - 1;
}

export function resetState(): void {
  const { words, probabilities } = kernel();
  probabilities.fill(PROBABILITY_HALF);
  words.fill(0, layout.STATE_AT / 4, layout.STATE_AT / 4 + layout.STATE_WORDS);
}

/** Decodes a chunk to at .. end of the block, where there is room for it. Gives one of the layout's results. */
export function decodeChunk(
  chunk: Uint8Array,
  { at, end, dictionary }: { readonly at: number; readonly end: number; readonly dictionary: number },
): number {
  const { exports, bytes } = kernel();
  const inputEnd = layout.INPUT_AT + chunk.length;
  bytes.set(chunk, layout.INPUT_AT);
  bytes.fill(0, inputEnd, inputEnd + layout.INPUT_SPARE);
  const to = layout.OUTPUT_AT;
  return exports.decode(layout.INPUT_AT, inputEnd, to + at, to + end, to + dictionary);
}

/** Puts a chunk that is not compressed to `at` of the block. */
export function copyChunk(chunk: Uint8Array, at: number): void {
  kernel().bytes.set(chunk, layout.OUTPUT_AT + at);
}

/** The block, valid until the next one is begun. */
export function decodedBlock(bytes: number): Uint8Array {
  return kernel().bytes.subarray(layout.OUTPUT_AT, layout.OUTPUT_AT + bytes);
}

/** CRC-64 as xz has it (ECMA-182, lowest bit first). */
export function crc64(data: Uint8Array): bigint {
  const { exports, bytes } = kernel();
  if (!hasCrc64Tables) makeCrc64Tables();
  hasCrc64Tables = true;
  let crc = -1n;
  for (let from = 0; from < data.length; from += layout.INPUT_BYTES) {
    const some = data.subarray(from, from + layout.INPUT_BYTES);
    bytes.set(some, layout.INPUT_AT);
    crc = exports.crc64(crc, layout.INPUT_AT, layout.INPUT_AT + some.length);
  }
  return BigInt.asUintN(64, ~crc);
}

/** Table n: what a byte does to the CRC n bytes later. */
function makeCrc64Tables(): void {
  const tables = new BigUint64Array(kernel().bytes.buffer, layout.CRC64_AT, 8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? CRC64_POLYNOMIAL : 0n);
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >> 8n) ^ tables[Number(before & 255n)]!;
  }
}
