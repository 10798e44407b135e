// Owns carrying out a JoinPlan: scatter, blocks in order, sinks, the seal check, receipts, and publishing last.

import { invariant } from '../core/check.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { countAbsent } from '../core/flags.ts';
import { RECEIPT_KEY, type Receipt, receiptText } from '../core/receipt.ts';
import { addSeals, NO_SEAL, type Seal, sameSeal } from '../core/seal.ts';
import type { Sink, SinkFormat, SinkOptions } from '../sink/types.ts';
import { isFarPlan } from './ahead.ts';
import type { BlockResult, ColumnSeals } from './block.ts';
import { outputKeys } from './block-view.ts';
import { inOrder, type Lane } from './lanes.ts';
import { countLumis, type LumiCounts } from './lumis.ts';
import type { Block, JoinPlan, OutColumn } from './plan.ts';
import { makeReceipt, type PartTotals, type ReceiptContext } from './receipt.ts';
import { type Scorer, withScores } from './scores.ts';
import { addPartSeals, type PartSeals, type Segment, scatterTasks } from './shuffle.ts';
import { addWitness, type BlockWitness, noWitness } from './witness.ts';
import type { Executor } from './work.ts';

export interface RunOptions {
  /** Final path of each part. */
  readonly targets: readonly string[];
  readonly sink: SinkOptions;
  readonly force: boolean;
  readonly receipt: ReceiptContext;
  /** More metadata of a part, by its number. */
  readonly metadataOf?: (part: number) => Readonly<Record<string, string>>;
  /** Makes the plan's scores. */
  readonly scorer?: Scorer;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface WrittenPart {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly rowGroups: number;
  readonly receipt: Receipt;
}

export interface RunResult<Encoded> {
  readonly parts: readonly WrittenPart[];
  readonly sealsEqual: number;
  readonly witness: BlockWitness;
  /** Publishes every part, in order: the last thing done. */
  readonly sinks: readonly Sink<Encoded>[];
}

/** Encoded row groups that wait for the ones before them take memory: their bytes beside the one a thread works on. */
const WAITING_BYTES_MAX = 28 * 2 ** 20;
/** Encoded bytes of a raw one: about what NanoAOD gives. */
const ENCODED_PART = 0.4;

/**
 * Writes every part beside its target. Nothing is published here: the caller commits the sinks, or aborts them.
 * Errors: those of sources and sinks, join/seal-mismatch (our own bug), join/list-length, join/counter-differs.
 */
export async function runPlan<Encoded>(
  plan: JoinPlan,
  executor: Executor<Encoded>,
  format: SinkFormat<Encoded>,
  options: RunOptions,
): Promise<RunResult<Encoded>> {
  const bins = await scatterAll(plan, executor, options);
  const sinks: Sink<Encoded>[] = [];
  const blocks = blocksInOrder(plan, executor, bins, options.signal);
  const results =
    options.scorer === undefined ? blocks : withScores(plan, blocks, format, { ...options, scorer: options.scorer });
  try {
    const parts: WrittenPart[] = [];
    let sealsEqual = 0;
    let witness = noWitness(plan);
    const used = plan.sources.map(() => NO_SEAL);
    for (const [index, part] of plan.parts.entries()) {
      options.signal.throwIfAborted();
      const schema = { fields: plan.columns.map((column) => column.field) };
      const sink = await format.open(options.targets[index]!, schema, { ...options.sink, force: options.force });
      sinks.push(sink);
      const totals = await writeBlocks(plan, index, sink, results, options);
      const whole = withScattered(plan, bins, index, totals);
      sealsEqual = checkSeals(plan, whole);
      whole.sourceKeys.forEach((seal, s) => {
        used[s] = addSeals(used[s]!, seal);
      });
      witness = addWitness(witness, whole.witness);
      const receipt = makeReceipt(plan, whole, sink.fingerprint(), {
        ...options.receipt,
        rows: part.end - part.start,
        ...(part.of === undefined ? {} : { part: part.of }),
      });
      await sink.finish({ [RECEIPT_KEY]: receiptText(receipt), ...options.metadataOf?.(index) });
      const { bytes, rowGroups } = sink.fingerprint();
      parts.push({
        path: options.targets[index]!,
        rows: part.end - part.start,
        bytes,
        rowGroups: rowGroups.length,
        receipt,
      });
    }
    checkSources(plan, used, options.receipt.sourceKeySeals);
    return { parts, sealsEqual, witness, sinks };
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}

/** What was scattered: segments by block and source, seals by source and part. */
interface Bins {
  readonly segments: readonly Map<number, Segment[]>[];
  readonly seals: ReadonlyMap<number, ReadonlyMap<number, PartSeals>>;
}

async function scatterAll<Encoded>(
  plan: JoinPlan,
  executor: Executor<Encoded>,
  { emit, signal }: RunOptions,
): Promise<Bins> {
  const segments = plan.blocks.map(() => new Map<number, Segment[]>());
  const seals = new Map<number, Map<number, PartSeals>>();
  const tasks = plan.sources.flatMap((source, s) => {
    if (source.path !== 'shuffle') return [];
    seals.set(s, new Map());
    return scatterTasks(plan, s);
  });
  let done = 0;
  const lanes = { width: executor.width, runMax: tasks.length, share: 1 };
  for await (const { task, result } of inOrder(tasks, lanes, (task, lane) => executor.scatter(task, lane))) {
    signal.throwIfAborted();
    for (const { block, segment } of result.segments) {
      const bin = segments[block]!;
      const list = bin.get(task.source) ?? [];
      list.push(segment);
      bin.set(task.source, list);
    }
    const own = seals.get(task.source)!;
    for (const [part, seal] of result.seals) own.set(part, addPartSeals(own.get(part), seal));
    emit({ type: 'progress', stage: 'shuffle', done: ++done, total: tasks.length });
  }
  return { segments, seals };
}

export interface MadeBlock<Encoded> {
  readonly block: Block;
  readonly result: BlockResult<Encoded>;
}

function blocksInARow({ columns, rowGroupRows }: JoinPlan): number {
  const rowBytes = columns.reduce((sum, column) => sum + column.rowBytes, 0);
  return Math.max(1, Math.min(4, Math.floor(WAITING_BYTES_MAX / (rowBytes * rowGroupRows * ENCODED_PART))));
}

async function* blocksInOrder<Encoded>(
  plan: JoinPlan,
  executor: Executor<Encoded>,
  bins: Bins,
  signal: AbortSignal,
): AsyncGenerator<MadeBlock<Encoded>> {
  const run = (index: number, lane: Lane) => {
    const segments = bins.segments[index]!;
    const copy = new Map(segments);
    segments.clear();
    return executor.block(index, copy, lane);
  };
  // what lies across the border of two threads' rows is read by both: dear where it has to travel
  const { width } = executor;
  const inARow = blocksInARow(plan);
  const even = Math.max(1, Math.ceil(plan.blocks.length / width));
  const lanes = isFarPlan(plan)
    ? { width, runMax: Math.min(inARow, even), share: width }
    : { width, runMax: inARow, share: 0.5 };
  for await (const { task, result } of inOrder([...plan.blocks.keys()], lanes, run)) {
    signal.throwIfAborted();
    yield { block: plan.blocks[task]!, result };
  }
}

async function writeBlocks<Encoded>(
  plan: JoinPlan,
  part: number,
  sink: Sink<Encoded>,
  results: AsyncGenerator<MadeBlock<Encoded>>,
  { emit }: RunOptions,
): Promise<PartTotals> {
  const totals = emptyTotals(plan);
  let left = plan.blocks.filter((block) => block.part === part).length;
  for (; left > 0; left--) {
    const { done, value } = await results.next();
    invariant(done !== true, 'a result for every block');
    await sink.append(value.result.rows, value.result.encoded);
    addBlock(totals, value.result);
    countLumis(totals.lumis, outputKeys(plan, value.block));
    emit({ type: 'progress', stage: 'write', done: value.block.end, total: plan.rowsOut });
  }
  return totals;
}

interface Totals {
  rows: number;
  keySeal: Seal;
  order: Seal;
  readonly columns: ColumnSeals[];
  readonly sourceKeys: Seal[];
  readonly matched: number[];
  readonly lumis: LumiCounts;
  witness: BlockWitness;
}

function emptyTotals(plan: JoinPlan): Totals {
  return {
    rows: 0,
    keySeal: NO_SEAL,
    order: NO_SEAL,
    columns: plan.columns.map((column) => ({
      source: hasSource(column) ? NO_SEAL : undefined,
      moved: NO_SEAL,
      written: NO_SEAL,
    })),
    sourceKeys: plan.sources.map(() => NO_SEAL),
    matched: plan.sources.map(() => 0),
    lumis: new Map(),
    witness: noWitness(plan),
  };
}

/** Flags and places are ours: no source has them. */
function hasSource({ kind }: OutColumn): boolean {
  return kind === 'key' || kind === 'payload';
}

function addBlock<Encoded>(totals: Totals, result: BlockResult<Encoded>): void {
  totals.rows += result.rows;
  totals.keySeal = addSeals(totals.keySeal, result.keySeal);
  totals.order = addSeals(totals.order, result.order);
  result.seals.forEach((seals, i) => {
    const before = totals.columns[i]!;
    totals.columns[i] = {
      source: before.source && addSeals(before.source, seals.source ?? NO_SEAL),
      moved: addSeals(before.moved, seals.moved),
      written: addSeals(before.written, seals.written),
    };
  });
  result.sourceKeySeals.forEach((seal, s) => {
    totals.sourceKeys[s] = addSeals(totals.sourceKeys[s]!, seal ?? NO_SEAL);
  });
  totals.witness = addWitness(totals.witness, result.witness);
  result.matched.forEach((rows, s) => {
    totals.matched[s] = totals.matched[s]! + rows;
  });
}

/** Over all parts: as many rows of each source as were matched, and, where that is all of them, just its keys. */
function checkSources(plan: JoinPlan, used: readonly Seal[], all: readonly Seal[]): void {
  plan.sources.forEach(({ map, dataset, label }, s) => {
    const rows = map === undefined ? dataset.rows : map.length - countAbsent(map);
    const seal = used[s]!;
    if (seal.present === rows && (rows !== dataset.rows || sameSeal(seal, all[s]!))) return;
    throw new ColweaveError(
      'join/seal-mismatch',
      `${seal.present} rows of a source are in the output, ${rows} were matched, or others than those`,
      { where: [label] },
    );
  });
}

/** The source side of shuffled sources was sealed when they were scattered. */
function withScattered(plan: JoinPlan, bins: Bins, part: number, totals: PartTotals): PartTotals {
  const scattered = plan.sources.map((_, s) => bins.seals.get(s)?.get(part));
  const columns = totals.columns.map((seals, i) => {
    const column = plan.columns[i]!;
    const seal = column.kind === 'payload' ? scattered[column.source]?.columns.get(column.from) : undefined;
    return seal === undefined ? seals : { ...seals, source: seal };
  });
  const sourceKeys = totals.sourceKeys.map((seal, s) => scattered[s]?.keys ?? seal);
  return { ...totals, columns, sourceKeys };
}

/**
 * What came out is what went in, for every column, before anything is published; gives the number of columns compared.
 * Rows: each source's rows used have the keys of the output rows that say they hold them.
 */
function checkSeals(plan: JoinPlan, totals: PartTotals): number {
  let compared = 0;
  plan.columns.forEach((column, i) => {
    const { source, moved } = totals.columns[i]!;
    if (source === undefined) return;
    compared++;
    if (!sameSeal(source, moved)) {
      throw new ColweaveError(
        'join/seal-mismatch',
        `column "${column.field.name}" left its source with other values or events than it has in the output`,
        {
          where: [plan.sources[column.source]!.label],
        },
      );
    }
  });
  plan.sources.forEach((source, s) => {
    const seal = totals.sourceKeys[s]!;
    const whole = totals.matched[s] === totals.rows;
    if (seal.present !== totals.matched[s] || (whole && !sameSeal(seal, totals.keySeal))) {
      throw new ColweaveError(
        'join/seal-mismatch',
        'the events of a source are not those of the output rows made from it',
        { where: [source.label] },
      );
    }
  });
  return compared;
}
