// Owns --dedup as a pass of its own, between the plan and its execution: finds equal columns and takes them out of the schema.

import { findEqual } from '../join/dedup.ts';
import { makePlan, type PlanOptions, type PlanSource } from '../join/make-plan.ts';
import type { Matching } from '../join/match.ts';
import type { OutSchema } from '../join/out-schema.ts';
import type { EqualColumn, JoinPlan } from '../join/plan.ts';
import type { Witness } from '../join/witness-plan.ts';
import { inlineExecutor, poolExecutor } from '../join/work.ts';
import type { Pool } from '../pool/pool.ts';
import { openSink } from '../sink/registry.ts';
import type { Dataset } from '../source/dataset.ts';
import type { CommandContext, JoinOptions } from './types.ts';

/** What a plan was made from. */
export interface Planned {
  readonly whole: JoinPlan;
  readonly sources: readonly PlanSource[];
  readonly schema: OutSchema;
  readonly options: PlanOptions;
  readonly matching: Matching;
  readonly witnessesOf: (schema: OutSchema) => readonly Witness[];
}

/** The plan without the columns that others say already: every part of the output obeys it. `pool`: its threads stay for the join. */
export async function dedupPlan(
  { whole, sources, schema, options, matching, witnessesOf }: Planned,
  datasets: readonly Dataset[],
  asked: JoinOptions,
  context: CommandContext & { readonly pool: Pool | undefined },
): Promise<JoinPlan> {
  const equal = await equalColumns(whole, datasets, asked, context);
  const fewer = withoutEqual(schema, equal);
  const rowBytes = fewer.columns.reduce((sum, column) => sum + column.rowBytes, 0);
  // a soft witness is a column that both sides write: one that is stored once is compared already
  return makePlan(sources, fewer, { ...options, rowBytes, witnesses: witnessesOf(fewer) }, matching, equal);
}

async function equalColumns(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  options: JoinOptions,
  { pool, emit, signal }: CommandContext & { readonly pool: Pool | undefined },
): Promise<readonly EqualColumn[]> {
  const format = await openSink(options.output === '-' ? 'arrow' : options.writer);
  const sink = { compression: options.compression };
  const executor =
    pool === undefined
      ? inlineExecutor(plan, datasets, format, sink, { signal })
      : await poolExecutor(plan, format.name, sink, { pool });
  const equal = await findEqual(plan, executor, (done, total) => {
    signal.throwIfAborted();
    emit({ type: 'progress', stage: 'dedup', done, total });
  });
  if (pool === undefined) await executor.close();
  return equal;
}

function withoutEqual(schema: OutSchema, equal: readonly EqualColumn[]): OutSchema {
  const names = new Set(equal.map(({ name }) => name));
  const columns = schema.columns.filter(({ field }) => !names.has(field.name));
  const written = (source: number, list: string) =>
    columns.some((column) => column.source === source && column.from === list);
  return { ...schema, columns, checks: schema.checks.filter(({ source, list }) => written(source, list)) };
}
