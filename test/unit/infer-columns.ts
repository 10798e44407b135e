// Owns what tests of infer share: columns written as lists of JavaScript values, and tensors read back as such.
import { type Column, flatColumn } from '../../src/core/column.ts';
import { allocate, type Dtype } from '../../src/core/dtype.ts';
import { type Field, flat, list, type Schema } from '../../src/core/schema.ts';
import { bindBlock } from '../../src/infer/bind.ts';
import { bindModel } from '../../src/infer/bind-plan.ts';
import { parseModel } from '../../src/infer/model-file.ts';
import type { Tensor } from '../../src/infer/types.ts';

export type Nested = number | bigint | null | readonly Nested[];

export interface Given {
  readonly dtype: Dtype;
  readonly rows: readonly Nested[];
}

export const given = (dtype: Dtype, rows: readonly Nested[]): Given => ({ dtype, rows });

const depthOf = (rows: readonly Nested[]): number => {
  const lists = rows.filter((row) => Array.isArray(row)) as (readonly Nested[])[];
  return lists.length === 0 ? 0 : 1 + Math.max(...lists.map(depthOf), 0);
};

/** `depth` of lists, for columns whose lists may all be empty. */
export function columnOf({ dtype, rows }: Given, depth = depthOf(rows)): Column {
  if (depth === 0) {
    const values = allocate(dtype, rows.length);
    rows.forEach((row, i) => {
      values[i] = (row ?? (dtype.endsWith('64') && dtype[0] !== 'f' ? 0n : 0)) as number;
    });
    const valid = rows.includes(null) ? Uint8Array.from(rows, (row) => Number(row !== null)) : undefined;
    return flatColumn(dtype, values, valid);
  }
  const lists = rows as readonly (readonly Nested[])[];
  const offsets = new Int32Array(lists.length + 1);
  lists.forEach((row, i) => {
    offsets[i + 1] = offsets[i]! + row.length;
  });
  return { kind: 'list', length: lists.length, offsets, items: columnOf({ dtype, rows: lists.flat() }, depth - 1) };
}

export function fieldOf(name: string, { dtype, rows }: Given, depth = depthOf(rows)): Field {
  const type = Array.from({ length: depth }).reduce<Field['type']>((inner) => list(inner), flat(dtype));
  const counter = depth > 0 ? { counter: `n${name.split('_')[0]}` } : {};
  return { name, type, nullable: rows.includes(null), ...counter };
}

export const schemaOf = (columns: Readonly<Record<string, Given>>): Schema => ({
  fields: Object.entries(columns).map(([name, column]) => fieldOf(name, column)),
});

/** All tensors of a block for the rows of the tensors start .. end (all of them by default), by name. */
export function tensorsOf(yaml: string, columns: Readonly<Record<string, Given>>, span?: readonly [number, number]) {
  const bound = bindModel(parseModel('model.yaml', yaml), schemaOf(columns), ['file.root']);
  const block = bindBlock(
    bound,
    bound.read.map((name) => columnOf(columns[name]!)),
  );
  const [start, end] = span ?? [0, block.rows];
  const tensors = block.tensors({ start, end });
  return {
    rows: block.rows,
    ...Object.fromEntries(tensors.map((tensor) => [tensor.name, { shape: tensor.shape, values: valuesOf(tensor) }])),
  };
}

const READ: Readonly<Record<Tensor['type'], readonly [number, (view: DataView, at: number) => number | bigint]>> = {
  BOOL: [1, (view, at) => view.getUint8(at)],
  UINT8: [1, (view, at) => view.getUint8(at)],
  INT8: [1, (view, at) => view.getInt8(at)],
  UINT16: [2, (view, at) => view.getUint16(at, true)],
  INT16: [2, (view, at) => view.getInt16(at, true)],
  UINT32: [4, (view, at) => view.getUint32(at, true)],
  INT32: [4, (view, at) => view.getInt32(at, true)],
  UINT64: [8, (view, at) => view.getBigUint64(at, true)],
  INT64: [8, (view, at) => view.getBigInt64(at, true)],
  FP16: [2, (view, at) => view.getUint16(at, true)],
  FP32: [4, (view, at) => view.getFloat32(at, true)],
  FP64: [8, (view, at) => view.getFloat64(at, true)],
};

export function valuesOf({ type, bytes }: Tensor): (number | bigint)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [size, read] = READ[type];
  return Array.from({ length: bytes.length / size }, (_, i) => read(view, i * size));
}
