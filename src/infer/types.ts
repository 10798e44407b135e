// Owns the seam to inference servers: tensors as bytes, one request and its answer, and what a server says of a model.

/** The names of the Open Inference Protocol (KServe v2) for element types that have a fixed size. */
export type TensorType =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64';

/** Little-endian, row-major. `bytes` may be a view of a larger buffer, at any offset; who gets a Tensor does not write to it. */
export interface Tensor {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What a server says of one input or output. -1 = any length; with batching the first is the batch. */
export interface TensorSpec {
  readonly name: string;
  /** As the server names it: it may be a type that cannot be sent, such as BYTES. */
  readonly type: string;
  readonly shape: readonly number[];
}

export interface ModelInfo {
  readonly name: string;
  /** The version that answers: pinned for the whole run. `` where the server has none. */
  readonly version: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** 0 = the model knows no batches; undefined = the server does not say. */
  readonly maxBatchSize: number | undefined;
  /** sha256 of what decides the results in the model's configuration, the same by every protocol; undefined where the server gives none. */
  readonly configHash: string | undefined;
}

export interface InferRequest {
  readonly id: string;
  readonly model: string;
  /** `` = the server's choice, only to ask which one that is. */
  readonly version: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly string[];
}

export interface InferResponse {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  /** In the order of the request. */
  readonly outputs: readonly Tensor[];
}

/** One line of a server's repository. */
export interface ServedModel {
  readonly name: string;
  readonly version: string;
  /** READY, UNAVAILABLE, LOADING, ...; `` = the server does not say. */
  readonly state: string;
  readonly reason: string;
}

/** Sums since the server started: take differences. */
export interface StatisticsPart {
  readonly count: number;
  readonly nanoseconds: number;
}

export interface ModelStatistics {
  /** Rows, and how often the model ran for them. */
  readonly inferenceCount: number;
  readonly executionCount: number;
  readonly success: StatisticsPart;
  readonly fail: StatisticsPart;
  readonly queue: StatisticsPart;
  readonly computeInput: StatisticsPart;
  readonly computeInfer: StatisticsPart;
  readonly computeOutput: StatisticsPart;
}

export interface ServerInfo {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** One server, by few and reused connections. Every method rejects with a ServerError, which says whether to try again. */
export interface Endpoint {
  readonly url: string;
  /** `model` = also this model, in this version. False = the server answers, and it is not. */
  ready(signal: AbortSignal, model?: { readonly name: string; readonly version: string }): Promise<boolean>;
  model(name: string, version: string, signal: AbortSignal): Promise<ModelInfo>;
  infer(request: InferRequest, signal: AbortSignal): Promise<InferResponse>;
  /** Absent where nothing is remote. */
  server?(signal: AbortSignal): Promise<ServerInfo>;
  /** Undefined = the server keeps no index. */
  index?(signal: AbortSignal): Promise<readonly ServedModel[] | undefined>;
  /** Undefined = the server counts nothing. */
  statistics?(name: string, version: string, signal: AbortSignal): Promise<ModelStatistics | undefined>;
  close(): Promise<void>;
}

/** A way to talk to servers: one file an implementation, one line in the registry. */
export interface Protocol {
  readonly name: string;
  connect(url: string, options: ConnectOptions): Endpoint;
}

export interface ConnectOptions {
  /** Bearer token, asked for before each request since it may be renewed; never printed or stored. */
  readonly token?: string | (() => string | undefined);
  /** PEM certificates to trust besides the system's. */
  readonly ca?: readonly string[];
  /** Connections to one server at most; a balancer in front of it may count new ones. */
  readonly connectionsMax?: number;
  /** Connections of this age are replaced when they are free: a balancer in front may then choose a server that came later. */
  readonly renewMs?: number;
}
