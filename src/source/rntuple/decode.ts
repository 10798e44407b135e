// Owns pages: their checksum and compression, and the way from stored elements to values.
import { joinBytes, spreadBits } from '../../codec/page-kernels.ts';
import { xxh3 } from '../../codec/xxh3.ts';
import { invariant } from '../../core/check.ts';
import { bytesOf, type Dtype, type Values } from '../../core/dtype.ts';
import { damaged } from './cursor.ts';
import { ENCODINGS, type Encoding, gives } from './encodings.ts';
import type { OpenPage } from './kept.ts';
import type { StoredColumn } from './layout.ts';

/** `stored` ends with the checksum where the page has one. Errors: source/damaged. */
export function checkPage(stored: Uint8Array, length: number): Uint8Array {
  const bytes = stored.subarray(0, length);
  if (stored.length === length) return bytes;
  const sum = new DataView(stored.buffer, stored.byteOffset + length, 8).getBigUint64(0, true);
  if (sum !== xxh3(bytes)) throw damaged('it does not match its checksum');
  return bytes;
}

/** Are the bytes of a page those of its values? Then it can be decompressed where they belong. */
export function isPlain(column: StoredColumn, dtype: Dtype): boolean {
  const { form, element } = ENCODINGS[column.type]!;
  return form === 'plain' && element === dtype;
}

/** Elements from .. from + count of a page become values `at` .. of `target`. */
export function placeValues(
  page: OpenPage,
  column: StoredColumn,
  { from, count }: { readonly from: number; readonly count: number },
  target: { readonly dtype: Dtype; readonly values: Values; readonly at: number },
): void {
  const { values, at, dtype } = target;
  const encoding = ENCODINGS[column.type]!;
  const some = values.subarray(at, at + count);
  if (encoding.element === dtype || encoding.form === 'bit') {
    placeElements(page, column, from, some);
    return;
  }
  if (encoding.form === 'quantized') {
    unpackQuantized(page.bytes, column, from, some as Float64Array);
    return;
  }
  invariant(gives(encoding, dtype), `${encoding.name} gives ${dtype}`); // a narrower real
  const narrow = dtype === 'f32' ? (some as Float32Array) : new Float32Array(count);
  if (encoding.element === 'f16') widenHalves(page, encoding, from, narrow);
  else placeElements(page, column, from, narrow);
  if (dtype === 'f64') (some as Float64Array).set(narrow);
}

function placeElements(page: OpenPage, column: StoredColumn, from: number, values: Values): void {
  const encoding = ENCODINGS[column.type]!;
  const target = bytesOf(values);
  switch (encoding.form) {
    case 'bit':
      spreadBits(page.bytes, from, values.length, target);
      return;
    case 'plain':
    case 'split':
      placeBytes(page, encoding, from, target);
      return;
    case 'truncated':
      unpackTruncated(page.bytes, column.bits, from, values as Float32Array);
      return;
    case 'quantized':
      unpackQuantized(page.bytes, column, from, values as Float32Array);
  }
}

/** `plain` and `split` elements, as many as fill `target`. */
function placeBytes({ bytes, elements }: OpenPage, encoding: Encoding, from: number, target: Uint8Array): void {
  const { form, width, zigzag } = encoding;
  if (form === 'split' && width > 1) {
    const split = { page: bytes, elements, width: width as 2 | 4 | 8, zigzag };
    joinBytes(split, from, target.length / width, target);
  } else {
    target.set(bytes.subarray(from * width, from * width + target.length));
  }
}

/** IEEE half precision becomes single by its bits. */
function widenHalves(page: OpenPage, encoding: Encoding, from: number, target: Float32Array): void {
  const halves = new Uint16Array(target.length);
  placeBytes(page, encoding, from, bytesOf(halves));
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < halves.length; i++) words[i] = widened(halves[i]!);
}

function widened(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21; // a denormal, which is none in single precision
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

/** The `width` bits from bit `at`, lowest first; bits behind the end are 0. */
function bitsAt(bytes: Uint8Array, at: number, width: number): number {
  const shift = at % 8;
  const byte = (at - shift) / 8;
  const low = bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16) | (bytes[byte + 3]! << 24);
  const word = shift === 0 ? low : (low >>> shift) | (bytes[byte + 4]! << (32 - shift));
  return width === 32 ? word >>> 0 : (word & ((1 << width) - 1)) >>> 0;
}

function unpackTruncated(bytes: Uint8Array, width: number, from: number, target: Float32Array): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const lost = 32 - width;
  for (let i = 0; i < words.length; i++) words[i] = bitsAt(bytes, (from + i) * width, width) << lost;
}

/** In double precision, as ROOT does it, then rounded. */
function unpackQuantized(
  bytes: Uint8Array,
  column: StoredColumn,
  from: number,
  target: Float32Array | Float64Array,
): void {
  const { bits, min, max } = column;
  const scale = (max - min) / (2 ** bits - 1);
  for (let i = 0; i < target.length; i++) {
    target[i] = Math.min(bitsAt(bytes, (from + i) * bits, bits) * scale + min, max);
  }
}

/** Room for the elements of an index page, before they are sums and 32-bit. */
let words = new Uint32Array(0);

/**
 * Elements from .. from + count of a page of an index column, into `target` from `at`. Which of them are in order and
 * where they end is for the caller to check; what does not fit 31 bits is source/damaged.
 */
export function placeIndex(
  page: OpenPage,
  column: StoredColumn,
  { from, count }: { readonly from: number; readonly count: number },
  target: Int32Array,
  at: number,
): void {
  const encoding = ENCODINGS[column.type]!;
  const { width, delta } = encoding;
  const first = delta ? 0 : from; // sums begin where the page does
  const elements = from + count - first;
  const stride = width / 4;
  if (words.length < elements * stride) words = new Uint32Array(elements * stride);
  placeBytes(page, encoding, first, bytesOf(words.subarray(0, elements * stride)));
  let value = 0;
  for (let i = 0; i < elements; i++) {
    const stored = words[i * stride]! + (stride === 2 ? words[i * stride + 1]! * 2 ** 32 : 0);
    value = delta ? value + stored : stored;
    if (value > 2 ** 31 - 1) throw damaged(`an index counts ${value} items`);
    if (first + i >= from) target[at + first + i - from] = value;
  }
}
