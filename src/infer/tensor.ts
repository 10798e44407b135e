// Owns facts about tensor types: bytes an element, elements of a shape, and the form that element types have in JSON.
import type { Tensor, TensorType } from './types.ts';

const ELEMENT_BYTES: Readonly<Record<TensorType, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
};

export function isTensorType(name: string): name is TensorType {
  return Object.hasOwn(ELEMENT_BYTES, name);
}

export function elementBytes(type: TensorType): number {
  return ELEMENT_BYTES[type];
}

/** NaN when a length is not a count. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce(
    (product, length) => (Number.isSafeInteger(length) && length >= 0 ? product * length : Number.NaN),
    1,
  );
}

export function tensorBytes({ type, shape }: Pick<Tensor, 'type' | 'shape'>): number {
  return elementsOf(shape) * ELEMENT_BYTES[type];
}

/** Rows of a batch: all tensors of a request have the same first length. 0 = no tensor. */
export function rowsOf(tensors: readonly Tensor[]): number {
  return tensors[0]?.shape[0] ?? 0;
}

type Accessor = readonly [
  get: (view: DataView, at: number) => number,
  set: (view: DataView, at: number, value: number) => void,
];

/** 64-bit integers are not here: JSON numbers cannot hold them. */
const ACCESSORS: Readonly<Partial<Record<TensorType, Accessor>>> = {
  BOOL: [(view, at) => view.getUint8(at), (view, at, value) => view.setUint8(at, value)],
  UINT8: [(view, at) => view.getUint8(at), (view, at, value) => view.setUint8(at, value)],
  INT8: [(view, at) => view.getInt8(at), (view, at, value) => view.setInt8(at, value)],
  UINT16: [(view, at) => view.getUint16(at, true), (view, at, value) => view.setUint16(at, value, true)],
  INT16: [(view, at) => view.getInt16(at, true), (view, at, value) => view.setInt16(at, value, true)],
  UINT32: [(view, at) => view.getUint32(at, true), (view, at, value) => view.setUint32(at, value, true)],
  INT32: [(view, at) => view.getInt32(at, true), (view, at, value) => view.setInt32(at, value, true)],
  FP32: [(view, at) => view.getFloat32(at, true), (view, at, value) => view.setFloat32(at, value, true)],
  FP64: [(view, at) => view.getFloat64(at, true), (view, at, value) => view.setFloat64(at, value, true)],
};

/** Undefined = JSON cannot carry it: a type of 64-bit integers or FP16, or a value that is not finite. */
export function jsonData(tensor: Tensor): (number | boolean)[] | undefined {
  const access = ACCESSORS[tensor.type];
  if (access === undefined) return undefined;
  const view = new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset, tensor.bytes.byteLength);
  const step = ELEMENT_BYTES[tensor.type];
  const data = Array.from({ length: tensor.bytes.length / step }, (_, i) => access[0](view, i * step));
  if (!data.every(Number.isFinite)) return undefined;
  return tensor.type === 'BOOL' ? data.map((value) => value !== 0) : data;
}

/** No tensor has more dimensions; an answer nested deeper is none. */
const NESTING_MAX = 16;

/** The reverse, from flat or nested lists; undefined = not `count` numbers of that type. */
export function bytesOfJson(data: unknown, type: TensorType, count: number): Uint8Array | undefined {
  const access = ACCESSORS[type];
  if (access === undefined || !Array.isArray(data)) return undefined;
  const flat: unknown[] = data.flat(NESTING_MAX);
  if (flat.length !== count) return undefined;
  const step = ELEMENT_BYTES[type];
  const bytes = new Uint8Array(count * step);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of flat.entries()) {
    if (type === 'BOOL' ? typeof value !== 'boolean' : typeof value !== 'number') return undefined;
    access[1](view, i * step, Number(value));
  }
  return bytes;
}
