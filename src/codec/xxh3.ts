// Owns xxh3 (64 bits, seed 0), which RNTuple sums every page and envelope with: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
// Up to 240 bytes in BigInt; beyond, stripes in WebAssembly, or in pairs of 32-bit halves where that is missing.
import { sumStripesKernel } from './page-kernels.ts';

/** XXH3's default secret. */
const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f' +
    'cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e' +
    '2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);
const SECRET_BYTES = 192;
const P32_1 = 0x9e3779b1n;
const P32_2 = 0x85ebca77n;
const P32_3 = 0xc2b2ae3dn;
const P64_1 = 0x9e3779b185ebca87n;
const P64_2 = 0xc2b2ae3d27d4eb4fn;
const P64_3 = 0x165667b19e3779f9n;
const P64_4 = 0x85ebca77c2b2ae63n;
const P64_5 = 0x27d4eb2f165667c5n;
const MIX = 0x165667919e3779f9n;
const MASK = (1n << 64n) - 1n;

const STRIPE_BYTES = 64;
const BLOCK_STRIPES = (SECRET_BYTES - STRIPE_BYTES) / 8;
const LAST_SECRET_AT = SECRET_BYTES - STRIPE_BYTES - 7;
const MERGE_SECRET_AT = 11;

export function xxh3(data: Uint8Array): bigint {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const { length } = view;
  if (length > 240) return hashLong(view);
  if (length > 128) return hashTo240(view);
  if (length > 16) return hashTo128(view);
  if (length > 8) return hashTo16(view);
  if (length > 3) return hashTo8(view);
  return hashTo3(view);
}

const secret = (at: number) => SECRET.readBigUInt64LE(at);

/** Both halves of the 128-bit product, one over the other. */
function fold(left: bigint, right: bigint): bigint {
  const product = left * right;
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(value: bigint): bigint {
  const mixed = ((value ^ (value >> 37n)) * MIX) & MASK;
  return mixed ^ (mixed >> 32n);
}

function avalanche64(value: bigint): bigint {
  let mixed = ((value ^ (value >> 33n)) * P64_2) & MASK;
  mixed = ((mixed ^ (mixed >> 29n)) * P64_3) & MASK;
  return mixed ^ (mixed >> 32n);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function hashTo3(data: Buffer): bigint {
  const { length } = data;
  if (length === 0) return avalanche64(secret(56) ^ secret(64));
  const combined = ((data[0]! << 16) | (data[length >> 1]! << 24) | data[length - 1]! | (length << 8)) >>> 0;
  return avalanche64(BigInt(combined) ^ BigInt((SECRET.readUInt32LE(0) ^ SECRET.readUInt32LE(4)) >>> 0));
}

function hashTo8(data: Buffer): bigint {
  const length = BigInt(data.length);
  const input = BigInt(data.readUInt32LE(data.length - 4)) + (BigInt(data.readUInt32LE(0)) << 32n);
  let mixed = input ^ secret(8) ^ secret(16);
  mixed ^= rotateLeft(mixed, 49n) ^ rotateLeft(mixed, 24n);
  mixed = (mixed * 0x9fb21c651e98df25n) & MASK;
  mixed ^= (mixed >> 35n) + length;
  mixed = (mixed * 0x9fb21c651e98df25n) & MASK;
  return mixed ^ (mixed >> 28n);
}

function hashTo16(data: Buffer): bigint {
  const low = data.readBigUInt64LE(0) ^ secret(24) ^ secret(32);
  const high = data.readBigUInt64LE(data.length - 8) ^ secret(40) ^ secret(48);
  const swapped = Buffer.alloc(8);
  swapped.writeBigUInt64LE(low);
  return avalanche((BigInt(data.length) + swapped.readBigUInt64BE(0) + high + fold(low, high)) & MASK);
}

function mix16(data: Buffer, at: number, secretAt: number): bigint {
  return fold(data.readBigUInt64LE(at) ^ secret(secretAt), data.readBigUInt64LE(at + 8) ^ secret(secretAt + 8));
}

function hashTo128(data: Buffer): bigint {
  const { length } = data;
  let sum = BigInt(length) * P64_1;
  for (let pair = (length - 1) >> 5; pair >= 0; pair--) {
    sum += mix16(data, 16 * pair, 32 * pair) + mix16(data, length - 16 * (pair + 1), 32 * pair + 16);
  }
  return avalanche(sum & MASK);
}

function hashTo240(data: Buffer): bigint {
  const { length } = data;
  let sum = BigInt(length) * P64_1;
  for (let i = 0; i < 8; i++) sum += mix16(data, 16 * i, 16 * i);
  sum = avalanche(sum & MASK);
  for (let i = 8; i < length >> 4; i++) sum += mix16(data, 16 * i, 16 * (i - 8) + 3);
  return avalanche((sum + mix16(data, length - 16, 136 - 17)) & MASK);
}

const START = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1];

/** Sums stripes of 64 bytes into eight lanes; after each block of sixteen the lanes are scrambled. */
function hashLong(data: Buffer): bigint {
  const { length } = data;
  const lanes = BigUint64Array.from(START);
  const stripes = (length - 1) >> 6; // the last one, which may overlap, has its own place in the secret
  if (!sumStripesKernel(lanes, data, stripes, SECRET)) sumStripes(lanes, data, stripes);
  addStripe(new Uint32Array(lanes.buffer), data, length - STRIPE_BYTES, LAST_SECRET_AT);
  let sum = BigInt(length) * P64_1;
  for (let i = 0; i < 8; i += 2) {
    const at = MERGE_SECRET_AT + 8 * i;
    sum += fold(lanes[i]! ^ secret(at), lanes[i + 1]! ^ secret(at + 8));
  }
  return avalanche(sum & MASK);
}

function sumStripes(lanes: BigUint64Array, data: Buffer, stripes: number): void {
  const words = new Uint32Array(lanes.buffer);
  for (let stripe = 0; stripe < stripes; stripe++) {
    const inBlock = stripe % BLOCK_STRIPES;
    addStripe(words, data, stripe * STRIPE_BYTES, 8 * inBlock);
    if (inBlock === BLOCK_STRIPES - 1) scramble(lanes);
  }
}

/** `lanes` as pairs of words, low first. */
function addStripe(lanes: Uint32Array, data: Buffer, at: number, secretAt: number): void {
  for (let word = 0; word < 16; word += 2) {
    const low = data.readInt32LE(at + 4 * word);
    const high = data.readInt32LE(at + 4 * word + 4);
    addTo(lanes, word ^ 2, high, low);
    const left = low ^ SECRET.readInt32LE(secretAt + 4 * word);
    const right = high ^ SECRET.readInt32LE(secretAt + 4 * word + 4);
    addTo(lanes, word, highProduct(left, right), Math.imul(left, right));
  }
}

function addTo(lanes: Uint32Array, word: number, high: number, low: number): void {
  const sum = lanes[word]! + (low >>> 0);
  lanes[word] = sum;
  lanes[word + 1] = lanes[word + 1]! + high + (sum > 0xffffffff ? 1 : 0);
}

/** The upper half of the 64-bit product of two unsigned 32-bit values, by 16-bit parts; no sum passes 2^32. */
function highProduct(x: number, y: number): number {
  const xLow = x & 0xffff;
  const xHigh = x >>> 16;
  const yLow = y & 0xffff;
  const yHigh = y >>> 16;
  const lower = xHigh * yLow + ((xLow * yLow) >>> 16);
  const upper = xLow * yHigh + (lower % 0x10000);
  return xHigh * yHigh + Math.floor(lower / 0x10000) + Math.floor(upper / 0x10000);
}

function scramble(lanes: BigUint64Array): void {
  for (let i = 0; i < 8; i++) {
    const lane = lanes[i]!;
    lanes[i] = (lane ^ (lane >> 47n) ^ secret(SECRET_BYTES - STRIPE_BYTES + 8 * i)) * P32_1;
  }
}
