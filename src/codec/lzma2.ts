// Owns LZMA2, the compressed data of an xz block: https://tukaani.org/xz/xz-file-format.txt 5.3.1, and for the symbols the
// LZMA specification of https://www.7-zip.org/sdk.html. The output itself is the dictionary: it is held whole anyway.
import { ColweaveError } from '../core/errors.ts';

const PROBABILITY_HALF = 1024;
const RANGE_MIN = 1 << 24;
const STATES = 12;
const STATES_LITERAL = 7;
const POSITION_STATES = 16;
const MATCH_BYTES_MIN = 2;
const LITERAL_CODERS_MAX = 16; // lc + lp is 4 at most

/** Places of the adaptive probabilities. A length has two choices, then 8 short and 8 middle a position state, then 256. */
const IS_MATCH = 0;
const IS_REPEAT = IS_MATCH + STATES * POSITION_STATES;
const IS_OLDER = IS_REPEAT + STATES; // not the last distance
const IS_OLDER2 = IS_OLDER + STATES;
const IS_OLDER3 = IS_OLDER2 + STATES;
const IS_LONG = IS_OLDER3 + STATES; // the last distance, more than one byte
const SLOT = IS_LONG + STATES * POSITION_STATES;
const SPECIAL = SLOT + 4 * 64;
const ALIGN = SPECIAL + 128;
const LENGTH = ALIGN + 16;
const LENGTH_SHORT = 2;
const LENGTH_MIDDLE = LENGTH_SHORT + POSITION_STATES * 8;
const LENGTH_LONG = LENGTH_MIDDLE + POSITION_STATES * 8;
const REPEAT_LENGTH = LENGTH + LENGTH_LONG + 256;
const LITERAL = REPEAT_LENGTH + LENGTH_LONG + 256;

const probabilities = new Uint16Array(LITERAL + 0x300 * LITERAL_CODERS_MAX);
/** The range coder, and what one chunk leaves to the next: in an array, since functions share it and it stays 32 bits. */
const coder = new Int32Array(11);
const RANGE = 0;
const CODE = 1;
const FROM = 2;
const STATE = 3;
const DISTANCE = 4; // the last four distances less one, newest first
const CONTEXT_BITS = 8; // lc
const LITERAL_MASK = 9; // of lp
const POSITION_MASK = 10; // of pb

/** Decodes the chunks from `from` on into the whole of `target`; returns where they end. Errors: source/damaged. */
export function decodeLzma2(source: Uint8Array, from: number, target: Uint8Array): number {
  let next = from;
  let at = 0;
  let dictionary = 0;
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = source[next];
    if (control === 0) break;
    if (control === undefined || next + 6 > source.length) throw damaged('it is cut');
    const compressed = control >= 0x80;
    const isDictionary = compressed ? control >= 0xe0 : control === 1;
    if (needsDictionary && !isDictionary) throw damaged('it does not start with a reset');
    if (isDictionary) {
      dictionary = at;
      needsProperties = true;
    }
    needsDictionary = false;
    const low = (source[next + 1]! << 8) | source[next + 2]!;
    const size = 1 + (compressed ? ((control & 0x1f) << 16) | low : low);
    if (at + size > target.length) throw damaged(`it holds more than ${target.length} bytes`);
    if (compressed) {
      const packed = 1 + ((source[next + 3]! << 8) | source[next + 4]!);
      if (needsProperties && control < 0xc0) throw damaged('a reset is missing');
      needsProperties = false;
      const start = control >= 0xc0 ? next + 6 : next + 5;
      if (start + packed > source.length) throw damaged('it is cut');
      if (control >= 0xc0) setProperties(source[next + 5]!);
      if (control >= 0xa0) resetState();
      decodeChunk({ source, from: start, end: start + packed }, { target, at, end: at + size, dictionary });
      next = start + packed;
    } else {
      if (control > 2) throw damaged(`a chunk of the unknown kind ${control}`);
      const start = next + 3;
      if (start + size > source.length) throw damaged('it is cut');
      target.set(source.subarray(start, start + size), at);
      next = start + size;
    }
    at += size;
  }
  if (at !== target.length) throw damaged(`it holds ${at} bytes, expected ${target.length}`);
  return next + 1;
}

function setProperties(byte: number): void {
  const context = byte % 9;
  const literal = Math.trunc(byte / 9) % 5;
  const position = Math.trunc(byte / 45);
  if (position > 4 || context + literal > 4) throw damaged(`its properties are ${byte}`);
  coder[CONTEXT_BITS] = context;
  coder[LITERAL_MASK] = (1 << literal) - 1;
  coder[POSITION_MASK] = (1 << position) - 1;
}

function resetState(): void {
  probabilities.fill(PROBABILITY_HALF);
  coder.fill(0, STATE, DISTANCE + 4);
}

interface Input {
  readonly source: Uint8Array;
  readonly from: number;
  readonly end: number;
}
interface Output {
  readonly target: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Where the dictionary begins. */
  readonly dictionary: number;
}

function decodeChunk(input: Input, output: Output): void {
  const { source } = input;
  const { target, end, dictionary } = output;
  startCoder(input);
  const [bits, literalMask, positionMask] = [coder[CONTEXT_BITS]!, coder[LITERAL_MASK]!, coder[POSITION_MASK]!];
  let at = output.at;
  let state = coder[STATE]!;
  while (at < end) {
    const position = at - dictionary;
    const positionState = position & positionMask;
    if (decodeBit(source, IS_MATCH + state * POSITION_STATES + positionState) === 0) {
      const before = position > 0 ? target[at - 1]! : 0;
      const base = LITERAL + 0x300 * (((position & literalMask) << bits) + (before >> (8 - bits)));
      if (state < STATES_LITERAL) {
        target[at++] = decodeTree(source, base, 8);
      } else {
        target[at] = decodeMatchedLiteral(source, base, target[at - coder[DISTANCE]! - 1]!);
        at++;
      }
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    let length = 1;
    const literalBefore = state < STATES_LITERAL;
    if (decodeBit(source, IS_REPEAT + state) === 0) {
      length = decodeLength(source, LENGTH, positionState);
      decodeDistance(source, length);
      state = literalBefore ? 7 : 10;
    } else if (decodeRepeat(source, state, positionState)) {
      length = decodeLength(source, REPEAT_LENGTH, positionState);
      state = literalBefore ? 8 : 11;
    } else {
      state = literalBefore ? 9 : 11;
    }
    const back = coder[DISTANCE]! + 1;
    if (back <= 0 || back > position || at + length > end) throw damaged('a match leads out of it');
    if (coder[FROM]! > input.end) throw damaged('a chunk is too short');
    const matchEnd = at + length;
    for (let from = at - back; at < matchEnd; ) target[at++] = target[from++]!;
  }
  coder[STATE] = state;
  if (coder[FROM] !== input.end || coder[CODE] !== 0) throw damaged('a chunk does not end where it should');
}

function startCoder({ source, from, end }: Input): void {
  if (end - from < 5 || source[from] !== 0) throw damaged('a chunk has no start');
  coder[RANGE] = -1;
  coder[CODE] = (source[from + 1]! << 24) | (source[from + 2]! << 16) | (source[from + 3]! << 8) | source[from + 4]!;
  coder[FROM] = from + 5;
}

function decodeBit(source: Uint8Array, index: number): number {
  const probability = probabilities[index]!;
  const range = coder[RANGE]!;
  const code = coder[CODE]!;
  const bound = Math.imul(range >>> 11, probability);
  let nextRange = bound;
  let nextCode = code;
  let bit = 0;
  if (code >>> 0 < bound >>> 0) {
    probabilities[index] = probability + ((2048 - probability) >> 5);
  } else {
    nextRange = (range - bound) | 0;
    nextCode = (code - bound) | 0;
    probabilities[index] = probability - (probability >> 5);
    bit = 1;
  }
  if (nextRange >>> 0 < RANGE_MIN) {
    nextRange <<= 8;
    nextCode = (nextCode << 8) | source[coder[FROM]!++]!;
  }
  coder[RANGE] = nextRange;
  coder[CODE] = nextCode;
  return bit;
}

/**
 * `bits` bits, the highest first, without a branch on their values: those of floating-point numbers are as good as
 * random. `below` is all ones where code < bound (the borrow of an unsigned difference), that is, for a 0.
 */
function decodeTree(source: Uint8Array, base: number, bits: number): number {
  const end = 1 << bits;
  let range = coder[RANGE]!;
  let code = coder[CODE]!;
  let from = coder[FROM]!;
  let symbol = 1;
  while (symbol < end) {
    const probability = probabilities[base + symbol]!;
    const bound = Math.imul(range >>> 11, probability);
    const rest = (code - bound) | 0;
    const below = ((~code & bound) | (~(code ^ bound) & rest)) >> 31;
    code = (rest + (bound & below)) | 0;
    const upper = (range - bound) | 0;
    range = upper ^ ((upper ^ bound) & below);
    probabilities[base + symbol] = probability - ((probability + (below & (31 - 2048))) >> 5);
    symbol = symbol + symbol + 1 + below;
    if (range >>> 0 < RANGE_MIN) {
      range <<= 8;
      code = (code << 8) | source[from++]!;
    }
  }
  coder[RANGE] = range;
  coder[CODE] = code;
  coder[FROM] = from;
  return symbol - end;
}

/** After a match: the byte that would have gone on with it tells which probabilities to take, until they part. */
function decodeMatchedLiteral(source: Uint8Array, base: number, matched: number): number {
  let range = coder[RANGE]!;
  let code = coder[CODE]!;
  let from = coder[FROM]!;
  let symbol = 1;
  let offset = 0x100;
  let match = matched;
  while (symbol < 0x100) {
    match <<= 1;
    const index = base + offset + (match & offset) + symbol;
    const probability = probabilities[index]!;
    const bound = Math.imul(range >>> 11, probability);
    const rest = (code - bound) | 0;
    const below = ((~code & bound) | (~(code ^ bound) & rest)) >> 31;
    code = (rest + (bound & below)) | 0;
    const upper = (range - bound) | 0;
    range = upper ^ ((upper ^ bound) & below);
    probabilities[index] = probability - ((probability + (below & (31 - 2048))) >> 5);
    symbol = symbol + symbol + 1 + below;
    offset &= match ^ below;
    if (range >>> 0 < RANGE_MIN) {
      range <<= 8;
      code = (code << 8) | source[from++]!;
    }
  }
  coder[RANGE] = range;
  coder[CODE] = code;
  coder[FROM] = from;
  return symbol - 0x100;
}

function decodeReverseTree(source: Uint8Array, base: number, bits: number): number {
  let symbol = 1;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    const bit = decodeBit(source, base + symbol);
    symbol = (symbol << 1) | bit;
    value |= bit << i;
  }
  return value;
}

function decodeLength(source: Uint8Array, base: number, positionState: number): number {
  if (decodeBit(source, base) === 0) {
    return MATCH_BYTES_MIN + decodeTree(source, base + LENGTH_SHORT + positionState * 8, 3);
  }
  if (decodeBit(source, base + 1) === 0) {
    return MATCH_BYTES_MIN + 8 + decodeTree(source, base + LENGTH_MIDDLE + positionState * 8, 3);
  }
  return MATCH_BYTES_MIN + 16 + decodeTree(source, base + LENGTH_LONG, 8);
}

/** A new distance becomes the first of the last four. */
function decodeDistance(source: Uint8Array, length: number): void {
  const slot = decodeTree(source, SLOT + Math.min(length - MATCH_BYTES_MIN, 3) * 64, 6);
  let distance = slot;
  if (slot >= 4) {
    const bits = (slot >> 1) - 1;
    distance = (2 | (slot & 1)) << bits;
    if (slot < 14) {
      distance += decodeReverseTree(source, SPECIAL + distance - slot, bits);
    } else {
      distance = (distance + (decodeDirect(source, bits - 4) << 4) + decodeReverseTree(source, ALIGN, 4)) | 0;
    }
  }
  coder.copyWithin(DISTANCE + 1, DISTANCE, DISTANCE + 3);
  coder[DISTANCE] = distance;
}

/** Bits of even odds, the highest first; a negative rest stands for a 0. */
function decodeDirect(source: Uint8Array, bits: number): number {
  let range = coder[RANGE]!;
  let code = coder[CODE]!;
  let from = coder[FROM]!;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    range >>>= 1;
    const rest = (code - range) | 0;
    const below = rest >> 31;
    code = (rest + (range & below)) | 0;
    value = value + value + 1 + below;
    if (range < RANGE_MIN) {
      range <<= 8;
      code = (code << 8) | source[from++]!;
    }
  }
  coder[RANGE] = range;
  coder[CODE] = code;
  coder[FROM] = from;
  return value;
}

/** Moves the old distance that is meant to the front; false: one byte of the last distance. */
function decodeRepeat(source: Uint8Array, state: number, positionState: number): boolean {
  if (decodeBit(source, IS_OLDER + state) === 0) {
    return decodeBit(source, IS_LONG + state * POSITION_STATES + positionState) === 1;
  }
  let index = 1;
  if (decodeBit(source, IS_OLDER2 + state) === 1) index = 2 + decodeBit(source, IS_OLDER3 + state);
  const distance = coder[DISTANCE + index]!;
  coder.copyWithin(DISTANCE + 1, DISTANCE, DISTANCE + index);
  coder[DISTANCE] = distance;
  return true;
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `an xz stream is damaged: ${what}`);
}
