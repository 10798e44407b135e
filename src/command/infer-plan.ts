// Owns what an inference run will do, before it is done: the model file bound to columns, batches, row groups, in a summary.
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { typeName } from '../core/schema.ts';
import { outputFields } from '../infer/answers.ts';
import { BATCH_BYTES_MAX, type BatchPlan, planBatches, planGroups } from '../infer/batch-plan.ts';
import { type Bound, bindModel, shapesOf } from '../infer/bind-plan.ts';
import type { Model } from '../infer/model.ts';
import { readModelFile } from '../infer/model-file.ts';
import type { ModelInfo } from '../infer/types.ts';
import { keySpecFor } from '../keys/spec.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import type { BindingSummary, InferOptions } from './infer-types.ts';

/** The command line wins over the model file. */
export function modelOf(options: InferOptions): Model {
  const model = readModelFile(options.model);
  const { onNan, modelVersion } = options;
  return {
    ...model,
    ...(onNan === undefined ? {} : { onNan }),
    ...(modelVersion === undefined ? {} : { version: modelVersion }),
  };
}

/** Everything that is known before a server is asked. */
export interface Task {
  readonly options: InferOptions;
  readonly model: Model;
  readonly dataset: Dataset;
  readonly key: KeySpec;
  readonly bound: Bound;
}

export function bindTask(options: InferOptions, model: Model, dataset: Dataset): Task {
  const { descriptor, unreadable } = dataset;
  const first = descriptor.files[0]!.descriptor;
  const where = [first.uri, ...(first.identity.tree === undefined ? [] : [first.identity.tree])];
  const key = keySpecFor(options.on, descriptor.schema, where);
  const asked = model.inputs.flatMap(({ columns }) => columns.map(({ name }) => name));
  const bad = unreadable.find(({ name }) => asked.includes(name));
  if (bad !== undefined)
    throw new ColweaveError('source/unreadable-column', `column "${bad.name}" cannot be read: ${bad.reason}`, {
      where,
    });
  const bound = bindModel(model, descriptor.schema, where);
  const taken = outputFields(model).find(({ name }) => key.columns.some((column) => column.name === name));
  if (taken !== undefined)
    throw new ColweaveError('usage/bad-model', `output column "${taken.name}" has the name of a key column`);
  return { options, model, dataset, key, bound };
}

export interface Plan {
  readonly batch: BatchPlan;
  readonly sizes: ReturnType<typeof planGroups>;
}

export function planOf({ options, bound, dataset, model }: Task, info: ModelInfo | undefined): Plan {
  const { batchRows, batchBytes = BATCH_BYTES_MAX, perEvent } = options;
  const limits = { bytes: batchBytes, perEvent, ...(batchRows === undefined ? {} : { rows: batchRows }) };
  const { rows: events } = dataset.descriptor;
  const raw = (names: readonly string[]) => datasetBytes(dataset, names).raw / Math.max(1, events);
  const perEventRows = bound.objects === undefined ? 1 : Math.max(1, raw([bound.objects.column]) / 4);
  const outBytes = 16 + model.outputs.reduce((sum, { width }) => sum + 8 * width * perEventRows, 0);
  const sizes = planGroups({ events, readBytes: raw(bound.read), outBytes });
  return { batch: planBatches(bound, limits, info), sizes };
}

export function summaryOf({ model, dataset, key, bound }: Task, { batch, sizes }: Plan): BindingSummary {
  const { rows, bytes, perEvent } = batch;
  const events = dataset.descriptor.rows;
  const requests = sizes.groups
    .flatMap(({ blocks }) => blocks)
    .reduce((sum, { start, end }) => sum + Math.ceil((end - start) / rows), 0);
  return {
    model: model.name,
    version: model.version,
    key: key.columns.map(({ name }) => name),
    files: dataset.files.length,
    events,
    per: model.per,
    tensors: shapesOf(bound.inputs).map((shape) => ({ ...shape, from: madeOf(model, shape.name) })),
    columns: outputFields(model).map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable })),
    batch: { rows, bytes, perEvent, ...(model.per === '' ? { requests: perEvent ? events : requests } : {}) },
    blockRows: sizes.blockRows,
    groupRows: sizes.groupRows,
    bytesToRead: datasetBytes(dataset, bound.read).stored,
  };
}

function madeOf({ inputs }: Model, tensor: string): readonly string[] {
  const own = inputs.find(({ name }) => name === tensor);
  return own === undefined
    ? [`mask of ${inputs.find(({ mask }) => mask?.name === tensor)!.name}`]
    : own.columns.map(({ name }) => name);
}
