// Owns carrying out a JoinPlan: scatter, blocks in order, sinks, the seal check, receipts, and publishing last.
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { canonicalJson, RECEIPT_KEY, type Receipt } from '../core/receipt.ts';
import { addSeals, NO_SEAL, type Seal, sameSeal } from '../core/seal.ts';
import type { Sink, SinkFormat, SinkOptions } from '../sink/types.ts';
import type { Dataset } from '../source/dataset.ts';
import { type BlockContext, type BlockResult, type ColumnSeals, makeBlock, outputKeys } from './block.ts';
import { countLumis, type LumiCounts } from './lumis.ts';
import type { Block, JoinPlan, OutColumn } from './plan.ts';
import { makeReceipt, type PartTotals, type ReceiptContext } from './receipt.ts';
import { type SegmentStore, segmentStore } from './shuffle.ts';

export interface RunOptions {
  /** Final path of each part. */
  readonly targets: readonly string[];
  readonly sink: SinkOptions;
  readonly force: boolean;
  readonly receipt: ReceiptContext;
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
  /** Publishes every part, in order: the last thing done. */
  readonly sinks: readonly Sink<Encoded>[];
}

/**
 * Writes every part beside its target. Nothing is published here: the caller commits the sinks, or aborts them.
 * Errors: those of sources and sinks, join/seal-mismatch (our own bug), join/list-length, join/counter-differs.
 */
export async function runPlan<Encoded>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<Encoded>,
  options: RunOptions,
): Promise<RunResult<Encoded>> {
  const store = segmentStore(plan);
  await scatterAll(plan, datasets, store, options);
  const context: BlockContext<Encoded> = { plan, datasets, segments: store, format, options: options.sink };
  const sinks: Sink<Encoded>[] = [];
  try {
    const parts: WrittenPart[] = [];
    let sealsEqual = 0;
    for (const [index, part] of plan.parts.entries()) {
      const schema = { fields: plan.columns.map((column) => column.field) };
      const sink = await format.open(options.targets[index]!, schema, { ...options.sink, force: options.force });
      sinks.push(sink);
      const blocks = plan.blocks.filter((block) => block.part === index);
      const totals = await writeBlocks(context, store, sink, blocks, options);
      const whole = withScattered(plan, store, index, totals);
      sealsEqual = checkSeals(plan, whole);
      const receipt = makeReceipt(plan, whole, sink.fingerprint(), { ...options.receipt, rows: part.end - part.start });
      await sink.finish({ [RECEIPT_KEY]: canonicalJson(receipt) });
      const { bytes, rowGroups } = sink.fingerprint();
      parts.push({
        path: options.targets[index]!,
        rows: part.end - part.start,
        bytes,
        rowGroups: rowGroups.length,
        receipt,
      });
    }
    return { parts, sealsEqual, sinks };
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}

async function scatterAll(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  store: SegmentStore,
  { emit, signal }: RunOptions,
): Promise<void> {
  const shuffled = plan.sources.flatMap((source, s) => (source.path === 'shuffle' ? [s] : []));
  for (const [done, s] of shuffled.entries()) {
    emit({ type: 'progress', stage: 'shuffle', done, total: shuffled.length });
    await store.scatter(s, datasets[s]!, signal);
  }
  if (shuffled.length > 0) emit({ type: 'progress', stage: 'shuffle', done: shuffled.length, total: shuffled.length });
}

async function writeBlocks<Encoded>(
  context: BlockContext<Encoded>,
  store: SegmentStore,
  sink: Sink<Encoded>,
  blocks: readonly Block[],
  { emit, signal }: RunOptions,
): Promise<PartTotals> {
  const { plan } = context;
  const totals = emptyTotals(plan);
  for (const block of blocks) {
    signal.throwIfAborted();
    const result = await makeBlock(context, block, signal);
    await sink.append(result.rows, result.encoded);
    addBlock(totals, result);
    countLumis(totals.lumis, outputKeys(plan, block));
    store.release(block);
    emit({ type: 'progress', stage: 'write', done: block.end, total: plan.rowsOut });
  }
  return totals;
}

interface Totals {
  rows: number;
  keySeal: Seal;
  readonly columns: ColumnSeals[];
  readonly sourceKeys: Seal[];
  readonly matched: number[];
  readonly lumis: LumiCounts;
}

function emptyTotals(plan: JoinPlan): Totals {
  return {
    rows: 0,
    keySeal: NO_SEAL,
    columns: plan.columns.map((column) => ({
      source: hasSource(column) ? NO_SEAL : undefined,
      moved: NO_SEAL,
      written: NO_SEAL,
    })),
    sourceKeys: plan.sources.map(() => NO_SEAL),
    matched: plan.sources.map(() => 0),
    lumis: new Map(),
  };
}

/** Flags are ours: no source has them. */
function hasSource(column: OutColumn): boolean {
  return column.kind !== 'missing';
}

function addBlock<Encoded>(totals: Totals, result: BlockResult<Encoded>): void {
  totals.rows += result.rows;
  totals.keySeal = addSeals(totals.keySeal, result.keySeal);
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
  result.matched.forEach((rows, s) => {
    totals.matched[s] = totals.matched[s]! + rows;
  });
}

/** The source side of shuffled sources was sealed when they were scattered. */
function withScattered(plan: JoinPlan, store: SegmentStore, part: number, totals: PartTotals): PartTotals {
  const scattered = plan.sources.map((_, s) => store.sealsOf(s, part));
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
