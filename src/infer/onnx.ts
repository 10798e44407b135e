// Owns the protocol `onnx`: the model computes in this process, by onnxruntime-node, which is installed apart and loaded when asked for.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { bytesOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import type {
  Endpoint,
  InferRequest,
  InferResponse,
  ModelInfo,
  Protocol,
  Tensor,
  TensorSpec,
  TensorType,
} from './types.ts';

const PACKAGE = 'onnxruntime-node';

/** What is used of the package. */
interface Runtime {
  readonly InferenceSession: {
    create(path: string, options: { readonly intraOpNumThreads: number }): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => OrtTensor;
}
interface Session {
  readonly inputMetadata: readonly OrtMetadata[];
  readonly outputMetadata: readonly OrtMetadata[];
  run(feeds: Readonly<Record<string, OrtTensor>>, fetches: readonly string[]): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}
interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView | readonly string[];
}
interface OrtMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** Type of a tensor, its name there, and the array that its data come in. */
const TYPES = {
  BOOL: ['bool', Uint8Array],
  UINT8: ['uint8', Uint8Array],
  INT8: ['int8', Int8Array],
  UINT16: ['uint16', Uint16Array],
  INT16: ['int16', Int16Array],
  UINT32: ['uint32', Uint32Array],
  INT32: ['int32', Int32Array],
  UINT64: ['uint64', BigUint64Array],
  INT64: ['int64', BigInt64Array],
  FP16: ['float16', Uint16Array],
  FP32: ['float32', Float32Array],
  FP64: ['float64', Float64Array],
} as const satisfies Record<TensorType, unknown>;

export const ONNX: Protocol = { name: 'onnx', connect: (path) => openModel(path) };

function openModel(path: string): Endpoint {
  let opening: Promise<Opened> | undefined;
  const opened = (): Promise<Opened> => {
    opening ??= open(path);
    return opening;
  };
  return {
    url: path,
    ready: async () => (await opened()) !== undefined,
    model: async (name, version) => infoOf(await opened(), name, version),
    infer: async (request) => infer(await opened(), request),
    close: async () => (await opening?.catch(() => undefined))?.session.release(),
  };
}

interface Opened {
  readonly runtime: Runtime;
  readonly session: Session;
  readonly sha256: string;
}

async function open(path: string): Promise<Opened> {
  const runtime = await loadRuntime();
  let sha256: string;
  try {
    sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (cause) {
    throw new ColweaveError('source/not-found', 'the model cannot be read', { where: [path], cause });
  }
  try {
    return { runtime, session: await runtime.InferenceSession.create(path, { intraOpNumThreads: 0 }), sha256 };
  } catch (cause) {
    throw new ColweaveError('infer/no-runtime', 'onnxruntime cannot load the model', { where: [path], cause });
  }
}

/** Beside colweave, else from the current directory. */
async function loadRuntime(): Promise<Runtime> {
  const causes: unknown[] = [];
  for (const base of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(base)(PACKAGE) as Runtime;
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new ColweaveError('infer/no-runtime', `${PACKAGE} is not installed`, { cause: causes[0] });
}

function infoOf({ session, sha256 }: Opened, name: string, version: string): ModelInfo {
  return {
    name,
    version,
    versions: [],
    platform: 'onnxruntime-node',
    inputs: session.inputMetadata.map(specOf),
    outputs: session.outputMetadata.map(specOf),
    maxBatchSize: undefined,
    configHash: sha256,
  };
}

function specOf({ name, type = '', shape = [] }: OrtMetadata): TensorSpec {
  return {
    name,
    type: typeNamed(type) ?? type,
    shape: shape.map((length) => (typeof length === 'number' ? length : -1)),
  };
}

function typeNamed(name: string): TensorType | undefined {
  return (Object.keys(TYPES) as TensorType[]).find((type) => TYPES[type][0] === name);
}

async function infer({ runtime, session }: Opened, request: InferRequest): Promise<InferResponse> {
  const feeds = Object.fromEntries(request.inputs.map((tensor) => [tensor.name, given(runtime, tensor)]));
  let found: Record<string, OrtTensor>;
  try {
    found = await session.run(feeds, request.outputs);
  } catch (cause) {
    throw new ColweaveError('infer/model-failed', cause instanceof Error ? cause.message : String(cause), { cause });
  }
  const outputs = request.outputs.map((name) => taken(name, found[name]));
  return { id: request.id, model: request.model, version: request.version, outputs };
}

function given(runtime: Runtime, { type, shape, bytes }: Tensor): OrtTensor {
  const [name, make] = TYPES[type];
  const own = bytes.byteOffset % make.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const data = new make(own.buffer as ArrayBuffer, own.byteOffset, own.byteLength / make.BYTES_PER_ELEMENT);
  return new runtime.Tensor(name, data, shape);
}

function taken(name: string, tensor: OrtTensor | undefined): Tensor {
  const type = tensor === undefined ? undefined : typeNamed(tensor.type);
  if (tensor === undefined || type === undefined || !ArrayBuffer.isView(tensor.data))
    throw new ColweaveError(
      'infer/unsupported',
      `output "${name}" is ${tensor?.type ?? 'absent'}, no tensor of numbers`,
    );
  return { name, type, shape: tensor.dims, bytes: bytesOf(tensor.data) };
}
