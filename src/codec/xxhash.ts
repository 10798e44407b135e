// Owns xxh64 with seed 0 (ROOT's LZ4 blocks carry one): https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
// 64-bit words are pairs of 32-bit halves, since BigInt arithmetic is 30 times slower.

/** Halves of the five primes, high then low. */
const P1H = 0x9e3779b1;
const P1L = 0x85ebca87;
const P2H = 0xc2b2ae3d;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9;
const P4H = 0x85ebca77;
const P4L = 0xc2b2ae63;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

const STRIPE_BYTES = 32;

/** The one word that the steps below work on: module variables, because returning pairs allocates. */
let high = 0;
let low = 0;

/** Is `expected` (its first 8 bytes, big-endian) the hash of `data`? */
export function xxh64Equals(data: Uint8Array, expected: Uint8Array): boolean {
  hash(data);
  const view = new DataView(expected.buffer, expected.byteOffset, 8);
  return view.getInt32(0) === (high | 0) && view.getInt32(4) === (low | 0);
}

/** 16 hex digits. */
export function xxh64Hex(data: Uint8Array): string {
  hash(data);
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

function hash(data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const { length } = data;
  const stripesEnd = length - (length % STRIPE_BYTES);
  if (stripesEnd > 0) {
    hashStripes(view, stripesEnd);
  } else {
    high = P5H;
    low = P5L;
  }
  add(0, length);
  hashRest(view, stripesEnd, length);
  avalanche();
}

/** high:low += h:l */
function add(h: number, l: number): void {
  const sum = (low >>> 0) + (l >>> 0);
  low = sum | 0;
  high = (high + h + (sum > 0xffffffff ? 1 : 0)) | 0;
}

/** high:low *= h:l, modulo 2^64 */
function multiply(h: number, l: number): void {
  high = (Math.imul(high, l) + Math.imul(low, h) + highProduct(low, l)) | 0;
  low = Math.imul(low, l);
}

/** The upper half of the 64-bit product of two unsigned 32-bit values, by 16-bit parts; no sum passes 2^32. */
function highProduct(x: number, y: number): number {
  const xLow = x & 0xffff;
  const xHigh = x >>> 16;
  const yLow = y & 0xffff;
  const yHigh = y >>> 16;
  const lower = (Math.imul(xHigh, yLow) + (Math.imul(xLow, yLow) >>> 16)) | 0;
  const upper = (Math.imul(xLow, yHigh) + (lower & 0xffff)) | 0;
  return (Math.imul(xHigh, yHigh) + (lower >>> 16) + (upper >>> 16)) | 0;
}

function rotateLeft(count: number): void {
  const h = high;
  const back = 32 - count;
  high = (h << count) | (low >>> back);
  low = (low << count) | (h >>> back);
}

/** One lane's step: (lane + input * P2) rotated by 31, times P1; leaves it in high:low. */
function round(laneHigh: number, laneLow: number, inputHigh: number, inputLow: number): void {
  high = inputHigh;
  low = inputLow;
  multiply(P2H, P2L);
  add(laneHigh, laneLow);
  rotateLeft(31);
  multiply(P1H, P1L);
}

const lanes = new Int32Array(8); // four lanes, high then low

/** `round` for each lane of each stripe, with local variables: 1.5 times as fast. */
function hashStripes(view: DataView, end: number): void {
  startLanes();
  for (let at = 0; at < end; at += 8) {
    const lane = (at & 24) >> 2; // 0, 2, 4, 6: stripes begin at multiples of 32
    const inputHigh = view.getInt32(at + 4, true);
    const inputLow = view.getInt32(at, true);
    const productLow = Math.imul(inputLow, P2L);
    const sumLow = (productLow + lanes[lane + 1]!) | 0;
    const carry = sumLow >>> 0 < productLow >>> 0 ? 1 : 0;
    const productHigh = Math.imul(inputHigh, P2L) + Math.imul(inputLow, P2H) + highProduct(inputLow, P2L);
    const sumHigh = (productHigh + lanes[lane]! + carry) | 0;
    const turnedHigh = (sumHigh << 31) | (sumLow >>> 1);
    const turnedLow = (sumLow << 31) | (sumHigh >>> 1);
    lanes[lane] = Math.imul(turnedHigh, P1L) + Math.imul(turnedLow, P1H) + highProduct(turnedLow, P1L);
    lanes[lane + 1] = Math.imul(turnedLow, P1L);
  }
  joinLanes();
}

function startLanes(): void {
  high = P1H;
  low = P1L;
  add(P2H, P2L);
  lanes.set([high, low, P2H, P2L, 0, 0]);
  lanes[6] = ~P1H; // -P1: the low half is not 0, so nothing is carried
  lanes[7] = -P1L;
}

function joinLanes(): void {
  let sumHigh = 0;
  let sumLow = 0;
  const turns = [1, 7, 12, 18];
  for (let lane = 0; lane < 4; lane++) {
    high = lanes[2 * lane]!;
    low = lanes[2 * lane + 1]!;
    rotateLeft(turns[lane]!);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    round(0, 0, lanes[2 * lane]!, lanes[2 * lane + 1]!);
    high = sumHigh ^ high;
    low = sumLow ^ low;
    multiply(P1H, P1L);
    add(P4H, P4L);
    sumHigh = high;
    sumLow = low;
  }
}

/** The up to 31 bytes after the stripes: words of 8, then of 4, then single bytes. */
function hashRest(view: DataView, start: number, end: number): void {
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const h = high;
    const l = low;
    round(0, 0, view.getInt32(at + 4, true), view.getInt32(at, true));
    high ^= h;
    low ^= l;
    rotateLeft(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (at + 4 <= end) {
    const h = high;
    const l = low;
    high = 0;
    low = view.getInt32(at, true);
    multiply(P1H, P1L);
    high ^= h;
    low ^= l;
    rotateLeft(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < end; at++) {
    const h = high;
    const l = low;
    high = 0;
    low = view.getUint8(at);
    multiply(P5H, P5L);
    high ^= h;
    low ^= l;
    rotateLeft(11);
    multiply(P1H, P1L);
  }
}

function avalanche(): void {
  low ^= high >>> 1; // x ^= x >> 33
  multiply(P2H, P2L);
  shiftXor29();
  multiply(P3H, P3L);
  low ^= high; // x ^= x >> 32
}

function shiftXor29(): void {
  const h = high;
  high = h ^ (h >>> 29);
  low = low ^ ((low >>> 29) | (h << 3));
}
