// Owns what a model file says, as plain data: which columns make which tensors, and which columns the answers become.
import type { TensorType } from './types.ts';

/** What is done to the values of a column before they go into a tensor, in this order; padding is not changed. */
export interface Transform {
  readonly log?: Log;
  readonly scale?: number;
  /** Added after scaling. */
  readonly shift?: number;
  readonly clip?: readonly [low: number, high: number];
}

export const LOGS = ['ln', 'log10', 'log1p'] as const;
export type Log = (typeof LOGS)[number];

export interface ModelColumn extends Transform {
  readonly name: string;
}

/** Constituents of objects, as PFNano stores them: pairs of an index into `from` and the object it belongs to. */
export interface Gather {
  /** The collection that `index` points into. */
  readonly from: string;
  readonly index: string;
  /** The index of the object of `of` that a pair belongs to. */
  readonly group: string;
  readonly of: string;
}

/** Which items of a list come first, and so are left when there are more than the padding holds. */
export interface Order {
  readonly by: string;
  readonly ascending: boolean;
}

export interface Mask {
  readonly name: string;
  readonly type: TensorType;
  readonly shape?: readonly number[];
}

export interface ModelInput {
  readonly name: string;
  readonly type: TensorType;
  readonly columns: readonly ModelColumn[];
  /** The lengths after the rows, where they are not those that columns and padding give: the same number of values. */
  readonly shape?: readonly number[];
  /** Lists are cut or filled up to this many items. */
  readonly pad?: number;
  readonly fill: number;
  readonly order?: Order;
  /** [columns, items] instead of [items, columns]. */
  readonly columnsFirst: boolean;
  /** What a null counts as; absent = it stops the run. */
  readonly nulls?: number;
  readonly mask?: Mask;
  readonly gather?: Gather;
}

export interface ModelOutput {
  readonly name: string;
  readonly type: TensorType;
  /** One column a value of a row, or one column alone. */
  readonly columns: readonly string[];
  /** Values of a row that make the one column a list of fixed length; 1 = a plain column. */
  readonly width: number;
  /** The one value that is taken of `width`. */
  readonly index?: number;
  readonly softmax: boolean;
}

export const NAN_POLICIES = ['keep', 'fail', 'null'] as const;
export type NanPolicy = (typeof NAN_POLICIES)[number];

export const PROTOCOL_NAMES = ['http', 'grpc', 'onnx'] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

export interface Model {
  readonly name: string;
  /** `` = the one that the server gives; it is pinned for the whole run. */
  readonly version: string;
  /** sha256 of the configuration that the server must have. */
  readonly configHash?: string;
  readonly protocol?: ProtocolName;
  readonly servers: readonly string[];
  /** The model as a file, for the protocol onnx. */
  readonly onnx?: string;
  /** `` = a row of the tensors is an event; else an object of this collection. */
  readonly per: string;
  readonly batchRowsMax?: number;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  readonly onNan: NanPolicy;
}
