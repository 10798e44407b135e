// Owns the messages of inference.GRPCInferenceService: field numbers as in NVIDIA's grpc_service.proto and model_config.proto.
import type { ModelConfig, ModelMetadata } from './model-info.ts';
import { decodeFields, MessageWriter, numbersOf, type WireField } from './protobuf.ts';
import type {
  InferRequest,
  InferResponse,
  ModelStatistics,
  ServedModel,
  StatisticsPart,
  Tensor,
  TensorSpec,
} from './types.ts';

/** Thrown by every decoder here; the endpoint names the server. */
export class MalformedMessage extends Error {}

export function encodeInferRequest(request: InferRequest): MessageWriter {
  const message = new MessageWriter().text(1, request.model).text(2, request.version).text(3, request.id);
  for (const { name, type, shape } of request.inputs) {
    message.message(5, new MessageWriter().text(1, name).text(2, type).packed(3, shape));
  }
  for (const name of request.outputs) message.message(6, new MessageWriter().text(1, name));
  for (const { bytes } of request.inputs) message.bytes(7, bytes);
  return message;
}

/** `name` in field 1 and `version` in field 2: what most questions about a model consist of. */
export function encodeModelQuestion(name: string, version: string): MessageWriter {
  return new MessageWriter().text(1, name).text(2, version);
}

export function decodeInferResponse(message: Uint8Array): InferResponse {
  const fields = fieldsOf(message);
  const specs = messagesOf(fields, 5);
  const raw = bytesOf(fields, 6);
  if (raw.length !== specs.length) {
    throw new MalformedMessage(`it has ${specs.length} outputs, and bytes of ${raw.length}`);
  }
  const outputs = specs.map((spec, at): Tensor => {
    const { name, type, shape } = specOf(spec);
    return { name, type: type as Tensor['type'], shape, bytes: raw[at]! };
  });
  return { model: textOf(fields, 1), version: textOf(fields, 2), id: textOf(fields, 3), outputs };
}

export function decodeReady(message: Uint8Array): boolean {
  return numberOf(fieldsOf(message), 1) !== 0;
}

export function decodeServer(message: Uint8Array): { name: string; version: string; extensions: string[] } {
  const fields = fieldsOf(message);
  return { name: textOf(fields, 1), version: textOf(fields, 2), extensions: textsOf(fields, 3) };
}

export function decodeIndex(message: Uint8Array): ServedModel[] {
  return messagesOf(fieldsOf(message), 1).map((fields) => ({
    name: textOf(fields, 1),
    version: textOf(fields, 2),
    state: textOf(fields, 3),
    reason: textOf(fields, 4),
  }));
}

export function decodeMetadata(message: Uint8Array): ModelMetadata {
  const fields = fieldsOf(message);
  return {
    name: textOf(fields, 1),
    versions: textsOf(fields, 2),
    platform: textOf(fields, 3),
    inputs: messagesOf(fields, 4).map(specOf),
    outputs: messagesOf(fields, 5).map(specOf),
  };
}

/** The names that the same configuration has in JSON, by number. */
const DATA_TYPES = 'INVALID BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 STRING BF16'.split(
  ' ',
);

export function decodeConfig(message: Uint8Array): ModelConfig {
  const config = onlyMessage(fieldsOf(message), 1);
  const tensors = (field: number, dims: number): [string, string, number[]][] =>
    messagesOf(config, field).map((tensor) => [
      textOf(tensor, 1),
      `TYPE_${DATA_TYPES[numberOf(tensor, 2)] ?? numberOf(tensor, 2)}`,
      shapeOf(tensor, dims),
    ]);
  return {
    maxBatchSize: numberOf(config, 4),
    platform: textOf(config, 2),
    backend: textOf(config, 17),
    file: textOf(config, 8),
    inputs: tensors(5, 4),
    outputs: tensors(6, 3),
    parameters: messagesOf(config, 14).map((entry) => [textOf(entry, 1), textOf(onlyMessage(entry, 2), 1)]),
    steps: messagesOf(onlyMessage(config, 15), 1).map((step) => [textOf(step, 1), String(numberOf(step, 2))]),
    decoupled: numberOf(onlyMessage(config, 19), 1) !== 0,
  };
}

export function decodeStatistics(message: Uint8Array): ModelStatistics | undefined {
  const [model] = messagesOf(fieldsOf(message), 1);
  if (model === undefined) return undefined;
  const sums = onlyMessage(model, 6);
  const part = (field: number): StatisticsPart => {
    const duration = onlyMessage(sums, field);
    return { count: numberOf(duration, 1), nanoseconds: numberOf(duration, 2) };
  };
  return {
    inferenceCount: numberOf(model, 4),
    executionCount: numberOf(model, 5),
    success: part(1),
    fail: part(2),
    queue: part(3),
    computeInput: part(4),
    computeInfer: part(5),
    computeOutput: part(6),
  };
}

function specOf(fields: readonly WireField[]): TensorSpec {
  return { name: textOf(fields, 1), type: textOf(fields, 2), shape: shapeOf(fields, 3) };
}

function fieldsOf(message: Uint8Array): readonly WireField[] {
  const fields = decodeFields(message);
  if (fields === undefined) throw new MalformedMessage('it is no message of protobuf');
  return fields;
}

function bytesOf(fields: readonly WireField[], field: number): Uint8Array[] {
  return fields.flatMap((each) => (each.field === field && each.bytes !== undefined ? [each.bytes] : []));
}

function messagesOf(fields: readonly WireField[], field: number): (readonly WireField[])[] {
  return bytesOf(fields, field).map(fieldsOf);
}

/** An absent message is one of defaults. */
function onlyMessage(fields: readonly WireField[], field: number): readonly WireField[] {
  return messagesOf(fields, field).at(-1) ?? [];
}

function textsOf(fields: readonly WireField[], field: number): string[] {
  return bytesOf(fields, field).map((bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
  );
}

function textOf(fields: readonly WireField[], field: number): string {
  return textsOf(fields, field).at(-1) ?? '';
}

function numberOf(fields: readonly WireField[], field: number): number {
  return fields.findLast((each) => each.field === field)?.number ?? 0;
}

function shapeOf(fields: readonly WireField[], field: number): number[] {
  const shape = numbersOf(fields, field);
  if (shape === undefined) throw new MalformedMessage('a shape in it is cut short');
  return shape;
}
