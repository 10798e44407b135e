// Owns the least and greatest value of an integer column chunk, in the order of its type: what readers skip row groups by.
import { type Dtype, isInteger, type Values } from '../../core/dtype.ts';
import { storedValues } from './values.ts';

/** Values as PLAIN stores them. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/** Absent for types without an order worth having (floats: NaN; booleans), and when every row is null. */
export function boundsOf(dtype: Dtype, values: Values): Bounds | undefined {
  if (!isInteger(dtype) || values.length === 0) return undefined;
  let least = 0;
  let greatest = 0;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    [least, greatest] = wideExtremes(values);
  } else {
    for (let i = 1; i < values.length; i++) {
      if (values[i]! < values[least]!) least = i;
      else if (values[i]! > values[greatest]!) greatest = i;
    }
  }
  return { min: plainValue(dtype, values, least), max: plainValue(dtype, values, greatest) };
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

function plainValue(dtype: Dtype, values: Values, index: number): Uint8Array {
  const stored = storedValues(dtype, values.slice(index, index + 1));
  return new Uint8Array(stored.buffer.slice(0) as ArrayBuffer);
}
