// Owns the loops of --where: one stand-alone loop an operation over doubles, which is what makes them fast; big integers by a table.
import { integerOp } from '../../core/where/check.ts';
import type { Arithmetic, Comparison } from '../../core/where/parse.ts';
import type { BigArray } from './vectors.ts';

type Compare = (left: Float64Array, right: Float64Array, out: Uint8Array) => void;

/** IEEE: a comparison with NaN is false, != is true. */
export const COMPARE: Readonly<Record<Comparison, Compare>> = {
  '<': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! < right[i]! ? 1 : 0;
  },
  '<=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! <= right[i]! ? 1 : 0;
  },
  '>': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! > right[i]! ? 1 : 0;
  },
  '>=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! >= right[i]! ? 1 : 0;
  },
  '==': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! === right[i]! ? 1 : 0;
  },
  '!=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! !== right[i]! ? 1 : 0;
  },
};

const COMPARE_BIG: Readonly<Record<Comparison, (left: bigint, right: bigint) => boolean>> = {
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
};

export function compareBig(op: Comparison, left: BigArray, right: BigArray, out: Uint8Array): void {
  const holds = COMPARE_BIG[op];
  for (let i = 0; i < out.length; i++) out[i] = holds(left[i]!, right[i]!) ? 1 : 0;
}

type Compute = (left: Float64Array, right: Float64Array, out: Float64Array) => void;

export const COMPUTE: Readonly<Record<Arithmetic, Compute>> = {
  '+': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! + right[i]!;
  },
  '-': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! - right[i]!;
  },
  '*': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! * right[i]!;
  },
  '/': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i]! / right[i]!;
  },
  '%': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = ((left[i]! % right[i]!) + right[i]!) % right[i]!;
  },
};

export function computeBig(op: Exclude<Arithmetic, '/'>, left: BigArray, right: BigArray): bigint[] {
  const out = new Array<bigint>(left.length);
  for (let i = 0; i < out.length; i++) out[i] = integerOp(op, left[i]!, right[i]!);
  return out;
}

/** Divisors up to here: the product of two remainders is exact in a double. */
export const SMALL_DIVISOR = 2 ** 26;

/** Of integers below 2^53: the quotient is then never rounded up to the next integer. The operator takes five times as long. */
function remainder(value: number, divisor: number): number {
  return value - Math.floor(value / divisor) * divisor;
}

/** Event numbers modulo a small number, by their 32-bit halves: no big integer is made. */
export function remainders(values: BigUint64Array, divisor: number): Float64Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  const out = new Float64Array(values.length);
  const step = 2 ** 32 % divisor;
  for (let i = 0; i < out.length; i++) {
    const high = remainder(words[2 * i + 1]!, divisor);
    out[i] = remainder(high * step + remainder(words[2 * i]!, divisor), divisor);
  }
  return out;
}

/** To single precision, as numpy computes with f32. The double result rounded once more is the single result: IEEE 754. */
export function toSingle(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = Math.fround(values[i]!);
}

/** Integers have no -0: 1 / (0 * -1) is what 1 / 0 is. */
export function noMinusZero(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! + 0;
}

export function negate(values: Float64Array): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = -values[i]!;
  return out;
}

export function absolute(values: Float64Array): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(values[i]!);
  return out;
}
