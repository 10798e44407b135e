// Owns the table of column types: how the elements of a page are stored, and which values they give.
import type { Dtype } from '../../core/dtype.ts';

/** `plain`: little-endian, as in memory. The last two are packed: the first bits of a real, or of an integer that stands for one. */
export type Form = 'bit' | 'plain' | 'split' | 'truncated' | 'quantized';

export interface Encoding {
  readonly name: string;
  /** Least and most bits of an element. */
  readonly bits: readonly [least: number, most: number];
  readonly form: Form;
  /** What an element is; f16 and the index types are none of a column's. */
  readonly element: Dtype | 'f16' | 'index';
  /** Bytes of an element, of `plain` and `split` ones. */
  readonly width: 1 | 2 | 4 | 8;
  /** Signs are in the last bit, so that small numbers have small bytes. */
  readonly zigzag: boolean;
  /** Each element is what is to be added to the one before, in a page. */
  readonly delta: boolean;
}

const ZIGZAG: readonly unknown[] = ['i16', 'i32', 'i64'];

function plain(name: string, element: Encoding['element'], width: Encoding['width']): Encoding {
  return { name, bits: [8 * width, 8 * width], form: 'plain', element, width, zigzag: false, delta: false };
}

function split(name: string, element: Encoding['element'], width: Encoding['width']): Encoding {
  const delta = element === 'index';
  return { ...plain(name, element, width), form: 'split', zigzag: ZIGZAG.includes(element), delta };
}

const REAL = { element: 'f32', width: 4, zigzag: false, delta: false } as const;

/** By the number of the type. Absent: Switch, and whatever comes later. */
export const ENCODINGS: Readonly<Record<number, Encoding>> = {
  0: { name: 'Bit', bits: [1, 1], form: 'bit', element: 'bool', width: 1, zigzag: false, delta: false },
  1: plain('Byte', 'u8', 1),
  2: plain('Char', 'i8', 1),
  3: plain('Int8', 'i8', 1),
  4: plain('UInt8', 'u8', 1),
  5: plain('Int16', 'i16', 2),
  6: plain('UInt16', 'u16', 2),
  7: plain('Int32', 'i32', 4),
  8: plain('UInt32', 'u32', 4),
  9: plain('Int64', 'i64', 8),
  10: plain('UInt64', 'u64', 8),
  11: plain('Real16', 'f16', 2),
  12: plain('Real32', 'f32', 4),
  13: plain('Real64', 'f64', 8),
  14: plain('Index32', 'index', 4),
  15: plain('Index64', 'index', 8),
  17: split('SplitInt16', 'i16', 2),
  18: split('SplitUInt16', 'u16', 2),
  19: split('SplitInt32', 'i32', 4),
  20: split('SplitUInt32', 'u32', 4),
  21: split('SplitInt64', 'i64', 8),
  22: split('SplitUInt64', 'u64', 8),
  23: split('SplitReal16', 'f16', 2),
  24: split('SplitReal32', 'f32', 4),
  25: split('SplitReal64', 'f64', 8),
  26: split('SplitIndex32', 'index', 4),
  27: split('SplitIndex64', 'index', 8),
  28: { name: 'Real32Trunc', bits: [10, 31], form: 'truncated', ...REAL },
  29: { name: 'Real32Quant', bits: [1, 32], form: 'quantized', ...REAL },
};

const SWITCH = 16;

export function encodingName(type: number): string {
  return ENCODINGS[type]?.name ?? (type === SWITCH ? 'Switch' : `column type ${type}`);
}

/** Can elements be values of this dtype without a change? Narrow reals widen exactly; integers are what the field says. */
export function gives(encoding: Encoding, dtype: Dtype): boolean {
  const { element } = encoding;
  if (dtype === 'f32') return element === 'f32' || element === 'f16';
  if (dtype === 'f64') return element === 'f64' || element === 'f32' || element === 'f16';
  return element === dtype;
}
