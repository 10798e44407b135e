// Owns the join command: opens sources, reads keys, plans, and has the plan carried out.
import { rememberReads } from '../bytes/remembered.ts';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { isFar } from '../join/ahead.ts';
import { refuseUnreadable } from '../join/asked-unreadable.ts';
import type { RowGroup } from '../join/duplicates.ts';
import { keyCrew, openTogether, readKeysTogether } from '../join/key-jobs.ts';
import { makePlan, matchRows, type PlanOptions, type PlanSource } from '../join/make-plan.ts';
import { type OutSchema, type SchemaSource, settleOutSchema } from '../join/out-schema.ts';
import type { JoinPlan } from '../join/plan.ts';
import { witnessOf } from '../join/receipt.ts';
import type { Selection } from '../join/where/select.ts';
import { noWitness } from '../join/witness.ts';
import { parseWitness, planWitnesses } from '../join/witness-plan.ts';
import { readKeptKeys } from '../keys/key-files.ts';
import { readKeys, spillKeys } from '../keys/read.ts';
import { keySpecFor } from '../keys/spec.ts';
import { firstOtherKey, type KeyStore } from '../keys/store.ts';
import type { Pool } from '../pool/pool.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import { settleAncestry } from './ancestry.ts';
import { budgetFor } from './budget.ts';
import { checkCarried } from './carry.ts';
import { type Crew, closeCrew, manyKeys, startCrew, threadsWorth } from './crew.ts';
import { dedupPlan } from './dedup.ts';
import { explainDuplicates } from './duplicates.ts';
import { finishIfFresh } from './finished.ts';
import type { Scoring } from './join-infer.ts';
import { summarize } from './join-report.ts';
import { carryOptions, carryOut } from './join-run.ts';
import { closeSpill, dropSorted, type KeySpill, spillIfShort } from './key-spill.ts';
import { expandTrees } from './many-trees.ts';
import { refuseOtherTitles, settleChannel } from './mc-identity.ts';
import { closeSources, inputsOf, type Opened, openSources } from './open-sources.ts';
import { isDirectory } from './output.ts';
import { primaryDatasets } from './primary-datasets.ts';
import { goesToServer, joinToServer } from './remote-output.ts';
import { threadsHere } from './resources.ts';
import { selectionSummary, selectPrimary } from './selection.ts';
import type { CommandContext, FreshReport, JoinOptions, JoinReport, RunJoin } from './types.ts';
import { cacheText, withCache } from './with-cache.ts';

/** Joins the friends to the primary by event key. Errors: the catalogue's source/, key/, join/, sink/ and output/ codes. */
export const runJoin: RunJoin = async (asked, context) => {
  if (goesToServer(asked)) return joinToServer(asked, context, runJoin);
  if (context.cache !== undefined) return join(asked, context);
  const { result, cache } = await withCache(asked, false, context, (inner) => join(asked, inner));
  if (cache !== undefined) context.emit({ type: 'note', text: cacheText(cache) });
  return result;
};

const join: RunJoin = async (asked, context) => {
  refuseNonsense(asked);
  const scoring = await scoringOf(asked, context);
  try {
    return await joinWith(asked, scoring, context);
  } finally {
    await scoring?.close();
  }
};

/** Loaded only when it is asked for: protocols and model files take their time, also to a join that scores nothing. */
async function scoringOf({ infer, dryRun }: JoinOptions, context: CommandContext): Promise<Scoring | undefined> {
  if (infer === undefined) return undefined;
  const { openScoring } = await import('./join-infer.ts');
  return openScoring(infer, dryRun, context);
}

async function joinWith(
  asked: JoinOptions,
  scoring: Scoring | undefined,
  context: CommandContext,
): Promise<JoinReport | FreshReport> {
  const scores = scoring === undefined ? {} : { scores: scoring.asked };
  const options = { ...asked, friends: await expandTrees(asked), ...scores };
  refuseNonsense(options);
  let opened: Opened | undefined;
  const crew: Crew = {};
  const spill: KeySpill = {};
  try {
    opened = await openSources(options, context);
    const { datasets, groups, sample, request } = opened;
    const fresh = await finishIfFresh(options, opened, context);
    if (fresh.report !== undefined) return fresh.report;
    const ancestry = await settleAncestry(datasets, sample, context.signal);
    if (manyKeys(datasets) && !datasets.some(isFar)) {
      startCrew(crew, options.jobs ?? threadsHere());
      if (crew.pool !== undefined) await openTogether(datasets, crew.pool);
    }
    const { plan: joined, selection, threads } = await planJoin(options, opened, { crew, spill, ...context });
    const scored = scoring?.plan(joined, context.signal);
    const plan = scored?.plan ?? joined;
    const budget = budgetFor(plan, datasets, { ...options, jobs: threads });
    const planned = summarize(plan, datasets, options, budget);
    const summary = {
      ...planned,
      notes: [...planned.notes, ...ancestry.notes],
      ...(selection && { selection: selectionSummary(selection) }),
    };
    if (options.dryRun) {
      await checkCarried(datasets[0]!, carryOptions(options, options.output ?? 'out'), context.signal);
      return { plan: summary, outputs: [], sealsEqual: 0, witness: witnessOf(plan, noWitness(plan)) };
    }
    return await carryOut(
      plan,
      datasets,
      { ...options, force: options.force || fresh.replace, ...(sample === undefined ? {} : { sample }) },
      {
        summary,
        crew,
        request,
        groups,
        ancestry: ancestry.sources,
        inputs: inputsOf(opened, options),
        scored,
        ...context,
      },
    );
  } finally {
    await closeCrew(crew);
    closeSpill(spill);
    if (opened !== undefined) await closeSources(opened);
  }
}

interface Planned {
  readonly plan: JoinPlan;
  readonly selection: Selection | undefined;
  /** At most so many: what is left to do is worth no more. */
  readonly threads: number;
}

interface Planning {
  /** Threads that were started have the files open: what is on servers this thread reads alone, so that it travels once. */
  readonly crew: Crew;
  readonly spill: KeySpill;
}

/** Reads keys and metadata, the columns of --where, and with --dedup those that may be equal. */
async function planJoin(
  options: JoinOptions,
  opened: Opened,
  { crew, spill, ...context }: CommandContext & Planning,
): Promise<Planned> {
  const { datasets, sample } = opened;
  const { signal } = context;
  const named = keySpecFor(options.on, datasets[0]!.descriptor.schema, whereOf(datasets[0]!));
  const key = await settleChannel(named, datasets, sample, signal);
  refuseUnreadable(options.columns, datasets);
  const schema = settleOutSchema(schemaSources(options, datasets), schemaOptions(options, key));
  if (options.titles !== 'ignore') await refuseTitles(datasets, schema, signal);
  const witnessesOf = ({ columns, checks }: OutSchema) =>
    planWitnesses(
      {
        datasets: datasets.map(({ descriptor }) => descriptor),
        columns,
        checks,
        key: key.columns.map(({ name }) => name),
      },
      parseWitness(options.witness ?? 'auto'),
    );
  const witnesses = witnessesOf(schema); // what --witness names may be wrong: told before anything is read
  const { pool } = crew;
  const selection = await selectPrimary(options, datasets[0]!, { pool, ...context });
  const { threads, soon } = threadsWorth(schema.columns, datasets, selection, options);
  if (soon && !options.dryRun) startCrew(crew, threads);
  spillIfShort(spill, options, key, datasets);
  const sources = await rememberReads(() => readAllKeys(datasets, key, options.keyIndex, { pool, spill, ...context }));
  const asked: PlanOptions = {
    ...planOptions(options, schema, rowGroups(options, opened)),
    witnesses,
    ...(selection && { selected: selection.selected }),
  };
  const most = Math.max(...sources.map(({ keys }) => keys.rows));
  const [matching, whole] = await planOrExplain(options, opened, { sources, signal }, async () => {
    const matching = await matchRows(sources, schema, asked, keyCrew(pool, most, spill.sorted));
    dropSorted(spill);
    return [matching, makePlan(sources, schema, asked, matching)] as const;
  });
  if (options.dedup !== true || options.dryRun) return { plan: whole, selection, threads };
  const planned = { whole, sources, schema, options: asked, matching, witnessesOf };
  const plan = await dedupPlan(planned, datasets, options, { pool: crew.pool, ...context });
  return { plan, selection, threads };
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
  if (options.infer !== undefined && options.mapOnly === true)
    throw new ColweaveError('usage/bad-option', '--infer wants columns, and --map-only writes none');
  refuseMapNonsense(options);
  refuseBadParts(options);
  if (options.where !== undefined && options.duplicates !== undefined) {
    throw new ColweaveError(
      'usage/bad-option',
      '--where does not go with --duplicates first-by-source: the datasets may say different things of an event they share',
      { hint: 'join with --duplicates first, then take events with --where from what came out' },
    );
  }
}

/** A row map holds no payload: what chooses, names or fills payload means nothing. */
function refuseMapNonsense({ mapOnly, columns, friends, dedup, naming, layout, missing }: JoinOptions): void {
  if (mapOnly !== true) return;
  const asked = [
    columns.length > 0 ? '--columns' : '',
    friends.some((friend) => friend.columns !== undefined) ? 'columns of a source' : '',
    dedup === true ? '--dedup' : '',
    naming === undefined ? '' : '--name, --rename or --own-collections',
    layout === 'nano' ? '--layout nano' : '',
    missing.kind === 'fill' ? '--missing fill' : '',
  ].find((option) => option !== '');
  if (asked !== undefined)
    throw new ColweaveError('usage/bad-option', `--map-only writes no payload: ${asked} means nothing with it`);
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

interface Explaining {
  readonly sources: readonly PlanSource[];
  readonly signal: AbortSignal;
}

/** A refusal of duplicates says which files share them, whether their content is equal, and which option is about them. */
async function planOrExplain<Plan>(
  options: JoinOptions,
  { datasets, groups }: Opened,
  { sources, signal }: Explaining,
  plan: () => Promise<Plan>,
): Promise<Plan> {
  try {
    return await plan();
  } catch (error) {
    const sides = sources.map(({ keys }, s) => ({ keys, dataset: datasets[s]! }));
    const explained = await explainDuplicates(error, sides, signal);
    const named = groups.length > 1 && options.duplicates === undefined;
    if (!named || !(explained instanceof ColweaveError) || explained.code !== 'join/duplicate-key') throw explained;
    const { code, message, where, details, cause } = explained;
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
    const columns = s === 0 ? undefined : options.friends[s - 1]!.columns;
    return { dataset: descriptor, label, name: descriptor.label, rowBytes, ...(columns && { columns }) };
  });
}

function schemaOptions(options: JoinOptions, key: KeySpec) {
  const { how, layout, columns, dropUnreadable, naming } = options;
  return {
    key,
    how,
    layout,
    missing: options.missing.kind,
    ...(options.missing.kind === 'fill' ? { fill: fillValue(options.missing.value) } : {}),
    columns,
    dropUnreadable,
    where: options.where !== undefined,
    mapOnly: options.mapOnly === true,
    ...(naming === undefined ? {} : { naming }),
  };
}

async function readAllKeys(
  datasets: readonly Dataset[],
  key: KeySpec,
  index: string | undefined,
  { pool, spill, emit, signal }: CommandContext & Pick<Planning, 'spill'> & { readonly pool: Pool | undefined },
): Promise<PlanSource[]> {
  const sources: PlanSource[] = [];
  const { keys: scratch } = spill;
  const together = index === undefined ? pool : undefined;
  while (sources.length < datasets.length) {
    const first = sources.length;
    emit({ type: 'progress', stage: 'keys', done: first, total: datasets.length });
    const end = together === undefined || first > 0 ? first + 1 : Math.min(2, datasets.length);
    const read =
      together === undefined
        ? [await readKeysOf(datasets[first]!, key, index, { scratch, emit, signal })]
        : await readKeysTogether(datasets, key, { first, end }, { pool: together, scratch, signal });
    for (const own of read) {
      const { descriptor } = datasets[sources.length]!;
      // variations with the same events in the same order share one table: twenty would fill the memory
      const keys = sources.find(({ keys: other }) => sameKeys(other, own))?.keys ?? own;
      sources.push({ descriptor, keys, label: descriptor.label });
    }
  }
  emit({ type: 'progress', stage: 'keys', done: datasets.length, total: datasets.length });
  return sources;
}

function readKeysOf(
  dataset: Dataset,
  key: KeySpec,
  index: string | undefined,
  { scratch, emit, signal }: CommandContext & { readonly scratch: Scratch | undefined },
): Promise<KeyStore> {
  if (scratch !== undefined) return spillKeys(dataset, key, scratch, signal);
  return index === undefined
    ? readKeys(dataset, key, undefined, signal)
    : readKeptKeys(dataset, key, index, { emit, signal });
}

function sameKeys(left: KeyStore, right: KeyStore): boolean {
  return left.rows === right.rows && firstOtherKey(left, right) < 0;
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
