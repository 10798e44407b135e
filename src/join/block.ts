// Owns making one row group: read or take the rows of each source, gather, seal both sides, encode.
import type { Arena } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type Column, copyColumn, flatColumn } from '../core/column.ts';
import type { Values } from '../core/dtype.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { type KeyStates, keyStates, type Seal, sealColumn, sealKeys, sealOrder, sealScope } from '../core/seal.ts';
import type { SinkFormat, SinkOptions } from '../sink/types.ts';
import { type Dataset, readRows } from '../source/dataset.ts';
import { checkLengths, refuseNulls, requireItems } from './block-checks.ts';
import { batchView, outputKeys, type SegmentsOf, type SourceView, viewOf } from './block-view.ts';
import { gatherColumn } from './gather.ts';
import { proveRows } from './key-proof.ts';
import { type Block, type JoinPlan, type OutColumn, writtenColumns } from './plan.ts';
import { placesOf } from './row-map.ts';
import {
  type BlockWitness,
  compareWitnesses,
  keptNames,
  noWitness,
  sampleBlock,
  type WitnessCount,
  witnessOnly,
} from './witness.ts';

/** Raw bytes of one source's columns read, moved and encoded at a time: bounds what is held beside the encoded bytes. */
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_COLUMNS_MAX = 64;

export interface BlockContext<Encoded> {
  readonly plan: JoinPlan;
  readonly datasets: readonly Dataset[];
  readonly format: SinkFormat<Encoded>;
  readonly options: SinkOptions;
  /** Of this thread: what a batch makes is in it until the next batch begins. */
  readonly arena: Arena;
}

/** The seals of one output column over one block. */
export interface ColumnSeals {
  /** Over the source rows used, before any move; undefined for columns that no source has, and for shuffled sources (PartSeals). */
  readonly source: Seal | undefined;
  /** Over the output rows that came from the source. */
  readonly moved: Seal;
  /** Over the output as written: differs from `moved` only where a fill value was put in. */
  readonly written: Seal;
}

export interface BlockResult<Encoded> {
  readonly rows: number;
  readonly encoded: readonly Encoded[];
  readonly seals: readonly ColumnSeals[];
  readonly keySeal: Seal;
  /** Of the row numbers within the output part. */
  readonly order: Seal;
  /** Over the keys of the rows used, one a source; undefined for shuffled sources. */
  readonly sourceKeySeals: readonly (Seal | undefined)[];
  readonly matched: readonly number[];
  readonly witness: BlockWitness;
  /** The plan's `scored` columns, as they are written. */
  readonly scored?: readonly Column[];
}

export async function makeBlock<Encoded>(
  context: BlockContext<Encoded>,
  block: Block,
  segments: SegmentsOf,
  signal: AbortSignal,
): Promise<BlockResult<Encoded>> {
  const { plan, arena } = context;
  const keys = outputKeys(plan, block);
  arena.clear();
  const states = keyStates(keys, 0, keys.rows, arena.take);
  arena.hold();
  const own = writtenColumns(plan).length;
  const encoded = new Array<Encoded>(own);
  const seals = new Array<ColumnSeals>(own);
  const kept = new Map<string, Column>();
  const witness = [...noWitness(plan).counts];
  const scored = new Map<string, Column>();
  const made = { encoded, seals, kept, witness, scored, offsets: new Map<Int32Array, Int32Array>() };
  const work: BlockWork<Encoded> = { context, block, segments, keys, states, ...made, signal };
  await placeKeys(work);
  const sourceKeySeals: (Seal | undefined)[] = [];
  const matched: number[] = [];
  const lasting = (s: number) => {
    arena.reset();
    const view = viewOf(plan, s, block, segments, { states, take: arena.take });
    arena.hold();
    return view;
  };
  const primary = lasting(0);
  await readKept(work, primary);
  for (let s = 0; s < plan.sources.length; s++) {
    const view = s === 0 ? primary : lasting(s);
    sourceKeySeals.push(view.source && sealKeys(view.source.states, view.source.rows));
    matched.push(view.matched);
    await placePayload(work, s, view);
    if (view.placed !== undefined) continue;
    arena.reset();
    await proveRows(plan, s, context.datasets[s]!, { start: view.lo, end: view.hi }, { take: arena.take, signal });
  }
  await placeFlags(work);
  await placeMaps(work);
  const order = sealOrder(states, block.start - plan.parts[block.part]!.start);
  const samples = sampleBlock({ plan, block, kept });
  const keySeal = sealKeys(states);
  return {
    rows: keys.rows,
    encoded,
    seals,
    keySeal,
    order,
    sourceKeySeals,
    matched,
    witness: { counts: witness, samples },
    ...(plan.scored === undefined ? {} : { scored: plan.scored.map((name) => scored.get(name)!) }),
  };
}

interface BlockWork<Encoded> {
  readonly context: BlockContext<Encoded>;
  readonly block: Block;
  readonly segments: SegmentsOf;
  readonly keys: KeyTable;
  readonly states: KeyStates;
  readonly encoded: Encoded[];
  readonly seals: ColumnSeals[];
  /** The primary's columns that friends are compared with: copies that outlast their batch. */
  readonly kept: Map<string, Column>;
  /** By index of the plan's witnesses. */
  readonly witness: WitnessCount[];
  /** Copies of the columns that scores are made from, and of their offsets. */
  readonly scored: Map<string, Column>;
  readonly offsets: Map<Int32Array, Int32Array>;
  readonly signal: AbortSignal;
}

/** Key columns are written from the key words, in the primary's own types. */
async function placeKeys<Encoded>(work: BlockWork<Encoded>): Promise<void> {
  const { keys, states } = work;
  const scope = sealScope(states);
  let lane = 0;
  const lanes = keys.spec.columns.map((column) => {
    lane += column.words;
    return lane - column.words;
  });
  await place(work, 'key', (column) => {
    const spec = keys.spec.columns[column.keyIndex!]!;
    invariant(column.field.type.kind === 'flat', 'a key column is flat');
    const values = work.context.arena.take(column.field.type.dtype, keys.rows);
    wordsToValues(keys, lanes[column.keyIndex!]!, spec.words, values);
    const out = flatColumn(column.field.type.dtype, values);
    const seal = sealColumn(out, scope);
    return { out, seals: { source: seal, moved: seal, written: seal } };
  });
}

/** One key column in its own type, from its lane of the key words. */
export function wordsToValues({ words, stride, rows }: KeyTable, lane: number, width: 1 | 2, values: Values): void {
  if (values.BYTES_PER_ELEMENT !== 8) {
    copyLane(words, lane, stride, values as Int32Array);
    return;
  }
  const out = new Uint32Array(values.buffer, values.byteOffset, 2 * rows);
  if (width === 2) copyWideLane(words, lane, stride, out);
  else copyLaneWidened(words, lane, stride, out);
}

function copyLane(words: Uint32Array, lane: number, stride: number, out: Int32Array): void {
  for (let i = 0, at = lane; i < out.length; i++, at += stride) out[i] = words[at]!;
}

function copyWideLane(words: Uint32Array, lane: number, stride: number, out: Uint32Array): void {
  for (let i = 0, at = lane; i < out.length; i += 2, at += stride) {
    out[i] = words[at]!;
    out[i + 1] = words[at + 1]!;
  }
}

function copyLaneWidened(words: Uint32Array, lane: number, stride: number, out: Uint32Array): void {
  for (let i = 0, at = lane; i < out.length; i += 2, at += stride) {
    out[i] = words[at]!;
    out[i + 1] = 0;
  }
}

async function placeFlags<Encoded>(work: BlockWork<Encoded>): Promise<void> {
  const { block, context, states } = work;
  const scope = sealScope(states);
  await place(work, 'missing', (column) => {
    const reasons = context.plan.sources[column.source]!.reasons?.subarray(block.start, block.end);
    const out = flatColumn(
      'u8',
      reasons === undefined ? new Uint8Array(block.end - block.start) : new Uint8Array(reasons),
    );
    const seal = sealColumn(out, scope);
    return { out, seals: { source: undefined, moved: seal, written: seal } };
  });
}

/** Where each source has the events of the block. */
async function placeMaps<Encoded>(work: BlockWork<Encoded>): Promise<void> {
  const { block, context, states } = work;
  const scope = sealScope(states);
  for (const kind of ['file', 'entry'] as const) {
    await place(work, kind, (column) => {
      const places = placesOf(context.plan.sources[column.source]!, block.start, block.end);
      const out = flatColumn('i32', places[kind]);
      const seal = sealColumn(out, scope);
      return { out, seals: { source: undefined, moved: seal, written: seal } };
    });
  }
}

/** Batches of columns use the same memory one after the other. */
function giveAway<Encoded>({ context, scored, offsets }: BlockWork<Encoded>, name: string, column: Column): void {
  if (context.plan.scored?.includes(name)) scored.set(name, copyColumn(column, offsets));
}

/** Makes, seals and encodes all output columns of one kind. */
async function place<Encoded>(
  work: BlockWork<Encoded>,
  kind: OutColumn['kind'],
  make: (column: OutColumn) => { readonly out: Column; readonly seals: ColumnSeals },
): Promise<void> {
  const { context, encoded, seals } = work;
  const { plan, format, options } = context;
  const at = plan.columns.flatMap((column, i) => (column.kind === kind ? [i] : []));
  if (at.length === 0) return;
  const made = at.map((i) => make(plan.columns[i]!));
  const fields = at.map((i) => plan.columns[i]!.field);
  fields.forEach(({ name }, k) => {
    giveAway(work, name, made[k]!.out);
  });
  const bytes = await format.encode(
    fields,
    made.map(({ out }) => out),
    options,
  );
  at.forEach((i, k) => {
    encoded[i] = bytes[k]!;
    seals[i] = made[k]!.seals;
  });
}

/** What friends are compared with and no batch of the primary brings: the others are kept when they pass by. */
async function readKept<Encoded>({ context, kept, signal }: BlockWork<Encoded>, view: SourceView): Promise<void> {
  const { plan, datasets } = context;
  const written = new Set(
    plan.columns.filter(({ kind, source }) => kind === 'payload' && source === 0).map(({ from }) => from),
  );
  const names = [...keptNames(plan)].filter((name) => !written.has(name));
  if (names.length === 0) return;
  const { placed } = view;
  const columns =
    placed === undefined
      ? await readRows(datasets[0]!, names, view.lo, view.hi, signal)
      : names.map((name) => placed.column(name));
  names.forEach((name, i) => {
    kept.set(name, moved(columns[i]!, view));
  });
}

function keep<Encoded>({ context, kept }: BlockWork<Encoded>, after: ReadonlyMap<string, Column>): void {
  for (const name of keptNames(context.plan)) {
    const column = after.get(name);
    if (column?.kind === 'flat')
      kept.set(name, { ...column, values: column.values.slice(), valid: column.valid?.slice() });
  }
}

function moved(column: Column, view: SourceView): Column {
  return view.gather === undefined ? column : gatherColumn(column, view.gather);
}

async function placePayload<Encoded>(work: BlockWork<Encoded>, s: number, view: SourceView): Promise<void> {
  const { plan, arena } = work.context;
  const wanted = plan.columns.flatMap((column, i) => (column.kind === 'payload' && column.source === s ? [i] : []));
  for (const batch of batches(wanted, plan)) {
    work.signal.throwIfAborted();
    arena.reset();
    await placeBatch(work, { s, view: batchView(view, arena.take), batch });
  }
  const unwritten = witnessOnly(plan, s);
  if (unwritten.length === 0) return;
  arena.reset();
  const own = batchView(view, arena.take);
  const columns = await readNamed(work, s, own, unwritten);
  compare(work, s, new Map(unwritten.map((name, i) => [name, moved(columns[i]!, own)])));
}

function compare<Encoded>(work: BlockWork<Encoded>, source: number, after: ReadonlyMap<string, Column>): void {
  const { context, block, kept, keys, witness } = work;
  compareWitnesses({ plan: context.plan, block, source, kept, keys }, after, witness);
}

/** Columns of one collection stay together where they fit, so that what they share is done once. */
function batches(wanted: readonly number[], plan: JoinPlan): number[][] {
  const groups = new Map<string, number[]>();
  for (const i of wanted) {
    const group = plan.columns[i]!.field.counter ?? '';
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [i]);
    else members.push(i);
  }
  const out: number[][] = [];
  let bytes = 0;
  for (const i of [...groups.values()].flat()) {
    const own = plan.columns[i]!.rowBytes * plan.rowGroupRows;
    const last = out.at(-1);
    if (last === undefined || bytes + own > BATCH_BYTES || last.length === BATCH_COLUMNS_MAX) {
      out.push([i]);
      bytes = own;
    } else {
      last.push(i);
      bytes += own;
    }
  }
  return out;
}

interface Batch {
  readonly s: number;
  readonly view: SourceView;
  /** Indices of output columns. */
  readonly batch: readonly number[];
}

async function placeBatch<Encoded>(work: BlockWork<Encoded>, { s, view, batch }: Batch): Promise<void> {
  const { context, encoded, seals, keys, states, kept } = work;
  const { plan, format, options } = context;
  const before = await takeColumns(work, s, view, batch);
  const after = new Map<string, Column>();
  const fields = batch.map((i) => plan.columns[i]!.field);
  const out = batch.map((i) => {
    const { from } = plan.columns[i]!;
    const column = before.get(from)!;
    const gathered = requireItems(plan.columns[i]!.field.name, moved(column, view), keys);
    after.set(from, gathered);
    const source = view.source && sealColumn(column, view.source);
    const reuse = view.source === view.output && gathered === column;
    const seal = reuse && source !== undefined ? source : sealColumn(gathered, view.output);
    const written = plan.fill === undefined ? gathered : fillAbsent(gathered, view.present, plan.fill);
    seals[i] = { source, moved: seal, written: written === gathered ? seal : sealColumn(written, sealScope(states)) };
    giveAway(work, plan.columns[i]!.field.name, written);
    return written;
  });
  if (s === 0) keep(work, after);
  else compare(work, s, after);
  checkLengths({ plan, s, view, before, after, counters: kept, keys });
  if (plan.layout === 'nano') refuseNulls(fields, out, keys);
  const bytes = await format.encode(fields, out, options);
  batch.forEach((i, k) => {
    encoded[i] = bytes[k]!;
  });
}

/** The batch's columns and the counters of its own source that they are checked against, by name. */
async function takeColumns<Encoded>(
  work: BlockWork<Encoded>,
  s: number,
  view: SourceView,
  batch: readonly number[],
): Promise<ReadonlyMap<string, Column>> {
  const { context } = work;
  const payload = batch.map((i) => context.plan.columns[i]!.from);
  const checks = context.plan.checks.filter(
    (check) => check.source === s && check.counterSource === s && payload.includes(check.list),
  );
  const names = [...new Set([...payload, ...checks.map(({ counter }) => counter)])];
  const columns = await readNamed(work, s, view, names);
  return new Map(names.map((name, i) => [name, columns[i]!]));
}

async function readNamed<Encoded>(
  { context, signal }: BlockWork<Encoded>,
  s: number,
  { placed, lo, hi }: SourceView,
  names: readonly string[],
): Promise<readonly Column[]> {
  if (placed !== undefined) return names.map((name) => placed.column(name));
  return readRows(context.datasets[s]!, names, lo, hi, signal, context.arena.take);
}

/** The fill value where the event is missing; lists become empty ones. Own nulls of the source stay null. */
function fillAbsent(column: Column, present: Uint8Array | undefined, fill: number): Column {
  if (present === undefined || column.valid === undefined) return column;
  const own = column.valid === present ? undefined : column.valid.map((valid, i) => (present[i] === 0 ? 1 : valid));
  if (column.kind !== 'flat') return { ...column, valid: own };
  const values = column.values.slice();
  const wide = column.dtype === 'i64' || column.dtype === 'u64';
  for (let i = 0; i < present.length; i++)
    if (present[i] === 0) values[i] = wide ? BigInt(fill) : column.dtype === 'bool' ? Number(fill !== 0) : fill;
  return { ...column, values, valid: own };
}
