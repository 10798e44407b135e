// Owns exact conversions between column types: integers widen, bool and u8 0/1 exchange, nothing else.
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { allocate, type Dtype, dtypeBytes, isInteger, type Values } from '../core/dtype.ts';
import { type ColumnType, flat, list, sameType } from '../core/schema.ts';

/** The narrowest type that holds every value of both, or undefined where only a guess would do (int with float, u64 with signed). */
export function commonType(left: ColumnType, right: ColumnType): ColumnType | undefined {
  if (sameType(left, right)) return left;
  if (left.kind === 'flat' && right.kind === 'flat') {
    const dtype = commonDtype(left.dtype, right.dtype);
    return dtype === undefined ? undefined : flat(dtype);
  }
  if (left.kind === 'list' && right.kind === 'list') {
    const item = commonType(left.item, right.item);
    if (item === undefined) return undefined;
    return left.size !== undefined && left.size === right.size ? list(item, left.size) : list(item);
  }
  return undefined;
}

function commonDtype(left: Dtype, right: Dtype): Dtype | undefined {
  if (left === right) return left;
  if (left === 'bool' || right === 'bool') return left === 'u8' || right === 'u8' ? 'u8' : undefined;
  if (!isInteger(left) || !isInteger(right)) return undefined;
  const signed = (dtype: Dtype) => dtype.startsWith('i');
  const bytes = Math.max(dtypeBytes(left), dtypeBytes(right));
  if (signed(left) === signed(right)) return `${left[0] as 'i' | 'u'}${(bytes * 8) as 8}` as Dtype;
  const unsignedBytes = dtypeBytes(signed(left) ? right : left);
  const needed = Math.max(bytes, unsignedBytes * 2);
  return needed > 8 ? undefined : (`i${needed * 8}` as Dtype);
}

/** The column as `type`, which commonType found; the column itself where nothing changes. */
export function castColumn(column: Column, type: ColumnType): Column {
  if (column.kind === 'flat' && type.kind === 'flat') {
    if (column.dtype === type.dtype) return column;
    return { ...column, dtype: type.dtype, values: castValues(column.values, column.dtype, type.dtype) };
  }
  if (column.kind === 'list' && type.kind === 'list') {
    const items = castColumn(column.items, type.item);
    return items === column.items ? column : { ...column, items };
  }
  invariant(column.kind === type.kind, `cast of ${column.kind} to ${type.kind}`);
  return column;
}

function castValues(values: Values, from: Dtype, to: Dtype): Values {
  const out = allocate(to, values.length);
  if (dtypeBytes(to) === 8 && dtypeBytes(from) < 8) {
    const narrow = values as Int32Array;
    const wide = out as BigInt64Array;
    for (let i = 0; i < narrow.length; i++) wide[i] = BigInt(narrow[i]!);
  } else {
    (out as Int32Array).set(values as Int32Array);
  }
  return out;
}
