// Owns the join command: opens sources, reads keys, plans, runs, publishes.
import { invariant } from '../core/check.ts';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { typeName } from '../core/schema.ts';
import { keyStates, type Seal, sealKeys } from '../core/seal.ts';
import type { RowGroup } from '../join/duplicates.ts';
import { countLumis, type LumiCounts, lumiRanges } from '../join/lumis.ts';
import { makePlan, type PlanSource } from '../join/make-plan.ts';
import { type OutSchema, type SchemaSource, settleOutSchema } from '../join/out-schema.ts';
import type { JoinPlan } from '../join/plan.ts';
import { type RunResult, runPlan } from '../join/run.ts';
import { type Executor, inlineExecutor, poolExecutor } from '../join/work.ts';
import { readKeptKeys } from '../keys/key-files.ts';
import { readKeys } from '../keys/read.ts';
import { keySpecFor } from '../keys/spec.ts';
import { type Pool, startPool } from '../pool/pool.ts';
import { closeScratch, openScratch, scratchFolder } from '../scratch/scratch.ts';
import { openSink } from '../sink/registry.ts';
import type { Sink, SinkFormat } from '../sink/types.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import { type Budget, budgetFor } from './budget.ts';
import { writeDepfile } from './depfile.ts';
import { finishIfFresh, targetOf } from './finished.ts';
import { closeSources, inputsOf, type Opened, openSources } from './open-sources.ts';
import { abandonPlace, isDirectory, type OutputPlace, preparePlace, retireSummary, writeSidecars } from './output.ts';
import { type DatasetFiles, primaryDatasets } from './primary-datasets.ts';
import type { Request } from './request.ts';
import { threadsHere } from './resources.ts';
import type { CommandContext, JoinOptions, JoinReport, PlanSummary, RunJoin } from './types.ts';
import { TOOL } from './version.ts';

/** Joins the friends to the primary by event key. Errors: the catalogue's source/, key/, join/, sink/ and output/ codes. */
export const runJoin: RunJoin = async (options, context) => {
  refuseNonsense(options);
  let opened: Opened | undefined;
  let early: Pool | undefined;
  try {
    opened = await openSources(options, context);
    const { datasets, groups, sample, request } = opened;
    const fresh = await finishIfFresh(options, opened, context);
    if (fresh.report !== undefined) return fresh.report;
    early = startEarly(options, datasets);
    const key = keySpecFor(options.on, datasets[0]!.descriptor.schema, whereOf(datasets[0]!));
    const schema = settleOutSchema(schemaSources(options, datasets), schemaOptions(options, key));
    const sources = await readAllKeys(datasets, key, options.keyIndex, context);
    const plan = planned(options, opened, () =>
      makePlan(sources, schema, planOptions(options, schema, rowGroups(options, opened!))),
    );
    const budget = budgetFor(plan, datasets, options);
    const summary = summarize(plan, datasets, options, budget);
    if (options.dryRun) return { plan: summary, outputs: [], sealsEqual: 0 };
    return await carryOut(
      plan,
      datasets,
      { ...options, force: options.force || fresh.replace, ...(sample === undefined ? {} : { sample }) },
      { summary, early, request, groups, inputs: inputsOf(opened, options), ...context },
    );
  } finally {
    await early?.close();
    if (opened !== undefined) await closeSources(opened);
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
  if (!options.dryRun && options.output === undefined)
    throw new ColweaveError('usage/bad-option', 'no output: give -o OUT, or --dry-run');
  refuseBadParts(options);
}

function refuseBadParts({ primary, output, duplicates, eventsPerFile, targetBytes, depfile }: JoinOptions): void {
  const misuse = (message: string, hint?: string) =>
    new ColweaveError('usage/bad-option', message, hint === undefined ? {} : { hint });
  if (eventsPerFile !== undefined && targetBytes !== undefined) {
    throw misuse('--events-per-file and --target-size are two sizes for the same files');
  }
  const sized = eventsPerFile !== undefined ? '--events-per-file' : '--target-size';
  if ((eventsPerFile ?? targetBytes) !== undefined && output !== undefined && !isDirectory(output)) {
    throw misuse(`${sized} makes several files, and ${output} is one`, 'name a directory: -o DIR/');
  }
  if (depfile !== undefined && output === '-') throw misuse('--depfile is about a file, and -o - makes none');
  if (duplicates !== undefined && primaryDatasets(primary).length < 2) {
    throw misuse(
      '--duplicates first-by-source wants to know which files are which primary dataset',
      'name them in the order that counts: colweave join SingleMuon: mu/*.root DoubleMuon: dimu/*.root ...',
    );
  }
}

/** Who names primary datasets and has them overlap is told of the option for it. */
function planned(options: JoinOptions, { groups }: Opened, make: () => JoinPlan): JoinPlan {
  try {
    return make();
  } catch (error) {
    const named = groups.length > 1 && options.duplicates === undefined;
    if (!named || !(error instanceof ColweaveError) || error.code !== 'join/duplicate-key') throw error;
    const { code, message, where, details, cause } = error;
    const hint = 'to take events that several primary datasets have from the first: --duplicates first-by-source';
    throw new ColweaveError(code, message, { where, details, cause, hint });
  }
}

/** The rows of each primary dataset, where the first one keeps what several have. */
function rowGroups({ duplicates }: JoinOptions, { datasets, groups }: Opened): readonly RowGroup[] {
  if (duplicates === undefined) return [];
  const { files, rows } = datasets[0]!.descriptor;
  let end = 0;
  return groups.map((group) => {
    end += group.files;
    return { label: group.label, rowEnd: files[end]?.firstRow ?? rows };
  });
}

function whereOf({ descriptor }: Dataset): string[] {
  const first = descriptor.files[0]!.descriptor;
  return [first.uri, ...(first.identity.tree === undefined ? [] : [first.identity.tree])];
}

function schemaSources(options: JoinOptions, datasets: readonly Dataset[]): SchemaSource[] {
  return datasets.map(({ descriptor }, s) => {
    const label = s === 0 ? undefined : options.friends[s - 1]!.label;
    const rowBytes = (column: string) => datasetBytes(datasets[s]!, [column]).raw / Math.max(1, descriptor.rows);
    const columns = s === 0 ? undefined : options.friends[s - 1]!.columns;
    return { dataset: descriptor, label, name: descriptor.label, rowBytes, ...(columns && { columns }) };
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
    const { keys, fromIndex } =
      index === undefined
        ? { keys: await readKeys(dataset, key, undefined, signal), fromIndex: false }
        : await readKeptKeys(dataset, key, index, { emit, signal });
    const { descriptor } = dataset;
    sources.push({ descriptor, keys, keysFromIndex: fromIndex, label: descriptor.label });
  }
  emit({ type: 'progress', stage: 'keys', done: datasets.length, total: datasets.length });
  return sources;
}

function planOptions(options: JoinOptions, schema: OutSchema, groups: readonly RowGroup[]) {
  const { eventsPerFile, targetBytes } = options;
  return {
    groups,
    partSize: {
      ...(eventsPerFile === undefined ? {} : { events: eventsPerFile }),
      ...(targetBytes === undefined ? {} : { bytes: targetBytes }),
    },
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

interface CarryOut extends CommandContext {
  readonly summary: PlanSummary;
  readonly early: Pool | undefined;
  readonly request: Request;
  readonly groups: readonly DatasetFiles[];
  /** All files that the output depends on. */
  readonly inputs: readonly string[];
}

async function carryOut(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  options: JoinOptions,
  { inputs, ...context }: CarryOut,
): Promise<JoinReport> {
  const { summary, request, signal } = context;
  const output = options.output;
  invariant(output !== undefined, 'an output was asked for');
  const place = preparePlace(output, plan, inputs, options);
  try {
    const format = await openSink(output === '-' ? 'arrow' : options.writer);
    format.check({ fields: plan.columns.map((column) => column.field) });
    const { parts, sealsEqual, sinks } = await runHere(plan, datasets, format, { options, place, ...context });
    await publish(sinks, signal, () => {
      // a depfile without its output is harmless; an output without it would not be made again
      if (options.depfile !== undefined) writeDepfile(options.depfile, targetOf(output), inputs);
      retireSummary(place);
    });
    await writeSidecars(parts, place, { receipts: options.receipt, request, identify: options.writer !== 'arrow' });
    return {
      plan: summary,
      outputs: parts.map(({ path, rows, bytes, rowGroups }) => ({ path, rows, bytes, rowGroups })),
      sealsEqual,
    };
  } catch (error) {
    abandonPlace(place);
    throw error;
  }
}

interface RunHere extends Omit<CarryOut, 'inputs'> {
  readonly options: JoinOptions;
  readonly place: OutputPlace;
}

/** Runs the plan in this thread, or on a pool where more threads are allowed and there is work for them. */
async function runHere<Encoded>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<Encoded>,
  { options, summary, place, early, request, groups, emit, signal }: RunHere,
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
    const receipt = receiptContext(plan, options, { request, groups });
    const run = { targets: place.targets, sink, force: options.force, receipt, emit, signal };
    const executor: Executor<Encoded> = await starting;
    return await runPlan(plan, executor, format, run).finally(() => executor.close());
  } finally {
    if (scratch !== undefined) closeScratch(scratch);
  }
}

async function publish<Encoded>(
  sinks: readonly Sink<Encoded>[],
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

function receiptContext(
  plan: JoinPlan,
  options: JoinOptions,
  { request, groups }: { readonly request: Request; readonly groups: readonly DatasetFiles[] },
) {
  const lumis: LumiCounts = new Map();
  countLumis(lumis, plan.sources[0]!.keys);
  const sourceKeySeals = plan.sources.map(({ keys }): Seal => sealKeys(keyStates(keys, 0, keys.rows)));
  return {
    tool: TOOL,
    spec: { ...specOf(plan, options), request, ...(groups.length === 0 ? {} : { primaryDatasets: groups }) },
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
    duplicates: options.duplicates ?? 'error',
    schema: options.schema,
    absentTrigger: options.absentTrigger ?? null,
    expect: options.expect ?? null,
    dropUnreadable: options.dropUnreadable,
  };
}

function summarize(plan: JoinPlan, datasets: readonly Dataset[], options: JoinOptions, budget: Budget): PlanSummary {
  const sources = plan.sources.map((source, s) => {
    const columns = plan.columns.filter((column) => column.source === s && column.kind !== 'missing');
    const dataset = datasets[s]!;
    const names = columns.map(({ from }) => from);
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
    ...(plan.overlaps.length === 0 ? {} : { overlaps: plan.overlaps }),
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
