// Owns what an inference run says of itself: the fingerprint of what was asked, the receipt's entries, the report.
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { canonicalJson } from '../core/receipt.ts';
import { outputFields } from '../infer/answers.ts';
import type { BatchPlan } from '../infer/batch-plan.ts';
import type { Served } from '../infer/connect.ts';
import type { Model } from '../infer/model.ts';
import type { DoneGroup } from '../infer/run.ts';
import type { ModelInfo } from '../infer/types.ts';
import type { Plan, Task } from './infer-plan.ts';
import { identities, type Request } from './request.ts';

export interface Totals {
  rows: number;
  requests: number;
  resumed: number;
  readonly nonFinite: number[];
}

/** Of no groups. */
export function noTotals({ model }: Task): Totals {
  return { rows: 0, requests: 0, resumed: 0, nonFinite: outputFields(model).map(() => 0) };
}

export function addGroup(totals: Totals, { rows, requests, resumed, nonFinite, group }: DoneGroup): void {
  totals.rows += rows;
  // those of an earlier run were its own
  if (resumed) totals.resumed += group.end - group.start;
  else totals.requests += requests;
  nonFinite.forEach((values, i) => {
    totals.nonFinite[i] = totals.nonFinite[i]! + values;
  });
}

const digest = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

/** What the model file says about values. Who answers changes no score beyond rounding. */
function decisive({ servers: _, onnx: _onnx, protocol: _protocol, ...model }: Model) {
  return model;
}

/** Of a model file and who answers, what decides the scores. */
export function scoresAsked(model: Model, info: ModelInfo | undefined): string {
  return digest({ model: decisive(model), version: info?.version ?? null, config: info?.configHash ?? null });
}

/** Which model made the scores, and how it was asked, for the receipt. */
export function inferSpec(
  model: Model,
  { info, batch: { rows, bytes, perEvent } }: { readonly info: ModelInfo | undefined; readonly batch: BatchPlan },
) {
  return {
    model: model.name,
    version: info?.version ?? model.version,
    configHash: info?.configHash ?? null,
    binding: digest(decisive(model)),
    per: model.per === '' ? 'event' : model.per,
    batch: { rows, bytes, perEvent },
    onNan: model.onNan,
  };
}

/** How many at a time changes no score beyond rounding; what is asked does. */
export function requestOf({ model, dataset, key, options }: Task, info: ModelInfo | undefined): Request {
  const { batchRows = null, batchBytes = null, perEvent, compression } = options;
  const answered = info === undefined ? null : { version: info.version, config: info.configHash ?? null };
  return {
    inputs: digest(identities([dataset])),
    options: digest({ model: decisive(model), key, answered, batchRows, batchBytes, perEvent, compression }),
  };
}

export interface Answered {
  readonly request: Request;
  readonly info: ModelInfo | undefined;
  readonly served: Served | undefined;
  readonly totals: Totals;
}

/** What was asked, of whom, and what answered. */
export function specOf(
  { options, model, key }: Task,
  { batch, sizes }: Plan,
  { request, info, served, totals }: Answered,
) {
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
      ...inferSpec(model, { info, batch }),
      protocol: protocolOf(served),
      servers: (served?.servers ?? []).filter(({ rows }) => rows > 0).map(({ url }) => serverName(url)),
      fallbackRows: served?.fallbackRows ?? 0,
      spotRows: served?.spotRows ?? 0,
      nonFinite: Object.fromEntries(outputFields(model).map(({ name }, i) => [name, totals.nonFinite[i]!])),
    },
  };
}

export function policiesOf({ options, model }: Task): Readonly<Record<string, unknown>> {
  return {
    missing: 'null',
    duplicates: 'error',
    schema: options.schema,
    onNan: model.onNan,
    spotCheck: options.spotCheck,
    fallback: options.fallback,
  };
}

/** By what the servers are called: names without a scheme have got one, and a path is a file. */
function protocolOf(served: Served | undefined): string {
  const url = served?.servers[0]?.url;
  return url === undefined ? '' : (/^(http|grpc)s?:/.exec(url)?.[1] ?? 'onnx');
}

/** A model in this process has a path, and receipts have none. */
const serverName = (url: string): string => (url.includes('://') ? url : basename(url));

export function doneOf({ model }: Task, { info, served, totals }: Answered) {
  const { configHash } = info ?? {};
  return {
    protocol: protocolOf(served),
    version: info?.version ?? model.version,
    ...(configHash === undefined ? {} : { configHash }),
    servers: served?.servers ?? [],
    rows: totals.rows,
    requests: totals.requests,
    resumed: totals.resumed,
    nonFinite: outputFields(model).map(({ name }, i) => ({ name, values: totals.nonFinite[i]! })),
    spotRows: served?.spotRows ?? 0,
    halved: served?.halved ?? 0,
    fallbackRows: served?.fallbackRows ?? 0,
  };
}
