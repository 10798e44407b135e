// Owns the join command: opens sources, reads keys, plans, runs, publishes.
import { invariant } from '../core/check.ts';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { typeName } from '../core/schema.ts';
import { keyStates, type Seal, sealKeys } from '../core/seal.ts';
import { refuseUnreadable } from '../join/asked-unreadable.ts';
import { keyNames } from '../join/key-proof.ts';
import { countLumis, type LumiCounts, lumiRanges } from '../join/lumis.ts';
import { makePlan, type PlanSource } from '../join/make-plan.ts';
import { type OutSchema, type SchemaSource, settleOutSchema } from '../join/out-schema.ts';
import type { JoinPlan } from '../join/plan.ts';
import { witnessOf } from '../join/receipt.ts';
import { type RunResult, runPlan } from '../join/run.ts';
import { noWitness, witnessOnly } from '../join/witness.ts';
import { parseWitness, planWitnesses } from '../join/witness-plan.ts';
import { type Executor, inlineExecutor, poolExecutor } from '../join/work.ts';
import { readKeptKeys } from '../keys/key-files.ts';
import { readKeys } from '../keys/read.ts';
import { keySpecFor } from '../keys/spec.ts';
import { type Pool, startPool } from '../pool/pool.ts';
import { closeScratch, openScratch, scratchFolder } from '../scratch/scratch.ts';
import { openSink } from '../sink/registry.ts';
import type { Sink, SinkFormat } from '../sink/types.ts';
import { closeDataset, type Dataset, datasetBytes, openDataset } from '../source/dataset.ts';
import { expandInputs } from '../source/inputs.ts';
import { type Budget, budgetFor } from './budget.ts';
import {
  type Carried,
  type CarryOptions,
  carriedSpec,
  carryTrees,
  checkCarried,
  NOTHING_CARRIED,
  sumsMetadata,
} from './carry.ts';
import { explainDuplicates } from './duplicates.ts';
import { refuseOtherTitles, settleChannel } from './mc-identity.ts';
import { abandonPlace, isDirectory, type OutputPlace, preparePlace, writeSidecars } from './output.ts';
import { threadsHere } from './resources.ts';
import { agreeOnSample } from './sample.ts';
import type { CommandContext, JoinOptions, JoinReport, PlanSummary, RunJoin } from './types.ts';
import { TOOL } from './version.ts';

/** Joins the friends to the primary by event key. Errors: the catalogue's source/, key/, join/, sink/ and output/ codes. */
export const runJoin: RunJoin = async (options, context) => {
  refuseNonsense(options);
  const datasets: Dataset[] = [];
  let early: Pool | undefined;
  try {
    for (const source of sourcesOf(options)) {
      context.emit({ type: 'progress', stage: 'open', done: datasets.length, total: options.friends.length + 1 });
      datasets.push(await openDataset(expandInputs(source.files), source, context.signal));
    }
    const sample = agreeOnSample(options.sample, datasets);
    early = startEarly(options, datasets);
    const named = keySpecFor(options.on, datasets[0]!.descriptor.schema, whereOf(datasets[0]!));
    const key = await settleChannel(named, datasets, sample, context.signal);
    refuseUnreadable(options.columns, datasets);
    const schema = settleOutSchema(schemaSources(options, datasets), schemaOptions(options, key));
    if (options.titles !== 'ignore') await refuseTitles(datasets, schema, context.signal);
    const sources = await readAllKeys(datasets, key, options.keyIndex, context);
    const witnesses = planWitnesses(
      {
        datasets: datasets.map(({ descriptor }) => descriptor),
        columns: schema.columns,
        checks: schema.checks,
        key: key.columns.map(({ name }) => name),
      },
      parseWitness(options.witness ?? 'auto'),
    );
    const plan = await planOrExplain(datasets, sources, context.signal, () =>
      makePlan(sources, schema, { ...planOptions(options, schema), witnesses }),
    );
    const budget = budgetFor(plan, datasets, options);
    const summary = summarize(plan, datasets, options, budget);
    if (options.dryRun) {
      await checkCarried(datasets[0]!, carryOptions(options, options.output ?? 'out'), context.signal);
      return { plan: summary, outputs: [], sealsEqual: 0, witness: witnessOf(plan, noWitness(plan)) };
    }
    return await carryOut(
      plan,
      datasets,
      { ...options, ...(sample === undefined ? {} : { sample }) },
      { summary, early, ...context },
    );
  } finally {
    await early?.close();
    await Promise.all(datasets.map(closeDataset));
  }
};

/** Inputs from which threads are worth starting before the plan is known: they load while keys are read and matched. */
const EARLY_BYTES = 64 * 2 ** 20;

function startEarly(options: JoinOptions, datasets: readonly Dataset[]): Pool | undefined {
  const files = datasets.flatMap(({ descriptor }) => descriptor.files);
  const bytes = files.reduce((sum, { descriptor }) => sum + descriptor.identity.size, 0);
  const threads = options.jobs ?? threadsHere();
  return options.dryRun || bytes < EARLY_BYTES || threads < 2 ? undefined : startPool(threads);
}

function refuseNonsense(options: JoinOptions): void {
  if (options.how === 'right' && options.friends.length !== 1) {
    throw new ColweaveError('usage/bad-option', '--how right takes just one --with');
  }
  if (options.how !== 'inner' && options.how !== 'left' && options.missing.kind === 'drop') {
    throw new ColweaveError('usage/bad-option', `--missing drop contradicts --how ${options.how}`);
  }
  const labels = options.friends.flatMap(({ label }) => (label === undefined ? [] : [label]));
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) throw new ColweaveError('usage/bad-option', `label "${twice}" is given to two sources`);
  if (options.carry !== undefined && options.output === '-') {
    throw new ColweaveError('usage/bad-option', '--carry writes files beside the output: name one, not -');
  }
  if (!options.dryRun && options.output === undefined)
    throw new ColweaveError('usage/bad-option', 'no output: give -o OUT, or --dry-run');
}

/** `f1`, `f2` name the friends without a label in flags and reports; their columns keep their names. */
function friendName(options: JoinOptions, index: number): string {
  return options.friends[index]!.label ?? `f${index + 1}`;
}

function sourcesOf(options: JoinOptions) {
  const shared = {
    schema: options.schema,
    ...(options.tree === undefined ? {} : { tree: options.tree }),
    ...(options.absentTrigger === undefined ? {} : { absentTrigger: options.absentTrigger }),
  };
  return [
    { ...shared, label: 'primary', files: options.primary },
    ...options.friends.map((friend, i) => ({ ...shared, label: friendName(options, i), files: friend.files })),
  ];
}

async function refuseTitles(datasets: readonly Dataset[], { columns }: OutSchema, signal: AbortSignal): Promise<void> {
  for (const [s, dataset] of datasets.entries()) {
    const wanted = columns.filter(({ kind, source }) => kind === 'payload' && source === s).map(({ from }) => from);
    await refuseOtherTitles(dataset, new Set(wanted), signal);
  }
}

function whereOf({ descriptor }: Dataset): string[] {
  const first = descriptor.files[0]!.descriptor;
  return [first.uri, ...(first.identity.tree === undefined ? [] : [first.identity.tree])];
}

function schemaSources(options: JoinOptions, datasets: readonly Dataset[]): SchemaSource[] {
  return datasets.map(({ descriptor }, s) => {
    const label = s === 0 ? undefined : options.friends[s - 1]!.label;
    const rowBytes = (column: string) => datasetBytes(datasets[s]!, [column]).raw / Math.max(1, descriptor.rows);
    return { dataset: descriptor, label, name: descriptor.label, rowBytes };
  });
}

function schemaOptions(options: JoinOptions, key: KeySpec) {
  const { how, layout, columns, dropUnreadable } = options;
  return { key, how, layout, missing: options.missing.kind, columns, dropUnreadable };
}

async function readAllKeys(
  datasets: readonly Dataset[],
  key: KeySpec,
  index: string | undefined,
  { emit, signal }: CommandContext,
): Promise<PlanSource[]> {
  const sources: PlanSource[] = [];
  for (const dataset of datasets) {
    emit({ type: 'progress', stage: 'keys', done: sources.length, total: datasets.length });
    const keys =
      index === undefined
        ? await readKeys(dataset, key, undefined, signal)
        : await readKeptKeys(dataset, key, index, { emit, signal });
    sources.push({ descriptor: dataset.descriptor, keys, label: dataset.descriptor.label });
  }
  emit({ type: 'progress', stage: 'keys', done: datasets.length, total: datasets.length });
  return sources;
}

/** A refusal of duplicates says which files share them, and whether their content is equal. */
async function planOrExplain(
  datasets: readonly Dataset[],
  sources: readonly PlanSource[],
  signal: AbortSignal,
  plan: () => JoinPlan,
): Promise<JoinPlan> {
  try {
    return plan();
  } catch (error) {
    const sides = sources.map(({ keys }, s) => ({ keys, dataset: datasets[s]! }));
    throw await explainDuplicates(error, sides, signal);
  }
}

function planOptions(options: JoinOptions, schema: OutSchema) {
  return {
    how: options.how,
    layout: options.layout,
    drop: options.missing.kind === 'drop',
    perFile: options.output !== undefined && isDirectory(options.output),
    rowBytes: schema.columns.reduce((sum, column) => sum + column.rowBytes, 0),
    ...(options.missing.kind === 'fill' ? { fill: fillValue(options.missing.value) } : {}),
    ...(options.expect === undefined ? {} : { expect: options.expect }),
  };
}

function fillValue(text: string): number {
  const value = text === 'true' ? 1 : text === 'false' ? 0 : Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new ColweaveError('usage/bad-option', `--missing fill=${text}: not a number`);
  return value;
}

async function carryOut(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  options: JoinOptions,
  {
    summary,
    early,
    emit,
    signal,
  }: CommandContext & { readonly summary: PlanSummary; readonly early: Pool | undefined },
): Promise<JoinReport> {
  const output = options.output;
  invariant(output !== undefined, 'an output was asked for');
  const place = preparePlace(output, plan, datasets, options.force);
  let carried = NOTHING_CARRIED;
  try {
    const format = await openSink(output === '-' ? 'arrow' : options.writer);
    format.check({ fields: plan.columns.map((column) => column.field) });
    carried = await carryTrees(datasets[0]!, carryOptions(options, output), signal);
    const { parts, sealsEqual, witness, sinks } = await runHere(plan, datasets, format, {
      options,
      carried,
      summary,
      place,
      early,
      emit,
      signal,
    });
    await publish([...carried.sinks, ...sinks], signal);
    writeSidecars(parts, place, options.receipt);
    return {
      plan: summary,
      outputs: parts.map(({ path, rows, bytes, rowGroups }) => ({ path, rows, bytes, rowGroups })),
      sealsEqual,
      ...(carried.trees.length > 0 ? { carried: carried.trees } : {}),
      ...(carried.sums === undefined ? {} : { sums: carried.sums }),
      witness: witnessOf(plan, witness),
    };
  } catch (error) {
    await Promise.all(carried.sinks.map((sink) => sink.abort()));
    abandonPlace(place);
    throw error;
  }
}

function carryOptions(options: JoinOptions, output: string): CarryOptions {
  const { carry = [], schema, dropUnreadable, force, compression } = options;
  return { trees: carry, output, schema, dropUnreadable, force, sink: { compression } };
}

interface RunHere {
  readonly options: JoinOptions;
  readonly summary: PlanSummary;
  readonly place: OutputPlace;
  readonly carried: Carried;
  readonly early: Pool | undefined;
  readonly emit: CommandContext['emit'];
  readonly signal: AbortSignal;
}

/** Runs the plan in this thread, or on a pool where more threads are allowed and there is work for them. */
async function runHere<Encoded>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<Encoded>,
  { options, summary, place, carried, early, emit, signal }: RunHere,
): Promise<RunResult<Encoded>> {
  const sink = { compression: options.compression };
  const { threads } = summary;
  const scratch = summary.scratchBytes > 0 ? openScratch(scratchFolder()) : undefined;
  try {
    if (early?.size !== threads) await early?.close();
    const pool = threads > 1 && early?.size !== threads ? startPool(threads) : early;
    const starting =
      threads > 1 && pool !== undefined
        ? poolExecutor<Encoded>(plan, format.name, sink, { pool, scratch })
        : Promise.resolve(inlineExecutor(plan, datasets, format, sink, { signal, scratch }));
    starting.catch(() => {}); // awaited below, when this thread has done its own part
    const receipt = receiptContext(plan, options, carried);
    const metadataOf = (part: number) => sumsMetadata(carried, plan.parts, part);
    const run = { targets: place.targets, sink, force: options.force, receipt, metadataOf, emit, signal };
    const executor: Executor<Encoded> = await starting;
    return await runPlan(plan, executor, format, run).finally(() => executor.close());
  } finally {
    if (scratch !== undefined) closeScratch(scratch);
  }
}

async function publish(sinks: readonly Pick<Sink<unknown>, 'commit' | 'abort'>[], signal: AbortSignal): Promise<void> {
  try {
    signal.throwIfAborted();
    for (const sink of sinks) await sink.commit();
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}

function receiptContext(plan: JoinPlan, options: JoinOptions, carried: Carried) {
  const lumis: LumiCounts = new Map();
  countLumis(lumis, plan.sources[0]!.keys);
  const sourceKeySeals = plan.sources.map(({ keys }): Seal => sealKeys(keyStates(keys, 0, keys.rows)));
  return {
    tool: TOOL,
    spec: { ...specOf(plan, options), ...carriedSpec(carried) },
    policies: policiesOf(options),
    sourceKeySeals,
    lumisIn: lumiRanges(lumis),
  };
}

/** What was asked; never paths, threads or memory. */
function specOf(plan: JoinPlan, options: JoinOptions): Record<string, unknown> {
  return {
    how: options.how,
    on: plan.key.columns.map((column) => column.name),
    layout: options.layout,
    columns: options.columns,
    labels: options.friends.map((friend) => friend.label ?? null),
    sample: options.sample ?? null,
    compression: options.compression,
    writer: options.writer,
  };
}

function policiesOf(options: JoinOptions): Record<string, unknown> {
  const missing = options.missing.kind === 'fill' ? `fill=${options.missing.value}` : options.missing.kind;
  return {
    missing,
    duplicates: 'error',
    schema: options.schema,
    absentTrigger: options.absentTrigger ?? null,
    expect: options.expect ?? null,
    witness: options.witness ?? 'auto',
    titles: options.titles ?? 'stop',
    dropUnreadable: options.dropUnreadable,
  };
}

function summarize(plan: JoinPlan, datasets: readonly Dataset[], options: JoinOptions, budget: Budget): PlanSummary {
  const sources = plan.sources.map((source, s) => {
    const columns = plan.columns.filter((column) => column.source === s && column.kind !== 'missing');
    const dataset = datasets[s]!;
    const names = [...new Set([...columns.map(({ from }) => from), ...keyNames(plan, s), ...witnessOnly(plan, s)])];
    return {
      label: source.label,
      role: s === 0 ? ('primary' as const) : ('friend' as const),
      files: dataset.files.length,
      rows: dataset.descriptor.rows,
      columns: columns.length,
      matched: source.matched,
      missing: source.missing,
      extra: source.extra,
      path: source.path,
      why: source.why,
      bytesToRead: datasetBytes(dataset, names).stored,
      dropped: [...source.dropped, ...dataset.redundant],
      unreadable: dataset.unreadable,
    };
  });
  return {
    key: plan.key.columns.map((column) => column.name),
    how: plan.how,
    layout: plan.layout,
    sources,
    rowsOut: plan.rowsOut,
    columnsOut: plan.columns.map(({ field, source }) => ({
      name: field.name,
      type: typeName(field.type),
      nullable: field.nullable,
      source: plan.sources[source]!.label,
    })),
    rowGroupRows: plan.rowGroupRows,
    threads: budget.threads,
    memoryBytes: budget.memoryBytes,
    scratchBytes: budget.scratchBytes,
    notes: notesOf(plan, options),
  };
}

function notesOf(plan: JoinPlan, options: JoinOptions): string[] {
  const nulls = plan.columns.filter((column) => column.field.nullable && column.kind === 'payload').length;
  const anyMissing = plan.sources.some((source) => source.missing > 0);
  if (options.layout === 'nano' || nulls === 0 || !anyMissing) return [];
  return [
    `${nulls} columns hold nulls where events are missing: coffea's from_parquet misreads those of integers and bools; for coffea use --layout nano`,
  ];
}
