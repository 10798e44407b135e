// Owns the infer command: a model file bound to columns, servers asked, scores written with keys and a receipt.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { canonicalJson, receiptText } from '../core/receipt.ts';
import { typeName } from '../core/schema.ts';
import { outputFields } from '../infer/answers.ts';
import { BATCH_BYTES_MAX, type BatchPlan, planBatches, planGroups } from '../infer/batch-plan.ts';
import { type Bound, bindModel, shapesOf } from '../infer/bind-plan.ts';
import { checkModel } from '../infer/check-model.ts';
import type { Connected } from '../infer/connect.ts';
import type { Model } from '../infer/model.ts';
import { readModelFile } from '../infer/model-file.ts';
import { type DoneGroup, inferGroups } from '../infer/run.ts';
import { keySpecFor } from '../keys/spec.ts';
import { openSink } from '../sink/registry.ts';
import { closeDataset, type Dataset, datasetBytes, openDataset } from '../source/dataset.ts';
import { expandInputs } from '../source/inputs.ts';
import { standingOf } from './fresh.ts';
import { openScores, type ScoreWriter } from './infer-output.ts';
import { openParts, type PartStore, partsFolder } from './infer-parts.ts';
import { openServers } from './infer-servers.ts';
import type { BindingSummary, InferOptions, InferReport, RunInfer } from './infer-types.ts';
import { isDirectory, refuseOverwritingInput } from './output.ts';
import { identities, type Request } from './request.ts';
import type { CommandContext, FreshReport } from './types.ts';
import { TOOL } from './version.ts';
import { writeWhole } from './whole-file.ts';

/** Errors: those of inputs, of the model file, of servers, of the output. */
export const runInfer: RunInfer = async (options, context) => {
  refuseNonsense(options);
  const model = modelOf(options);
  const dataset = await openDataset(expandInputs(options.files), datasetOptions(options), context.signal);
  let servers: Connected | undefined;
  try {
    const task = bindTask(options, model, dataset);
    if (options.dryRun) return { binding: summaryOf(task, planOf(task, undefined)), outputs: [] };
    if (dataset.descriptor.rows > 0) servers = await openServers(options, model, context);
    if (servers !== undefined) checkModel(task.bound, servers.info);
    return await score(task, servers, context);
  } finally {
    await servers?.close();
    await closeDataset(dataset);
  }
};

function refuseNonsense({ output, dryRun, resume, force, redo }: InferOptions): void {
  if (!dryRun && output === undefined)
    throw new ColweaveError('usage/bad-option', 'no output: give -o OUT, or --dry-run');
  if (output !== undefined && (output === '-' || isDirectory(output)))
    throw new ColweaveError('usage/bad-option', `scores go into one Parquet file, and ${output} is none`);
  if (resume && (force || redo))
    throw new ColweaveError(
      'usage/bad-option',
      '--resume goes on with an output that is not finished, -f and --redo replace one that is',
    );
}

/** The command line wins over the model file. */
function modelOf(options: InferOptions): Model {
  const model = readModelFile(options.model);
  const { onNan, modelVersion } = options;
  return {
    ...model,
    ...(onNan === undefined ? {} : { onNan }),
    ...(modelVersion === undefined ? {} : { version: modelVersion }),
  };
}

function datasetOptions({ schema, tree }: InferOptions) {
  return { label: 'primary', schema, ...(tree === undefined ? {} : { tree }) };
}

/** Everything that is known before a server is asked. */
interface Task {
  readonly options: InferOptions;
  readonly model: Model;
  readonly dataset: Dataset;
  readonly key: KeySpec;
  readonly bound: Bound;
}

function bindTask(options: InferOptions, model: Model, dataset: Dataset): Task {
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

interface Plan {
  readonly batch: BatchPlan;
  readonly sizes: ReturnType<typeof planGroups>;
}

function planOf({ options, bound, dataset, model }: Task, servers: Connected | undefined): Plan {
  const { batchRows, batchBytes = BATCH_BYTES_MAX, perEvent } = options;
  const limits = { bytes: batchBytes, perEvent, ...(batchRows === undefined ? {} : { rows: batchRows }) };
  const { rows: events } = dataset.descriptor;
  const raw = (names: readonly string[]) => datasetBytes(dataset, names).raw / Math.max(1, events);
  const perEventRows = bound.objects === undefined ? 1 : Math.max(1, raw([bound.objects.column]) / 4);
  const outBytes = 16 + model.outputs.reduce((sum, { width }) => sum + 8 * width * perEventRows, 0);
  const sizes = planGroups({ events, readBytes: raw(bound.read), outBytes });
  return { batch: planBatches(bound, limits, servers?.info), sizes };
}

function summaryOf({ model, dataset, key, bound }: Task, { batch, sizes }: Plan): BindingSummary {
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

/** Asks, writes beside the output, publishes last. */
async function score(
  task: Task,
  servers: Connected | undefined,
  context: CommandContext,
): Promise<InferReport | FreshReport> {
  const { options, dataset, key, model } = task;
  const output = options.output!;
  const plan = planOf(task, servers);
  const request = requestOf(task, servers);
  const fresh = await finishIfFresh(task, request, context);
  if (fresh.report !== undefined) return fresh.report;
  refuseOverwritingInput(
    [output],
    dataset.descriptor.files.map(({ descriptor }) => descriptor.uri),
  );
  const began = performance.now();
  const parts = options.resume ? openParts(output, partsOf(request, servers, plan)) : undefined;
  const format = await openSink('parquet');
  const writer = await openScores(format, {
    target: output,
    key,
    schema: dataset.descriptor.schema,
    scores: outputFields(model),
    sink: { compression: options.compression },
    force: options.force || fresh.replace,
  });
  try {
    const totals = await writeGroups(task, plan, { servers, parts, writer }, context);
    const facts = {
      source: dataset.descriptor,
      spec: specOf(task, plan, { request, servers, totals }),
      policies: policiesOf(task),
    };
    const receipt = await writer.finish(facts);
    context.signal.throwIfAborted();
    await writer.commit();
    if (options.receipt) writeWhole(`${output}.receipt.json`, `${receiptText(receipt)}\n`);
    parts?.remove();
    const seconds = (performance.now() - began) / 1000;
    return {
      binding: summaryOf(task, plan),
      done: { ...doneOf(task, servers, totals), seconds },
      outputs: [{ path: output, rows: dataset.descriptor.rows, bytes: writer.bytes, rowGroups: writer.rowGroups }],
    };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

interface Totals {
  rows: number;
  requests: number;
  resumed: number;
  readonly nonFinite: number[];
}

interface Writing {
  readonly servers: Connected | undefined;
  readonly parts: PartStore | undefined;
  readonly writer: ScoreWriter;
}

async function writeGroups(
  { dataset, key, bound, model }: Task,
  { batch, sizes }: Plan,
  { servers, parts, writer }: Writing,
  { emit, signal }: CommandContext,
): Promise<Totals> {
  const totals: Totals = { rows: 0, requests: 0, resumed: 0, nonFinite: outputFields(model).map(() => 0) };
  if (servers === undefined) return totals;
  const finished = parts === undefined ? {} : { finished: parts.load };
  const run = { dataset, key, bound, plan: batch, groups: sizes.groups, asker: servers, ...finished, emit, signal };
  for await (const done of inferGroups(run)) {
    await writer.append(done.keys, done.columns);
    if (!done.resumed) parts?.save(done.group, done.keys, done);
    add(totals, done);
  }
  return totals;
}

function add(totals: Totals, { rows, requests, resumed, nonFinite, group }: DoneGroup): void {
  totals.rows += rows;
  totals.requests += requests;
  if (resumed) totals.resumed += group.end - group.start;
  nonFinite.forEach((values, i) => {
    totals.nonFinite[i] = totals.nonFinite[i]! + values;
  });
}

const digest = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

/** Who answers and how many at a time changes no score beyond rounding; what is asked does. */
function requestOf({ model, dataset, key, options }: Task, servers: Connected | undefined): Request {
  const { servers: _, onnx: _onnx, protocol: _protocol, ...asked } = model;
  const { batchRows = null, batchBytes = null, perEvent, compression } = options;
  const answered =
    servers === undefined ? null : { version: servers.info.version, config: servers.info.configHash ?? null };
  return {
    inputs: digest(identities([dataset])),
    options: digest({ model: asked, key, answered, batchRows, batchBytes, perEvent, compression }),
  };
}

function partsOf({ inputs, options }: Request, servers: Connected | undefined, { sizes }: Plan) {
  const { name: model, version, configHash } = servers?.info ?? { name: '', version: '', configHash: undefined };
  return { tool: TOOL, inputs, options, model, version, configHash: configHash ?? null, groupRows: sizes.groupRows };
}

/** `report`: there is nothing to do. Errors: output/exists. */
async function finishIfFresh(
  { options }: Task,
  request: Request,
  { signal }: CommandContext,
): Promise<{ readonly report?: FreshReport; readonly replace: boolean }> {
  const output = options.output!;
  const standing = await standingOf(output, false, request, { writer: 'parquet', signal });
  if (standing.kind === 'none') return { replace: false };
  if (standing.kind === 'fresh' && !options.redo && !existsSync(partsFolder(output)))
    return {
      report: { upToDate: true, outputs: standing.outputs.map(({ receipt: _, ...summary }) => summary) },
      replace: false,
    };
  if (standing.kind === 'fresh' || options.force) return { replace: standing.kind === 'fresh' };
  throw new ColweaveError('output/exists', `the output is there already, and ${standing.why}`, { where: [output] });
}

interface Answered {
  readonly request: Request;
  readonly servers: Connected | undefined;
  readonly totals: Totals;
}

/** What was asked, of whom, and what answered. */
function specOf({ options, model, key }: Task, { batch, sizes }: Plan, { request, servers, totals }: Answered) {
  const { rows, bytes, perEvent } = batch;
  return {
    how: 'left',
    on: key.columns.map(({ name }) => name),
    layout: 'arrow',
    columns: [],
    labels: [],
    sample: null,
    compression: options.compression,
    writer: 'parquet',
    request,
    rowGroupRows: sizes.groupRows,
    infer: {
      model: model.name,
      version: servers?.info.version ?? model.version,
      configHash: servers?.info.configHash ?? null,
      protocol: servers?.protocol ?? null,
      servers: servers?.served().map(({ url }) => url) ?? [],
      binding: digest({ ...model, servers: [], onnx: null, protocol: null }),
      per: model.per === '' ? 'event' : model.per,
      batch: { rows, bytes, perEvent },
      nonFinite: Object.fromEntries(outputFields(model).map(({ name }, i) => [name, totals.nonFinite[i]!])),
    },
  };
}

function policiesOf({ options, model }: Task): Readonly<Record<string, unknown>> {
  return {
    missing: 'null',
    duplicates: 'error',
    schema: options.schema,
    onNan: model.onNan,
    spotCheck: options.spotCheck,
    fallback: options.fallback,
  };
}

function doneOf({ model }: Task, servers: Connected | undefined, totals: Totals) {
  const { configHash } = servers?.info ?? {};
  return {
    protocol: servers?.protocol ?? '',
    version: servers?.info.version ?? model.version,
    ...(configHash === undefined ? {} : { configHash }),
    servers: servers?.served() ?? [],
    rows: totals.rows,
    requests: totals.requests,
    resumed: totals.resumed,
    nonFinite: outputFields(model).map(({ name }, i) => ({ name, values: totals.nonFinite[i]! })),
  };
}
