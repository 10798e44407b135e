// Owns what servers say of a model, in the forms of JSON: metadata, configuration, index and statistics, checked on the way in.
import { createHash } from 'node:crypto';
import type { ModelInfo, ModelStatistics, ServedModel, StatisticsPart, TensorSpec } from './types.ts';

/** What decides the results in a model's configuration: not how many copies run, nor how they are queued. */
export interface ModelConfig {
  readonly maxBatchSize: number;
  readonly platform: string;
  readonly backend: string;
  readonly file: string;
  /** Name, type and dimensions of each, in the order of the configuration. */
  readonly inputs: readonly (readonly [string, string, readonly number[]])[];
  readonly outputs: readonly (readonly [string, string, readonly number[]])[];
  readonly parameters: readonly (readonly [string, string])[];
  /** Model and version of each step of an ensemble. */
  readonly steps: readonly (readonly [string, string])[];
  readonly decoupled: boolean;
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** `version` `` = the newest that is served. */
export function modelInfo(metadata: ModelMetadata, version: string, config: ModelConfig | undefined): ModelInfo {
  return {
    name: metadata.name,
    version: version === '' ? newestOf(metadata.versions) : version,
    versions: metadata.versions,
    platform: metadata.platform,
    inputs: metadata.inputs,
    outputs: metadata.outputs,
    maxBatchSize: config?.maxBatchSize,
    configHash: config === undefined ? undefined : hashOf(config),
  };
}

/** Versions are numbers in Triton, and any text elsewhere; `` = there is none. */
export function newestOf(versions: readonly string[]): string {
  return versions.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? '';
}

/** The largest batch is left out: servers of one model may differ in it, and give the same scores. */
function hashOf({ maxBatchSize: _, ...rest }: ModelConfig): string {
  const sorted = { ...rest, parameters: [...rest.parameters].sort(([a], [b]) => (a < b ? -1 : 1)) };
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}

type Json = Readonly<Record<string, unknown>>;

export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** 64-bit integers are text in some servers' JSON. */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : 0;
}

function specOf(value: unknown): TensorSpec {
  const { name, datatype, shape } = objectOf(value);
  return { name: textOf(name), type: textOf(datatype), shape: listOf(shape).map(numberOf) };
}

export function metadataOfJson(json: unknown): ModelMetadata {
  const { name, versions, platform, inputs, outputs } = objectOf(json);
  return {
    name: textOf(name),
    versions: listOf(versions).map(textOf),
    platform: textOf(platform),
    inputs: listOf(inputs).map(specOf),
    outputs: listOf(outputs).map(specOf),
  };
}

export function configOfJson(json: unknown): ModelConfig {
  const config = objectOf(json);
  const tensors = (value: unknown): [string, string, number[]][] =>
    listOf(value).map((each) => {
      const { name, data_type, dims } = objectOf(each);
      return [textOf(name), textOf(data_type), listOf(dims).map(numberOf)];
    });
  return {
    maxBatchSize: numberOf(config.max_batch_size),
    platform: textOf(config.platform),
    backend: textOf(config.backend),
    file: textOf(config.default_model_filename),
    inputs: tensors(config.input),
    outputs: tensors(config.output),
    parameters: Object.entries(objectOf(config.parameters)).map(([key, value]) => [
      key,
      textOf(objectOf(value).string_value),
    ]),
    steps: listOf(objectOf(config.ensemble_scheduling).step).map((each) => {
      const { model_name, model_version } = objectOf(each);
      return [textOf(model_name), textOf(model_version)];
    }),
    decoupled: objectOf(config.model_transaction_policy).decoupled === true,
  };
}

export function indexOfJson(json: unknown): ServedModel[] {
  return listOf(json).map((each) => {
    const { name, version, state, reason } = objectOf(each);
    return { name: textOf(name), version: textOf(version), state: textOf(state), reason: textOf(reason) };
  });
}

export function statisticsOfJson(json: unknown): ModelStatistics | undefined {
  const [first] = listOf(objectOf(json).model_stats);
  if (first === undefined) return undefined;
  const model = objectOf(first);
  const sums = objectOf(model.inference_stats);
  const part = (name: string): StatisticsPart => {
    const { count, ns } = objectOf(sums[name]);
    return { count: numberOf(count), nanoseconds: numberOf(ns) };
  };
  return {
    inferenceCount: numberOf(model.inference_count),
    executionCount: numberOf(model.execution_count),
    success: part('success'),
    fail: part('fail'),
    queue: part('queue'),
    computeInput: part('compute_input'),
    computeInfer: part('compute_infer'),
    computeOutput: part('compute_output'),
  };
}
