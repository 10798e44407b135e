// Owns carrying out a join's plan: where the output goes, on which threads, carried trees, and publishing last.
import type { Ancestry } from '../core/ancestry.ts';
import { invariant } from '../core/check.ts';
import { sealSources } from '../join/key-jobs.ts';
import type { JoinPlan } from '../join/plan.ts';
import { witnessOf } from '../join/receipt.ts';
import { type RunResult, runPlan } from '../join/run.ts';
import { type Executor, inlineExecutor, poolExecutor } from '../join/work.ts';
import { closeScratch, openScratch, scratchFolder } from '../scratch/scratch.ts';
import { openSink } from '../sink/registry.ts';
import type { Sink, SinkFormat } from '../sink/types.ts';
import type { Dataset } from '../source/dataset.ts';
import { type Carried, type CarryOptions, carryTrees, NOTHING_CARRIED, sumsMetadata } from './carry.ts';
import { type Crew, settleCrew } from './crew.ts';
import { writeDepfile } from './depfile.ts';
import { targetOf } from './finished.ts';
import type { ScoredPlan } from './join-infer.ts';
import { receiptContext } from './join-report.ts';
import { abandonPlace, type OutputPlace, preparePlace, retireSummary, writeSidecars } from './output.ts';
import type { DatasetFiles } from './primary-datasets.ts';
import type { Request } from './request.ts';
import type { CommandContext, JoinOptions, JoinReport, PlanSummary, ScoresSummary } from './types.ts';

export interface CarryOut extends CommandContext {
  readonly summary: PlanSummary;
  readonly crew: Crew;
  readonly request: Request;
  readonly groups: readonly DatasetFiles[];
  /** Of each source, as far as its files tell. */
  readonly ancestry: readonly (Ancestry | undefined)[];
  /** All files that the output depends on. */
  readonly inputs: readonly string[];
  readonly scored: ScoredPlan | undefined;
}

/** Nothing is under the output's name before all checks are done. */
export async function carryOut(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  options: JoinOptions,
  { inputs, ...context }: CarryOut,
): Promise<JoinReport> {
  const { summary, request, signal } = context;
  const output = options.output;
  invariant(output !== undefined, 'an output was asked for');
  const place = preparePlace(output, plan, inputs, options);
  let carried = NOTHING_CARRIED;
  try {
    const format = await openSink(output === '-' ? 'arrow' : options.writer);
    format.check({ fields: plan.columns.map((column) => column.field) });
    carried = await carryTrees(datasets[0]!, carryOptions(options, output), signal);
    const here = { options, place, carried, ...context };
    const { parts, sealsEqual, witness, sinks } = await runHere(plan, datasets, format, here);
    const scores = await finishScores(context.scored, sinks);
    await publish([...carried.sinks, ...sinks], signal, () => {
      // a depfile without its output is harmless; an output without it would not be made again
      if (options.depfile !== undefined) writeDepfile(options.depfile, targetOf(output), inputs);
      retireSummary(place);
    });
    await writeSidecars(parts, place, { receipts: options.receipt, request, identify: options.writer !== 'arrow' });
    return {
      plan: summary,
      outputs: parts.map(({ path, rows, bytes, rowGroups }) => ({ path, rows, bytes, rowGroups })),
      sealsEqual,
      ...(carried.trees.length > 0 ? { carried: carried.trees } : {}),
      ...(carried.sums === undefined ? {} : { sums: carried.sums }),
      witness: witnessOf(plan, witness),
      ...(scores === undefined ? {} : { scores }),
    };
  } catch (error) {
    await Promise.all(carried.sinks.map((sink) => sink.abort()));
    abandonPlace(place);
    throw error;
  }
}

/** The last of the answers may tell that none can be trusted. */
async function finishScores(
  scored: ScoredPlan | undefined,
  sinks: readonly Pick<Sink<unknown>, 'abort'>[],
): Promise<ScoresSummary | undefined> {
  try {
    return await scored?.finish();
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}

export function carryOptions(options: JoinOptions, output: string): CarryOptions {
  const { carry = [], schema, dropUnreadable, force, compression } = options;
  return { trees: carry, output, schema, dropUnreadable, force, sink: { compression } };
}

interface RunHere extends Omit<CarryOut, 'inputs'> {
  readonly options: JoinOptions;
  readonly place: OutputPlace;
  readonly carried: Carried;
}

/** Runs the plan in this thread, or on a pool where more threads are allowed and there is work for them. */
async function runHere<Encoded>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<Encoded>,
  { options, summary, place, carried, crew, request, groups, ancestry, scored, emit, signal }: RunHere,
): Promise<RunResult<Encoded>> {
  const sink = { compression: options.compression };
  const { threads } = summary;
  const scratch = summary.scratchBytes > 0 ? openScratch(scratchFolder()) : undefined;
  try {
    const pool = await settleCrew(crew, threads);
    const starting =
      pool !== undefined
        ? poolExecutor<Encoded>(plan, format.name, sink, { pool, scratch })
        : Promise.resolve(inlineExecutor(plan, datasets, format, sink, { signal, scratch }));
    starting.catch(() => {}); // awaited below, when this thread has done its own part
    const sourceKeySeals = await sealSources(
      plan.sources.map(({ keys }) => keys),
      pool,
    );
    const receipt = receiptContext(plan, options, {
      carried,
      request,
      groups,
      ancestry,
      selection: summary.selection,
      sourceKeySeals,
      ...(scored === undefined ? {} : { infer: scored.spec }),
    });
    const metadataOf = (part: number) => sumsMetadata(carried, plan.parts, part);
    const scorer = scored === undefined ? {} : { scorer: scored.scorer };
    const run = { targets: place.targets, sink, force: options.force, receipt, metadataOf, ...scorer, emit, signal };
    const executor: Executor<Encoded> = await starting;
    return await runPlan(plan, executor, format, run).finally(() => executor.close());
  } finally {
    if (scratch !== undefined) closeScratch(scratch);
  }
}

async function publish(
  sinks: readonly Pick<Sink<unknown>, 'commit' | 'abort'>[],
  signal: AbortSignal,
  before: () => void,
): Promise<void> {
  try {
    signal.throwIfAborted();
    before();
    for (const sink of sinks) await sink.commit();
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}
