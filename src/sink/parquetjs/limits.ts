// Owns what parquetjs-lite 0.8.7 writes right. All else is refused by column name: a wrong value is worse than none.
import type { Column } from '../../core/column.ts';
import type { Dtype, Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import type { Field, Schema } from '../../core/schema.ts';
import { typeName } from '../../core/schema.ts';
import type { SinkOptions } from '../types.ts';

const WRITER = 'the writer parquetjs';
/** The library keeps columns as properties of an object, and joins paths with commas: such names would change places or clash. */
const BAD_NAME = /^\d+$|,|^__proto__$/;
const EXACT_MAX = BigInt(Number.MAX_SAFE_INTEGER);

export function checkSchema({ fields }: Schema): void {
  if (fields.length === 0) throw new ColweaveError('sink/cannot-write-type', 'there is no column to write');
  for (const field of fields) {
    if (BAD_NAME.test(field.name)) throw refused(field, 'a column of such a name');
    if (field.type.kind !== 'list') continue;
    if (field.type.item.kind === 'list') throw refused(field, 'lists of lists');
    if (field.nullable) throw refused(field, 'lists that may be null');
  }
}

export function checkOptions({ compression }: SinkOptions): void {
  if (compression !== 'zstd') return;
  throw new ColweaveError('sink/cannot-write-type', `${WRITER} cannot compress with zstd`, {
    hint: 'use --compression snappy or none, or the default writer',
  });
}

/** Throws for the first value that the library would refuse or change. */
export function checkValues(field: Field, column: Column): void {
  const leaf = column.kind === 'list' ? column.items : column;
  if (leaf.kind !== 'flat') return;
  const what = unwritable(leaf.dtype, leaf.values);
  if (what !== undefined) throw refused(field, what);
}

function unwritable(dtype: Dtype, values: Values): string | undefined {
  switch (dtype) {
    case 'i64':
    case 'u64':
      return wideUnwritable(values as BigInt64Array | BigUint64Array);
    case 'u32':
      return (values as Uint32Array).some((value) => value > 0x7fffffff) ? 'integers above 2^31 - 1' : undefined;
    case 'f32':
    case 'f64':
      return floatUnwritable(values as Float32Array | Float64Array);
    default:
      return undefined;
  }
}

/** It reads integers through text into a double. */
function wideUnwritable(values: BigInt64Array | BigUint64Array): string | undefined {
  for (const value of values) if (value > EXACT_MAX || value < -EXACT_MAX) return 'integers beyond 2^53';
  return undefined;
}

/** It reads floats through text: NaN is refused and -0 becomes 0. */
function floatUnwritable(values: Float32Array | Float64Array): string | undefined {
  for (const value of values) {
    if (Number.isNaN(value)) return 'NaN';
    if (Object.is(value, -0)) return 'negative zero';
  }
  return undefined;
}

function refused(field: Field, what: string): ColweaveError {
  const message = `${WRITER} cannot write ${what}: column "${field.name}" (${typeName(field.type)})`;
  return new ColweaveError('sink/cannot-write-type', message);
}
