// Owns what any, all, count, sum, min, max, len make of the lists of each row.
import { ColweaveError } from '../../core/errors.ts';
import { SUM_ITEMS_MAX } from '../../core/where/check.ts';
import type { FunctionName } from '../../core/where/parse.ts';
import type { ValueType } from '../../core/where/value-type.ts';
import { bothValid, isBig, type Vector } from './vectors.ts';

/** One value a row. `type`: of the items. min and max of an empty list are missing. */
export function reduceLists(name: Exclude<FunctionName, 'abs'>, list: Vector, type: ValueType): Vector {
  const offsets = list.offsets!;
  const { data, valid } = list;
  if (name === 'len' || name === 'n') return { data: lengths(offsets), valid };
  if (name === 'any' || name === 'all') {
    const trues = countTrue(data as Uint8Array, offsets);
    return { data: name === 'any' ? someTrue(trues) : allTrue(trues, offsets), valid };
  }
  if (name === 'count' || (name === 'sum' && type.kind === 'bool'))
    return { data: countTrue(data as Uint8Array, offsets), valid };
  if (name === 'sum') {
    if (isBig(data)) return { data: sumBig(data, offsets), valid };
    return {
      data:
        type.kind === 'float' && type.bits === 32
          ? sumSingle(data as Float64Array, offsets)
          : sum(data as Float64Array, offsets),
      valid,
    };
  }
  const filled = bothValid(valid, notEmpty(offsets));
  if (isBig(data)) return { data: extremeBig(data, offsets, name === 'max'), valid: filled };
  return {
    data: name === 'max' ? largest(data as Float64Array, offsets) : smallest(data as Float64Array, offsets),
    valid: filled,
  };
}

function lengths(offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0; i < out.length; i++) out[i] = offsets[i + 1]! - offsets[i]!;
  return out;
}

function countTrue(items: Uint8Array, offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0, item = 0; i < out.length; i++) {
    let count = 0;
    for (const end = offsets[i + 1]!; item < end; item++) count += items[item]!;
    out[i] = count;
  }
  return out;
}

function someTrue(counts: Float64Array): Uint8Array {
  const out = new Uint8Array(counts.length);
  for (let i = 0; i < out.length; i++) out[i] = counts[i]! > 0 ? 1 : 0;
  return out;
}

function allTrue(counts: Float64Array, offsets: Int32Array): Uint8Array {
  const out = new Uint8Array(counts.length);
  for (let i = 0; i < out.length; i++) out[i] = counts[i]! === offsets[i + 1]! - offsets[i]! ? 1 : 0;
  return out;
}

function sum(items: Float64Array, offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0, item = 0; i < out.length; i++) {
    const end = offsets[i + 1]!;
    if (end - item > SUM_ITEMS_MAX)
      throw new ColweaveError('where/value', `a list of ${end - item} items is too long to be summed`);
    let total = 0;
    for (; item < end; item++) total += items[item]!;
    out[i] = total;
  }
  return out;
}

/** In single precision, item by item, as awkward sums f32. */
function sumSingle(items: Float64Array, offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0, item = 0; i < out.length; i++) {
    let total = 0;
    for (const end = offsets[i + 1]!; item < end; item++) total = Math.fround(total + items[item]!);
    out[i] = total;
  }
  return out;
}

function sumBig(items: readonly bigint[] | BigInt64Array | BigUint64Array, offsets: Int32Array): bigint[] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => {
    let total = 0n;
    for (let item = offsets[i]!; item < offsets[i + 1]!; item++) total += items[item]!;
    return total;
  });
}

function notEmpty(offsets: Int32Array): Uint8Array | undefined {
  const out = new Uint8Array(offsets.length - 1);
  let full = true;
  for (let i = 0; i < out.length; i++) {
    out[i] = offsets[i + 1]! > offsets[i]! ? 1 : 0;
    if (out[i] === 0) full = false;
  }
  return full ? undefined : out;
}

/** A NaN among the items is the result, as in numpy; of no items 0, which is not looked at. */
function largest(items: Float64Array, offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0, item = 0; i < out.length; i++) {
    const end = offsets[i + 1]!;
    let best = item < end ? Number.NEGATIVE_INFINITY : 0;
    for (; item < end; item++) best = Math.max(best, items[item]!);
    out[i] = best;
  }
  return out;
}

function smallest(items: Float64Array, offsets: Int32Array): Float64Array {
  const out = new Float64Array(offsets.length - 1);
  for (let i = 0, item = 0; i < out.length; i++) {
    const end = offsets[i + 1]!;
    let best = item < end ? Number.POSITIVE_INFINITY : 0;
    for (; item < end; item++) best = Math.min(best, items[item]!);
    out[i] = best;
  }
  return out;
}

function extremeBig(
  items: readonly bigint[] | BigInt64Array | BigUint64Array,
  offsets: Int32Array,
  most: boolean,
): bigint[] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => {
    let best = items[offsets[i]!] ?? 0n;
    for (let item = offsets[i]! + 1; item < offsets[i + 1]!; item++) {
      if (most ? items[item]! > best : items[item]! < best) best = items[item]!;
    }
    return best;
  });
}
