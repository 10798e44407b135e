// Owns how leaf values become page bytes, one function an encoding.
import type { Utf8Column } from '../../core/column.ts';
import { allocate, bitsOf, bytesOf, type Dtype, dtypeBytes, type Values, viewAs, wordsOf } from '../../core/dtype.ts';
import { Encoding } from '../../core/parquet-format.ts';
import { splitWords } from './byte-split.ts';
import { deltaBytesMax, writeDelta } from './delta.ts';
import type { Dictionary } from './dictionary.ts';
import { hybridBytesMax, packBits, writeHybrid } from './hybrid.ts';

const LENGTH_BYTES = 4;

/** Values start .. end of a column chunk (null rows left out) as bytes of one page. */
export interface ValueEncoder {
  readonly encoding: Encoding;
  /** The distinct values, as Parquet stores them. */
  readonly dictionary?: Values;
  bytesMax(start: number, end: number): number;
  /** Writes to `out` from `outAt`; returns where it ended. */
  write(start: number, end: number, out: Uint8Array, outAt: number): number;
}

/** Values in the words that Parquet stores: integers below 32 bits are widened, all others are the bits they were. */
export function storedValues(dtype: Dtype, values: Values): Values {
  switch (dtype) {
    case 'i8':
    case 'i16':
      return new Int32Array(values as Int8Array | Int16Array);
    case 'u8':
    case 'u16':
      return new Uint32Array(values as Uint8Array | Uint16Array);
    default:
      return values;
  }
}

export function storedBytes(dtype: Dtype): 1 | 4 | 8 {
  if (dtype === 'bool') return 1;
  return dtypeBytes(dtype) === 8 ? 8 : 4;
}

/** Rows that are present, moved as bits. */
export function compactValues(dtype: Dtype, values: Values, valid: Uint8Array): Values {
  let present = 0;
  for (let i = 0; i < values.length; i++) present += valid[i]!;
  if (present === values.length) return values;
  const out = allocate(dtype, present + 1);
  const bits = bitsOf(values);
  if (bits instanceof BigUint64Array) compactPairs(wordsOf(values), valid, wordsOf(out));
  else if (bits instanceof Uint32Array) compactWords(bits, valid, wordsOf(out));
  else compactSmall(bits, valid, bitsOf(out) as typeof bits);
  return out.subarray(0, present);
}

// A null is written where the next value will be: which rows are null cannot be predicted. So there is one place more.

function compactSmall(source: Uint8Array | Uint16Array, valid: Uint8Array, out: Uint8Array | Uint16Array): void {
  let at = 0;
  for (let i = 0; i < source.length; i++) {
    out[at] = source[i]!;
    at += valid[i]!;
  }
}

function compactWords(source: Uint32Array, valid: Uint8Array, out: Uint32Array): void {
  let at = 0;
  for (let i = 0; i < source.length; i++) {
    out[at] = source[i]!;
    at += valid[i]!;
  }
}

/** Values of two words each: as BigInt each would be an allocation. */
function compactPairs(source: Uint32Array, valid: Uint8Array, out: Uint32Array): void {
  let at = 0;
  for (let i = 0; 2 * i < source.length; i++) {
    out[at] = source[2 * i]!;
    out[at + 1] = source[2 * i + 1]!;
    at += 2 * valid[i]!;
  }
}

export function plainEncoder(dtype: Dtype, values: Values): ValueEncoder {
  const size = dtypeBytes(dtype);
  if (size >= 4) {
    const bytes = bytesOf(values);
    return {
      encoding: Encoding.PLAIN,
      bytesMax: (start, end) => (end - start) * size,
      write(start, end, out, outAt) {
        out.set(bytes.subarray(start * size, end * size), outAt);
        return outAt + (end - start) * size;
      },
    };
  }
  return {
    encoding: Encoding.PLAIN,
    bytesMax: (start, end) => (end - start) * 4,
    write(start, end, out, outAt) {
      out.set(bytesOf(storedValues(dtype, values.subarray(start, end))), outAt);
      return outAt + (end - start) * 4;
    },
  };
}

export function splitEncoder(values: Float32Array | Float64Array): ValueEncoder {
  const words = wordsOf(values);
  const size = values.BYTES_PER_ELEMENT;
  const stride = size / 4;
  return {
    encoding: Encoding.BYTE_STREAM_SPLIT,
    bytesMax: (start, end) => (end - start) * size,
    write(start, end, out, outAt) {
      const count = end - start;
      for (let word = 0; word < stride; word++) {
        const target = { outAt: outAt + 4 * word * count, streamBytes: count };
        splitWords(words, { start: start * stride + word, stride, count }, out, target);
      }
      return outAt + count * size;
    },
  };
}

export function deltaEncoder(dtype: Dtype, values: Values): ValueEncoder {
  const size = storedBytes(dtype) === 8 ? 8 : 4;
  const words = wordsOf(storedValues(dtype, values));
  return {
    encoding: Encoding.DELTA_BINARY_PACKED,
    bytesMax: (start, end) => deltaBytesMax(end - start, size),
    write: (start, end, out, outAt) => writeDelta(words, { start, end, wide: size === 8 }, out, outAt),
  };
}

export function packedBoolEncoder(values: Uint8Array): ValueEncoder {
  return {
    encoding: Encoding.PLAIN,
    bytesMax: (start, end) => (end - start + 7) >> 3,
    write: (start, end, out, outAt) => packBits(values, { start, end }, 1, out, outAt),
  };
}

export function runBoolEncoder(values: Uint8Array): ValueEncoder {
  return {
    encoding: Encoding.RLE,
    bytesMax: (start, end) => LENGTH_BYTES + hybridBytesMax(end - start, 1),
    write(start, end, out, outAt) {
      const at = writeHybrid(values, { start, end }, 1, out, outAt + LENGTH_BYTES);
      new DataView(out.buffer, out.byteOffset).setUint32(outAt, at - outAt - LENGTH_BYTES, true);
      return at;
    },
  };
}

/** `width`: bits of an index in the pages, at least what the dictionary's size asks for. */
export function dictionaryEncoder(
  dtype: Dtype,
  values: Values,
  { first, indices }: Dictionary,
  width: number,
): ValueEncoder {
  const bits = bitsOf(values);
  const distinct = bits.slice(0, first.length);
  for (let i = 0; i < first.length; i++) distinct[i] = bits[first[i]!]!;
  const stored = storedValues(dtype, viewAs(dtype, distinct.buffer, 0, first.length));
  return {
    encoding: Encoding.RLE_DICTIONARY,
    dictionary: stored,
    bytesMax: (start, end) => 1 + hybridBytesMax(end - start, width),
    write(start, end, out, outAt) {
      out[outAt] = width;
      return writeHybrid(indices, { start, end }, width, out, outAt + 1);
    },
  };
}

/** Each string is its length in 4 bytes, then its bytes; null rows are left out. */
export function utf8Encoder(column: Utf8Column): ValueEncoder {
  const rows = presentRows(column);
  const { offsets, bytes } = column;
  const lengthOf = (row: number) => offsets[row + 1]! - offsets[row]!;
  return {
    encoding: Encoding.PLAIN,
    bytesMax(start, end) {
      let sum = 0;
      for (let i = start; i < end; i++) sum += LENGTH_BYTES + lengthOf(rows[i]!);
      return sum;
    },
    write(start, end, out, outAt) {
      const view = new DataView(out.buffer, out.byteOffset);
      let at = outAt;
      for (let i = start; i < end; i++) {
        const row = rows[i]!;
        view.setUint32(at, lengthOf(row), true);
        out.set(bytes.subarray(offsets[row], offsets[row + 1]), at + LENGTH_BYTES);
        at += LENGTH_BYTES + lengthOf(row);
      }
      return at;
    },
  };
}

function presentRows({ length, valid }: Utf8Column): Int32Array {
  const rows = new Int32Array(length);
  let count = 0;
  for (let row = 0; row < length; row++) if (valid === undefined || valid[row] !== 0) rows[count++] = row;
  return rows.subarray(0, count);
}
