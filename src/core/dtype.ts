// Owns the element types of columns and the typed array that stores each of them.

export type Dtype = 'bool' | 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'f32' | 'f64';

/** The array of a dtype; bool is one byte a value, 0 or 1. 64-bit integers are never numbers. */
export interface ArrayOf {
  bool: Uint8Array;
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
  f32: Float32Array;
  f64: Float64Array;
}
export type Values = ArrayOf[Dtype];
export type Bits = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

const CONSTRUCTORS = {
  bool: Uint8Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

export const DTYPES = Object.keys(CONSTRUCTORS) as readonly Dtype[];

/** Floats hold any number, as near as they can; the others only what comes out again as it went in. */
export function canHold(dtype: Dtype, value: number): boolean {
  if (dtype === 'f32' || dtype === 'f64') return true;
  if (dtype === 'bool') return value === 0 || value === 1;
  if (!Number.isSafeInteger(value)) return false;
  const one = allocate(dtype, 1);
  if (one instanceof BigInt64Array || one instanceof BigUint64Array) {
    one[0] = BigInt(value);
    return one[0] === BigInt(value);
  }
  one[0] = value;
  return one[0] === value;
}

/** Bytes of one value in memory. */
export function dtypeBytes(dtype: Dtype): 1 | 2 | 4 | 8 {
  return CONSTRUCTORS[dtype].BYTES_PER_ELEMENT as 1 | 2 | 4 | 8;
}

/** A zeroed array of `length` values. */
export function allocate(dtype: Dtype, length: number): Values {
  return viewAs(dtype, new ArrayBuffer(length * dtypeBytes(dtype)), 0, length);
}

/** The same where worker threads see it. */
export function allocateShared(dtype: Dtype, length: number): Values {
  return viewAs(dtype, new SharedArrayBuffer(length * dtypeBytes(dtype)), 0, length);
}

/** A view of `length` values of `dtype` in `buffer` from `byteOffset` (a multiple of the value size). */
export function viewAs(dtype: Dtype, buffer: ArrayBufferLike, byteOffset: number, length: number): Values {
  const make = CONSTRUCTORS[dtype] as new (buffer: ArrayBufferLike, byteOffset: number, length: number) => Values;
  return new make(buffer, byteOffset, length);
}

/** The same bytes as unsigned words of the value size: payload moves as bits, so that a signalling NaN stays one. */
export function bitsOf(values: Values): Bits {
  const { buffer, byteOffset, length } = values;
  switch (values.BYTES_PER_ELEMENT) {
    case 1:
      return new Uint8Array(buffer, byteOffset, length);
    case 2:
      return new Uint16Array(buffer, byteOffset, length);
    case 4:
      return new Uint32Array(buffer, byteOffset, length);
    default:
      return new BigUint64Array(buffer, byteOffset, length);
  }
}

/** The same bytes as bytes. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The same bytes as 32-bit words; only for values of 4 or 8 bytes. */
export function wordsOf(values: ArrayBufferView): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
}

export function isFloat(dtype: Dtype): boolean {
  return dtype === 'f32' || dtype === 'f64';
}

export function isInteger(dtype: Dtype): boolean {
  return dtype !== 'bool' && !isFloat(dtype);
}
