// Owns `join --infer`: a model file bound to the columns of the output, and servers that score its rows while they are joined.

import { ColweaveError } from '../core/errors.ts';
import { outputFields } from '../infer/answers.ts';
import { openLane } from '../infer/ask.ts';
import { BATCH_BYTES_MAX, type BatchPlan, planBatches } from '../infer/batch-plan.ts';
import { bindBlock } from '../infer/bind.ts';
import { type Bound, bindModel } from '../infer/bind-plan.ts';
import { checkModel } from '../infer/check-model.ts';
import type { Connected, Served } from '../infer/connect.ts';
import type { Model } from '../infer/model.ts';
import { readModelFile } from '../infer/model-file.ts';
import { sendBlock } from '../infer/run.ts';
import { makeTensorRoom } from '../infer/tensor-room.ts';
import type { JoinPlan, OutColumn } from '../join/plan.ts';
import type { Scorer } from '../join/scores.ts';
import { inferSpec, scoresAsked } from './infer-report.ts';
import { openServers } from './infer-servers.ts';
import type { CommandContext, JoinOptions, ScoresSummary } from './types.ts';

export interface Scoring {
  /** What of it decides the output, for the fingerprint of the request. */
  readonly asked: string;
  /**
   * Columns by their names in the output. Errors: source/no-column, usage/bad-model, join/name-clash, infer/model-differs.
   */
  plan(plan: JoinPlan, signal: AbortSignal): ScoredPlan;
  close(): Promise<void>;
}

/** Errors: those of the model file and of servers. */
export async function openScoring(
  infer: NonNullable<JoinOptions['infer']>,
  dryRun: boolean,
  context: CommandContext,
): Promise<Scoring> {
  const model = readModelFile(infer.file);
  const asked = { servers: infer.servers, spotCheck: infer.spotCheck, fallback: false };
  const servers = dryRun ? undefined : await openServers(asked, model, context);
  return {
    asked: scoresAsked(model, servers?.info),
    plan: (plan, signal) => planScores(plan, { model, servers }, signal),
    close: async () => servers?.close(),
  };
}

interface Ready {
  readonly model: Model;
  /** Undefined: nothing is asked, as of a dry run. */
  readonly servers: Connected | undefined;
}

/** A plan that has the scores behind its columns, and what makes them. */
export interface ScoredPlan {
  readonly plan: JoinPlan;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly scorer: Scorer;
  /** When all is written. Errors: infer/spot-check. */
  finish(): Promise<ScoresSummary>;
}

function planScores(plan: JoinPlan, { model, servers }: Ready, signal: AbortSignal): ScoredPlan {
  const bound = bindOutput(model, plan);
  if (servers !== undefined) checkModel(bound, servers.info);
  const fields = outputFields(model);
  const taken = fields.find(({ name }) => plan.columns.some(({ field }) => field.name === name));
  if (taken !== undefined)
    throw new ColweaveError('join/name-clash', `the column "${taken.name}" is there already`, {
      hint: 'name the scores otherwise: outputs: in the model file',
    });
  const scores = fields.map((field): OutColumn => ({ field, kind: 'score', source: 0, from: '', rowBytes: 4 }));
  const batch = planBatches(bound, { bytes: BATCH_BYTES_MAX, perEvent: false }, servers?.info);
  const totals = { rows: 0, requests: 0, nonFinite: fields.map(() => 0) };
  return {
    plan: { ...plan, columns: [...plan.columns, ...scores], scored: bound.read },
    spec: inferSpec(model, { info: servers?.info, batch }),
    scorer: scorerOf({ bound, batch, servers, totals }, signal),
    finish: async () => {
      const served = await servers?.finish(
        model.outputs.map(({ name }) => name),
        signal,
      );
      return summaryOf(model, totals, served);
    },
  };
}

/** A block has the columns that it writes, and no others. */
function bindOutput(model: Model, { columns }: JoinPlan): Bound {
  try {
    return bindModel(model, { fields: columns.map(({ field }) => field) }, ['the columns of the output']);
  } catch (error) {
    if (!(error instanceof ColweaveError) || error.code !== 'source/no-column') throw error;
    const { message, where, near } = error;
    const hint = 'what the model takes must be among the columns that are written: see -c';
    throw new ColweaveError('source/no-column', message, { where, near, hint });
  }
}

interface Totals {
  rows: number;
  requests: number;
  readonly nonFinite: number[];
}

interface Scored {
  readonly bound: Bound;
  readonly batch: BatchPlan;
  readonly servers: Connected | undefined;
  readonly totals: Totals;
}

function scorerOf({ bound, batch, servers, totals }: Scored, signal: AbortSignal): Scorer {
  if (servers === undefined) return { begin: () => Promise.reject(new Error('a dry run asks nobody')) };
  const sending = {
    bound,
    plan: batch,
    asker: servers,
    lane: openLane(servers, signal),
    room: makeTensorRoom(),
    signal,
  };
  return {
    begin: async (first, columns) => {
      const { done } = await sendBlock(sending, first, bindBlock(bound, columns));
      const counted = done.then((scores) => {
        totals.rows += scores.rows;
        totals.requests += scores.requests;
        scores.nonFinite.forEach((values, i) => {
          totals.nonFinite[i] = totals.nonFinite[i]! + values;
        });
        return scores.columns;
      });
      counted.catch(() => {});
      return { done: counted };
    },
  };
}

function summaryOf(model: Model, totals: Totals, served: Served | undefined): ScoresSummary {
  return {
    model: model.name,
    rows: totals.rows,
    requests: totals.requests,
    servers: served?.servers ?? [],
    nonFinite: outputFields(model).map(({ name }, i) => ({ name, values: totals.nonFinite[i]! })),
    spotRows: served?.spotRows ?? 0,
  };
}
