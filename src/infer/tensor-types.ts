// Owns which element types of tensors there are, and the dtype of the column that answers of each become.
import type { Dtype } from '../core/dtype.ts';
import type { TensorType } from './types.ts';

/** FP16 has no dtype of its own and fits f32 exactly. */
const DTYPES: Readonly<Record<TensorType, Dtype>> = {
  BOOL: 'bool',
  UINT8: 'u8',
  UINT16: 'u16',
  UINT32: 'u32',
  UINT64: 'u64',
  INT8: 'i8',
  INT16: 'i16',
  INT32: 'i32',
  INT64: 'i64',
  FP16: 'f32',
  FP32: 'f32',
  FP64: 'f64',
};

export const TENSOR_TYPES = Object.keys(DTYPES) as readonly TensorType[];

export const columnDtype = (type: TensorType): Dtype => DTYPES[type];
export const isFloatTensor = (type: TensorType): boolean => type.startsWith('FP');
