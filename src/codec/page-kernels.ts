// Owns this thread's instance of pages.wat, its memory, and the loops in TypeScript that serve where there is none.
import { instantiate } from '../core/wasm.ts';
import { PAGES } from './pages-binary.ts';

const LANES_AT = 0;
const SECRET_AT = 64;
const STATE_AT = 256;
const STAGE_AT = 1024;
const STAGE_BYTES = 128 * 1024;
/** Where a page from elsewhere is put, a part at a time. */
const PART_AT = STAGE_AT + STAGE_BYTES;
const ROOM_AT = PART_AT + STAGE_BYTES;
const STRIPE_BYTES = 64;
const BLOCK_STRIPES = 16;
/** Values a call of the loops below. */
const TURN = 16;

type Loop = (...places: number[]) => void;
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly sumStripes: Loop;
  readonly join2: Loop;
  readonly join4: Loop;
  readonly join8: Loop;
  readonly spreadBits: Loop;
  readonly levels: (...places: number[]) => number;
  readonly wordsOf: (...places: number[]) => number;
  readonly lists: Loop;
}

interface Kernels {
  readonly exports: Exports;
  readonly bytes: Uint8Array;
}

/** One a thread; null where WebAssembly or its vectors are missing. */
let held: Kernels | null | undefined;

function kernels(): Kernels | null {
  if (held !== undefined) return held;
  try {
    const exports = instantiate<Exports>(PAGES);
    held = { exports, bytes: new Uint8Array(exports.memory.buffer) };
  } catch {
    held = null; // no vectors, or no room for the memory
  }
  return held;
}

/** For tests: work as if there were no WebAssembly. */
export function withoutKernels<T>(work: () => T): T {
  const before = held;
  held = null;
  try {
    return work();
  } finally {
    held = before;
  }
}

/** Adds stripes to xxh3's eight lanes. False: no kernels. */
export function sumStripesKernel(
  lanes: BigUint64Array,
  data: Uint8Array,
  stripes: number,
  secret: Uint8Array,
): boolean {
  const mine = kernels();
  if (mine === null) return false;
  const { exports, bytes } = mine;
  bytes.set(secret, SECRET_AT);
  const laneBytes = new Uint8Array(lanes.buffer, lanes.byteOffset, lanes.byteLength);
  bytes.set(laneBytes, LANES_AT);
  const most = STAGE_BYTES / STRIPE_BYTES;
  for (let done = 0; done < stripes; done += most) {
    const some = Math.min(most, stripes - done);
    bytes.set(data.subarray(done * STRIPE_BYTES, (done + some) * STRIPE_BYTES), STAGE_AT);
    exports.sumStripes(STAGE_AT, some, done % BLOCK_STRIPES);
  }
  laneBytes.set(bytes.subarray(LANES_AT, LANES_AT + laneBytes.length));
  return true;
}

/** Room for a page where the kernels read it without a copy, until this is called again; undefined: not that much, or none. */
export function pageRoom(length: number): Uint8Array | undefined {
  const mine = kernels();
  if (mine === null || ROOM_AT + length > mine.bytes.length) return undefined;
  return mine.bytes.subarray(ROOM_AT, ROOM_AT + length);
}

/** A page of `elements` values stored byte by byte: all first bytes, all second bytes, ... */
export interface SplitPage {
  readonly page: Uint8Array;
  readonly elements: number;
  readonly width: 2 | 4 | 8;
  readonly zigzag: boolean;
}

/** Values from .. from + count of a split page, into `target`, in this machine's (little-endian) order. */
export function joinBytes(split: SplitPage, from: number, count: number, target: Uint8Array): void {
  const { page, elements, width, zigzag } = split;
  const mine = kernels();
  let done = 0;
  if (mine !== null) {
    const { exports, bytes } = mine;
    const join = width === 4 ? exports.join4 : width === 8 ? exports.join8 : exports.join2;
    const here = page.buffer === bytes.buffer;
    const whole = count - (count % TURN);
    const most = STAGE_BYTES / width;
    for (; done < whole; done += most) {
      const some = Math.min(most, whole - done);
      const at = from + done;
      if (!here) {
        for (let byte = 0, to = PART_AT; byte < width; byte++, to += some) {
          bytes.set(page.subarray(byte * elements + at, byte * elements + at + some), to);
        }
      }
      join(here ? page.byteOffset + at : PART_AT, here ? elements : some, some, STAGE_AT, zigzag ? 1 : 0);
      target.set(bytes.subarray(STAGE_AT, STAGE_AT + some * width), done * width);
    }
    done = whole;
  }
  if (done === count) return;
  for (let byte = 0; byte < width; byte++) {
    let at = byte * elements + from + done;
    for (let to = done * width + byte; to < count * width; to += width) target[to] = page[at++]!;
  }
  if (zigzag) undoZigzag(target.subarray(done * width, count * width), width);
}

function undoZigzag(bytes: Uint8Array, width: 2 | 4 | 8): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += width) {
    if (width === 2) {
      const value = view.getUint16(at, true);
      view.setUint16(at, (value >>> 1) ^ -(value & 1), true);
      continue;
    }
    const low = view.getUint32(at, true);
    const sign = -(low & 1);
    const high = width === 8 ? view.getUint32(at + 4, true) : 0;
    view.setUint32(at, ((low >>> 1) | (high << 31)) ^ sign, true);
    if (width === 8) view.setUint32(at + 4, (high >>> 1) ^ sign, true);
  }
}

/** Bits from .. from + count of a page, lowest first, as bytes 0 or 1. */
export function spreadBits(page: Uint8Array, from: number, count: number, target: Uint8Array): void {
  const mine = kernels();
  let done = 0;
  const lead = Math.min(count, -from & 7);
  for (; done < lead; done++) target[done] = (page[(from + done) >> 3]! >> ((from + done) & 7)) & 1;
  if (mine !== null) {
    const { exports, bytes } = mine;
    const here = page.buffer === bytes.buffer;
    const whole = done + ((count - done) & -TURN);
    for (; done < whole; done += STAGE_BYTES) {
      const some = Math.min(STAGE_BYTES, whole - done);
      const at = (from + done) >> 3;
      if (!here) bytes.set(page.subarray(at, at + (some >> 3)), PART_AT);
      exports.spreadBits(here ? page.byteOffset + at : PART_AT, some, STAGE_AT);
      target.set(bytes.subarray(STAGE_AT, STAGE_AT + some), done);
    }
    done = whole;
  }
  for (; done < count; done++) target[done] = (page[(from + done) >> 3]! >> ((from + done) & 7)) & 1;
}

/** Packed integers: bytes from .. end of a page that lies in `pageRoom`, `width` bits each. */
export interface PackedPart {
  readonly page: Uint8Array;
  readonly from: number;
  readonly end: number;
  readonly width: number;
}

/** Bytes that the loops below read or write beyond what they are asked for. */
const OVER_BYTES = 16;

/** Room behind the page in the kernels' memory; undefined where the page lies elsewhere, or not that much is left. */
function roomBehind({ page }: PackedPart, length: number): { readonly mine: Kernels; readonly at: number } | undefined {
  const mine = held ?? null;
  if (mine === null || page.buffer !== mine.bytes.buffer) return undefined;
  const at = (page.byteOffset + page.length + 2 * OVER_BYTES - 1) & -OVER_BYTES;
  return at + length + OVER_BYTES > mine.bytes.length ? undefined : { mine, at };
}

/** Fills `target` with levels of up to 8 bits from runs and packed integers; gives where they end, or undefined: not done here. */
export function levelsKernel(part: PackedPart, target: Uint8Array): number | undefined {
  const room = roomBehind(part, target.length);
  if (room === undefined || part.width > 8) return undefined;
  const { mine, at } = room;
  const base = part.page.byteOffset;
  const ended = mine.exports.levels(base + part.from, base + part.end, part.width, target.length, at);
  if (ended === 0) return undefined;
  target.set(mine.bytes.subarray(at, at + target.length));
  return ended - base;
}

/** Words that a kernel looks up lie where parts of a page otherwise do. */
const WORDS_WIDTH_MAX = 15;

/** Fills `target` with the words of packed indices. False: not done here, or an index has no word. */
export function wordsKernel(part: PackedPart, words: Uint32Array, target: Uint32Array): boolean {
  const { page, from, end, width } = part;
  const room = roomBehind(part, target.byteLength);
  if (room === undefined || width < 1 || width > WORDS_WIDTH_MAX || words.byteLength > STAGE_BYTES) return false;
  const { mine, at } = room;
  mine.bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), PART_AT);
  const base = page.byteOffset;
  const most = mine.exports.wordsOf(base + from, base + end, width, target.length, PART_AT, at);
  if (most < 0 || (target.length > 0 && most >= words.length)) return false;
  target.set(new Uint32Array(mine.bytes.buffer, at, target.length));
  return true;
}

/** Entries a call: their two levels fill the room for a part of a page, the ends of their lists the stage. */
const LEVELS_TURN = STAGE_BYTES / 8;

/**
 * Fills `offsets` (rows + 1) from the levels of one level of lists; an entry is an item where its definition is `least` or more.
 * Gives whether every entry that goes on with a list follows an item of it and is one; undefined: no kernels.
 */
export function listsKernel(rep: Uint8Array, def: Uint8Array, least: number, offsets: Int32Array): boolean | undefined {
  const mine = kernels();
  if (mine === null) return undefined;
  const { exports, bytes } = mine;
  const state = new Int32Array(bytes.buffer, STATE_AT, 4);
  state.set([0, 0, 1, 0]);
  for (let from = 0; from < rep.length; from += LEVELS_TURN) {
    const count = Math.min(LEVELS_TURN, rep.length - from);
    const row = state[0]!;
    bytes.set(rep.subarray(from, from + count), PART_AT);
    bytes.set(def.subarray(from, from + count), PART_AT + LEVELS_TURN);
    exports.lists(PART_AT, PART_AT + LEVELS_TURN, count, least, STAGE_AT, STATE_AT);
    const ends = new Int32Array(bytes.buffer, STAGE_AT, state[0]! - row + 1);
    offsets.set(row + ends.length > offsets.length ? ends.subarray(0, offsets.length - row) : ends, row);
  }
  return state[3] === 0;
}
