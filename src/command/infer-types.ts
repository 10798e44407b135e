// Owns what the infer command takes and gives.
import type { NanPolicy, ProtocolName } from '../infer/model.ts';
import type { ServerReport } from '../infer/server.ts';
import type { CommandContext, FreshReport, OutputSummary } from './types.ts';

export interface InferOptions {
  readonly files: readonly string[];
  readonly model: string;
  /** URLs and @FILE; empty = by the model file, then by the environment. */
  readonly servers: readonly string[];
  readonly protocol?: ProtocolName;
  readonly ca?: readonly string[];
  /** The version that must answer, instead of the model file's. */
  readonly modelVersion?: string;
  /** Stands in front of /store/... names. */
  readonly redirector?: string;
  /** Directory of the cache that sources are read through, or `off`; absent = $COLWEAVE_CACHE, else off. */
  readonly cache?: string;
  readonly offline?: boolean;
  readonly tree?: string;
  readonly on?: string;
  readonly schema: 'strict' | 'union' | 'intersect';
  readonly batchRows?: number;
  readonly batchBytes?: number;
  readonly inFlight?: number;
  /** How long a batch may fail, and servers be away at the start, before the run is given up. */
  readonly patienceSeconds?: number;
  readonly perEvent: boolean;
  readonly onNan?: NanPolicy;
  /** Part of the rows that is sent again. */
  readonly spotCheck: number;
  /** Go on in this process, by the model file's `onnx`, when no server answers any more. */
  readonly fallback: boolean;
  readonly output?: string;
  /** The name that the output gets, where it is not `output`. */
  readonly published?: string;
  /** Also write what the output was made from, for make. */
  readonly depfile?: string;
  readonly compression: 'zstd' | 'snappy' | 'none';
  readonly dryRun: boolean;
  readonly resume: boolean;
  readonly stats: boolean;
  readonly force: boolean;
  readonly redo: boolean;
  readonly receipt: boolean;
}

export interface TensorSummary {
  readonly name: string;
  readonly type: string;
  /** After the rows. */
  readonly dims: readonly number[];
  /** What its values are made of; a mask names its input. */
  readonly from: readonly string[];
}

export interface BindingSummary {
  readonly model: string;
  /** `` = the server's newest. */
  readonly version: string;
  readonly key: readonly string[];
  readonly files: number;
  readonly events: number;
  /** `` = events; else the collection whose objects are the rows. */
  readonly per: string;
  readonly tensors: readonly TensorSummary[];
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
  readonly batch: BatchSummary;
  readonly blockRows: number;
  readonly groupRows: number;
  readonly bytesToRead: number;
}

export interface BatchSummary {
  readonly rows: number;
  readonly bytes: number;
  readonly perEvent: boolean;
  /** Requests of a dry run are known where rows are events. */
  readonly requests?: number;
}

export interface InferReport {
  readonly binding: BindingSummary;
  /** Absent for a dry run. */
  readonly done?: {
    readonly protocol: string;
    readonly version: string;
    readonly configHash?: string;
    readonly servers: readonly ServerReport[];
    readonly rows: number;
    readonly requests: number;
    /** Events whose scores were there from before. */
    readonly resumed: number;
    /** By output column: values that are NaN or infinite. */
    readonly nonFinite: readonly { readonly name: string; readonly values: number }[];
    /** Rows that were asked again and agreed. */
    readonly spotRows: number;
    /** Requests that were cut in two since a server took no larger one. */
    readonly halved: number;
    /** Rows that this process answered because no server did. */
    readonly fallbackRows: number;
    readonly seconds: number;
  };
  readonly outputs: readonly OutputSummary[];
}

export interface DescribeOptions {
  readonly url: string;
  readonly model: string;
  readonly protocol?: ProtocolName;
  readonly ca?: readonly string[];
  readonly modelVersion?: string;
}

/** A first model file. */
export interface DescribeReport {
  readonly text: string;
}

export type RunInfer = (options: InferOptions, context: CommandContext) => Promise<InferReport | FreshReport>;
export type RunDescribe = (options: DescribeOptions, context: CommandContext) => Promise<DescribeReport>;
