// Owns the least and greatest value of an integer column chunk, in the order of its type: what readers skip row groups by.
import { bytesOf, type Dtype, isInteger, type Values, wordsOf } from '../../core/dtype.ts';
import { storedValues } from './values.ts';

/** Values as PLAIN stores them. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/**
 * Absent for types without an order worth having (floats: NaN; booleans), and when every row is null. `values`: those of
 * the chunk, or just the distinct ones.
 */
export function boundsOf(dtype: Dtype, values: Values): Bounds | undefined {
  if (!isInteger(dtype) || values.length === 0) return undefined;
  const stored = storedValues(dtype, values);
  const [least, greatest] =
    stored instanceof BigInt64Array || stored instanceof BigUint64Array
      ? wideExtremes(stored)
      : extremes(wordsOf(stored), stored instanceof Int32Array ? 0x80000000 : 0);
  return { min: plainValue(stored, least), max: plainValue(stored, greatest) };
}

/** Where the extremes are. With the sign bit turned, signed words compare as unsigned ones: one loop, one array type. */
function extremes(words: Uint32Array, turn: number): [number, number] {
  let least = 0;
  let greatest = 0;
  let min = (words[0]! ^ turn) >>> 0;
  let max = min;
  for (let i = 1; i < words.length; i++) {
    const word = (words[i]! ^ turn) >>> 0;
    if (word < min) {
      least = i;
      min = word;
    } else if (word > max) {
      greatest = i;
      max = word;
    }
  }
  return [least, greatest];
}

/** By words: comparing BigInts costs an allocation each. The sign bit is turned so that both types compare as unsigned. */
function wideExtremes(values: BigInt64Array | BigUint64Array): [number, number] {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const turn = values instanceof BigInt64Array ? 0x80000000 : 0;
  let least = 0;
  let greatest = 0;
  let minLow = words[0]!;
  let minHigh = (words[1]! ^ turn) >>> 0;
  let maxLow = minLow;
  let maxHigh = minHigh;
  for (let i = 1; i < values.length; i++) {
    const low = words[2 * i]!;
    const high = (words[2 * i + 1]! ^ turn) >>> 0;
    if (high < minHigh || (high === minHigh && low < minLow)) {
      least = i;
      minLow = low;
      minHigh = high;
    }
    if (high > maxHigh || (high === maxHigh && low > maxLow)) {
      greatest = i;
      maxLow = low;
      maxHigh = high;
    }
  }
  return [least, greatest];
}

function plainValue(stored: Values, index: number): Uint8Array {
  return bytesOf(stored.slice(index, index + 1));
}
