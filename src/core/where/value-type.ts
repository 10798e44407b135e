// Owns the types of values in --where expressions, and what arithmetic makes of two: as numpy 2 promotes, but integers stay exact.
import { type Dtype, dtypeBytes } from '../dtype.ts';
import type { Field } from '../schema.ts';
import type { Arithmetic } from './parse.ts';

/** Which lists have items in common: by counter, or by the name before the first separator. */
export interface Collection {
  /** `Jet_pt`: for messages. */
  readonly of: string;
  readonly counter?: string;
  /** `Jet` of `Jet_pt`; absent where the name has no parts: then lengths alone tell, event by event. */
  readonly prefix?: string;
}

interface Shared {
  /** Absent: one value an event. */
  readonly list?: Collection;
  /** A number as written, which takes the width of what it meets. */
  readonly weak: boolean;
  readonly constant: boolean;
}

export type ValueType = Shared &
  (
    | { readonly kind: 'bool' }
    | { readonly kind: 'float'; readonly bits: 32 | 64 }
    /** `low` .. `high` holds every value there can be; `bits` and `signed` are numpy's type, which decides what floats it meets. */
    | {
        readonly kind: 'int';
        readonly bits: 8 | 16 | 32 | 64;
        readonly signed: boolean;
        readonly low: bigint;
        readonly high: bigint;
      }
  );

export const TRUTH = { kind: 'bool', weak: false, constant: false } as const satisfies ValueType;

const SAFE = 2n ** 53n;

/** Integers that a double holds exactly; wider ones are worked on as big integers. */
export function isNarrow(type: ValueType): boolean {
  return type.kind !== 'int' || (type.low >= -SAFE && type.high <= SAFE);
}

/** undefined: a string, or a list of lists. */
export function columnValueType({ name, type, counter }: Field): ValueType | undefined {
  if (type.kind === 'flat') return dtypeValueType(type.dtype);
  if (type.kind !== 'list' || type.item.kind !== 'flat') return undefined;
  const prefix = /^(.+?)[_.:]/.exec(name)?.[1];
  const list = { of: name, ...(counter === undefined ? {} : { counter }), ...(prefix === undefined ? {} : { prefix }) };
  return { ...dtypeValueType(type.item.dtype), list };
}

function dtypeValueType(dtype: Dtype): ValueType {
  if (dtype === 'bool') return TRUTH;
  const bits = (dtypeBytes(dtype) * 8) as 8 | 16 | 32 | 64;
  if (dtype === 'f32' || dtype === 'f64') return { kind: 'float', bits: bits as 32 | 64, weak: false, constant: false };
  const signed = dtype.startsWith('i');
  const span = 2n ** BigInt(signed ? bits - 1 : bits);
  return { kind: 'int', bits, signed, low: signed ? -span : 0n, high: span - 1n, weak: false, constant: false };
}

export function literalInteger(value: bigint): ValueType {
  return { kind: 'int', bits: 64, signed: true, low: value, high: value, weak: true, constant: true };
}

/** A bool in arithmetic. */
export function asInteger({ list, weak, constant }: ValueType): ValueType {
  const own: ValueType = { kind: 'int', bits: 8, signed: false, low: 0n, high: 1n, weak, constant };
  return list === undefined ? own : { ...own, list };
}

export function sameCollection(left: Collection, right: Collection): boolean {
  if (left.of === right.of || (left.counter !== undefined && left.counter === right.counter)) return true;
  if (left.prefix !== undefined && right.prefix !== undefined) return left.prefix === right.prefix;
  return left.counter === undefined || right.counter === undefined;
}

export function arithmeticType(op: Arithmetic, left: ValueType, right: ValueType): ValueType {
  const shared = { weak: left.weak && right.weak, constant: left.constant && right.constant };
  if (left.kind === 'int' && right.kind === 'int' && op !== '/') {
    return { kind: 'int', ...integerWidth(left, right), ...integerRange(op, left, right), ...shared };
  }
  return { kind: 'float', bits: floatBits(left, right), ...shared };
}

type IntType = ValueType & { readonly kind: 'int' };

function integerWidth(left: IntType, right: IntType): Pick<IntType, 'bits' | 'signed'> {
  if (left.weak !== right.weak) return left.weak ? right : left;
  if (left.signed === right.signed) return left.bits > right.bits ? left : right;
  const [signed, unsigned] = left.signed ? [left, right] : [right, left];
  const bits = signed.bits > unsigned.bits ? signed.bits : Math.min(64, unsigned.bits * 2);
  return { bits: bits as IntType['bits'], signed: true };
}

function integerRange(op: Arithmetic, left: IntType, right: IntType): Pick<IntType, 'low' | 'high'> {
  if (op === '+') return { low: left.low + right.low, high: left.high + right.high };
  if (op === '-') return { low: left.low - right.high, high: left.high - right.low };
  if (op === '%') return { low: 0n, high: right.high - 1n };
  const edges = [left.low * right.low, left.low * right.high, left.high * right.low, left.high * right.high];
  return edges.reduce(({ low, high }, edge) => ({ low: edge < low ? edge : low, high: edge > high ? edge : high }), {
    low: edges[0]!,
    high: edges[0]!,
  });
}

/** numpy 2: a number as written takes the other's width; f32 with integers of up to 16 bits stays f32. */
function floatBits(left: ValueType, right: ValueType): 32 | 64 {
  const strong = [left, right].filter(({ weak }) => !weak);
  if (strong.length === 0) return 64;
  const single = strong.some((type) => type.kind === 'float' && type.bits === 32);
  return single &&
    strong.every((type) => type.kind === 'bool' || (type.kind === 'float' ? type.bits === 32 : type.bits <= 16))
    ? 32
    : 64;
}
