// Owns the values of a column as numbers ready for a tensor: nulls settled, scaled and clipped, floats of one of two kinds.
import { unreachable } from '../core/check.ts';
import type { Column, FlatColumn } from '../core/column.ts';
import { wordsOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Log, ModelColumn } from './model.ts';

/** f32 stays as it is; everything else is f64, which holds it exactly or is refused. */
export type Numbers = Float32Array | Float64Array;

/** The lists a column is made of, from the outside in, and its values. */
export interface Flattened {
  readonly offsets: readonly Int32Array[];
  readonly values: Numbers;
}

/** Errors: infer/null-input, infer/inexact. */
export function flatten(column: Column, { name, ...how }: ModelColumn, nulls: number | undefined): Flattened {
  const offsets: Int32Array[] = [];
  let inner = column;
  while (inner.kind === 'list') {
    // a list that is missing is not an empty list: only a single value has a stand-in
    if (inner.valid?.includes(0)) throw nullError(name, 'a list that is missing');
    offsets.push(inner.offsets);
    inner = inner.items;
  }
  if (inner.kind === 'utf8') throw new Error(`column ${name} is text`);
  const values = withoutNulls(inner, numbersOf(inner, name), name, nulls);
  return { offsets, values: transformed(values, how) };
}

function nullError(name: string, what: string): ColweaveError {
  return new ColweaveError('infer/null-input', `column "${name}" holds ${what}`, {
    hint: 'say what a missing value counts as: nulls: VALUE at the input, or leave such events out before',
  });
}

function withoutNulls({ valid }: FlatColumn, values: Numbers, name: string, nulls: number | undefined): Numbers {
  if (valid === undefined || !valid.includes(0)) return values;
  if (nulls === undefined) throw nullError(name, 'a value that is missing');
  const out = values.slice();
  for (let i = 0; i < valid.length; i++) if (valid[i] === 0) out[i] = nulls;
  return out;
}

function numbersOf(column: FlatColumn, name: string): Numbers {
  switch (column.dtype) {
    case 'f32':
      return column.values as Float32Array;
    case 'f64':
      return column.values as Float64Array;
    case 'i64':
    case 'u64':
      return wideNumbers(wordsOf(column.values), column.dtype === 'i64', name);
    default:
      return Float64Array.from(column.values as Int32Array);
  }
}

/** High words beyond these are integers that no double tells apart. */
const HIGH_MAX = 2 ** 21;

function wideNumbers(words: Uint32Array, signed: boolean, name: string): Float64Array {
  const out = new Float64Array(words.length >> 1);
  for (let i = 0; i < out.length; i++) {
    const high = signed ? words[2 * i + 1]! | 0 : words[2 * i + 1]!;
    if (high >= HIGH_MAX || high < -HIGH_MAX)
      throw new ColweaveError('infer/inexact', `column "${name}" holds integers above 2^53`, {
        hint: 'such a number is an identifier, and no input of a model',
      });
    out[i] = high * 2 ** 32 + words[2 * i]!;
  }
  return out;
}

/** clip(scale * log(x) + shift), worked out in double precision and rounded once. */
function transformed(values: Numbers, { log, scale, shift, clip }: Omit<ModelColumn, 'name'>): Numbers {
  if (log === undefined && scale === undefined && shift === undefined && clip === undefined) return values;
  const out = new Float64Array(values.length);
  out.set(values);
  if (log !== undefined) applyLog(out, log);
  const factor = scale ?? 1;
  const added = shift ?? 0;
  if (scale !== undefined || shift !== undefined)
    for (let i = 0; i < out.length; i++) out[i] = factor * out[i]! + added;
  if (clip !== undefined) {
    const [low, high] = clip;
    // a NaN is no number to clip: it stays
    for (let i = 0; i < out.length; i++) out[i] = out[i]! < low ? low : out[i]! > high ? high : out[i]!;
  }
  return out;
}

function applyLog(values: Float64Array, log: Log): void {
  switch (log) {
    case 'ln':
      for (let i = 0; i < values.length; i++) values[i] = Math.log(values[i]!);
      return;
    case 'log10':
      for (let i = 0; i < values.length; i++) values[i] = Math.log10(values[i]!);
      return;
    case 'log1p':
      for (let i = 0; i < values.length; i++) values[i] = Math.log1p(values[i]!);
      return;
    default:
      unreachable(log);
  }
}
