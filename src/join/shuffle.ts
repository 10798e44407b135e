// Owns the shuffle: one sequential pass over a source scatters its rows into the blocks where they belong.
import type { Arena, Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type Column, type FlatColumn, flatColumn, nullColumn, sliceColumns } from '../core/column.ts';
import { allocate, allocateShared } from '../core/dtype.ts';
import { countAbsent } from '../core/flags.ts';
import { planPacking, unpackColumns } from '../core/pack.ts';
import { addSeals, keyStates, NO_SEAL, type Seal, sealColumn, sealKeys, sealScope } from '../core/seal.ts';
import { keyRange, keysAt } from '../keys/store.ts';
import { appendScratch, readScratch, type Scratch } from '../scratch/scratch.ts';
import { type Dataset, readRows, requireField } from '../source/dataset.ts';
import { type GatherScope, gatherColumn, gatherScope } from './gather.ts';
import { keyNames, proveKeys, proveRows } from './key-proof.ts';
import { pickColumns } from './pick.ts';
import { type PlaceScope, placeColumn, placeScope } from './place.ts';
import type { Block, JoinPlan } from './plan.ts';
import { keptNames, witnessOnly } from './witness.ts';

/** Rows start .. end of a source, to be scattered. */
export interface ScatterTask {
  readonly source: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The rows of one scatter task that belong to one block. The first column is each row's place in the block.
 * In memory: rows start .. end of columns that all segments of the task share; in scratch: packed columns.
 */
export type Segment =
  | { readonly kind: 'memory'; readonly columns: readonly Column[]; readonly start: number; readonly end: number }
  | { readonly kind: 'scratch'; readonly offset: number; readonly length: number };

/** Seals over the rows of a source that one output part uses, taken as they were read, before any move. */
export interface PartSeals {
  readonly keys: Seal;
  readonly columns: ReadonlyMap<string, Seal>;
}

export interface Scattered {
  /** By block index, ascending. */
  readonly segments: readonly { readonly block: number; readonly segment: Segment }[];
  /** By part; parts that use no row of this task are absent. */
  readonly seals: ReadonlyMap<number, PartSeals>;
}

/**
 * Columns that a source gives to the output, counters that lists are checked against, witnesses: the order of every segment.
 * The primary's are also those that friends are compared with.
 */
export function shuffledNames(plan: JoinPlan, source: number): readonly string[] {
  const payload = plan.columns.filter((column) => column.kind === 'payload' && column.source === source);
  const counters = plan.checks.filter((check) => check.source === source && check.counterSource === source);
  const names = [...payload.map(({ from }) => from), ...counters.map(({ counter }) => counter)];
  return [...new Set([...names, ...witnessOnly(plan, source), ...(source === 0 ? keptNames(plan) : [])])];
}

/** Output row of each source row, -1 = not in the output. */
export function invertMap(map: Int32Array, rows: number): Int32Array {
  const targets = new Int32Array(new SharedArrayBuffer(rows * 4)).fill(-1);
  for (let row = 0; row < map.length; row++) if (map[row]! >= 0) targets[map[row]!] = row;
  return targets;
}

export interface ScatterPlace {
  readonly scratch: Scratch | undefined;
  /** Of this thread, nothing in it being in use. */
  readonly arena: Arena;
  readonly signal?: AbortSignal;
}

/** Reads the rows of a task, seals them as read, and puts them where their blocks find them: shared memory, or scratch. */
export async function scatterRows(
  plan: JoinPlan,
  dataset: Dataset,
  task: ScatterTask,
  { scratch, arena, signal }: ScatterPlace,
): Promise<Scattered> {
  const { source, start, end } = task;
  const { targets } = plan.sources[source]!;
  invariant(targets !== undefined, 'a shuffled source has targets');
  arena.clear();
  const { take } = arena;
  const own = targets.subarray(start, end);
  const names = shuffledNames(plan, source);
  const columns: Column[] = [];
  const seals = new Map<number, PartSeals>();
  const used = rowsUsed(own);
  const sorted = sortByBlock(plan.blocks, own, used);
  // of few rows little is kept: then what a batch of columns was read into can serve the next one
  const sparse = used.length * SPARSE_FACTOR < own.length;
  const scope = gatherScope(sorted.order, scratch === undefined ? allocateShared : sparse ? allocate : take, take);
  if (sparse) await proveRows(plan, source, dataset, task, { take, signal });
  const needed = sparse ? neededRows(own.length, used) : undefined;
  for (const batch of sparse ? batchesOf(plan, source, names, own.length) : [names]) {
    if (sparse) arena.clear();
    const read = sparse
      ? await readRows(dataset, batch, start, end, signal, take, needed)
      : await readProved(plan, dataset, task, names, { take, signal });
    const whole: ChunkRows = { names: batch, columns: read, targets: own, rows: undefined, first: start };
    const chunk = sparse ? pickChunk(whole, used) : whole;
    plan.parts.forEach((_, part) => {
      const seal = sealPart(plan, source, part, chunk, take);
      if (seal !== undefined) seals.set(part, sumOfBatches(seals.get(part), seal));
    });
    // what lists share is shared within a batch: the next one is put where these offsets are
    const inBatch = sparse ? { ...scope, lists: new Map() } : scope;
    for (const column of read) columns.push(gatherColumn(column, inBatch));
  }
  return { segments: packSegments(plan, { ...sorted, targets: own, columns, scope }, { scratch, take }), seals };
}

/** Columns of all rows of a task, and with them their keys. */
async function readProved(
  plan: JoinPlan,
  dataset: Dataset,
  { source, start, end }: ScatterTask,
  names: readonly string[],
  { take, signal }: { readonly take: Take; readonly signal: AbortSignal | undefined },
): Promise<readonly Column[]> {
  const keys = keyNames(plan, source);
  const read = await readRows(dataset, [...names, ...keys], start, end, signal, take);
  await proveKeys(plan, source, dataset, { start, end }, read.slice(names.length));
  return read.slice(0, names.length);
}

/** A source of which one row in so many is used, or fewer, is read batch by batch and only where its rows are. */
const SPARSE_FACTOR = 2;
/** Raw bytes of the columns of one batch. */
const BATCH_BYTES = 12 * 2 ** 20;

/** Neighbouring columns are of one collection: they share their offsets. */
function batchesOf(plan: JoinPlan, source: number, names: readonly string[], rows: number): string[][] {
  const rowBytes = new Map(
    plan.columns.filter((column) => column.source === source).map((column) => [column.from, column.rowBytes]),
  );
  const batches: string[][] = [[]];
  let bytes = 0;
  for (const name of names) {
    const own = (rowBytes.get(name) ?? 8) * rows;
    if (bytes > 0 && bytes + own > BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(name);
    bytes += own;
  }
  return batches;
}

function neededRows(count: number, used: Int32Array): Uint8Array {
  const needed = new Uint8Array(count);
  for (let i = 0; i < used.length; i++) needed[used[i]!] = 1;
  return needed;
}

/** Other columns of the same rows: their keys count once. */
function sumOfBatches(before: PartSeals | undefined, batch: PartSeals): PartSeals {
  return before === undefined ? batch : { keys: before.keys, columns: new Map([...before.columns, ...batch.columns]) };
}

/** Rows of a source scattered at a time. */
export const SCATTER_ROWS = 1 << 15;

/**
 * All rows of a shuffled source, so that the keys of all are proved. Where few of many are used only those: tasks begin with
 * the first and end with the last of them, and with files: columns of two files need not be put together.
 */
export function scatterTasks(plan: JoinPlan, source: number): ScatterTask[] {
  const { targets, dataset } = plan.sources[source]!;
  invariant(targets !== undefined, 'a shuffled source has targets');
  const used = targets.length - countAbsent(targets);
  const sparse = used * SPARSE_FACTOR < targets.length;
  const bounds = sparse ? dataset.files.map(({ firstRow }) => firstRow) : [0];
  return bounds
    .flatMap((from, i) => cutRows(from, bounds[i + 1] ?? dataset.rows, SCATTER_ROWS))
    .map(({ start, end }) => (sparse ? trimmed({ source, start, end }, targets) : { source, start, end }))
    .filter(({ start, end }) => start < end);
}

function cutRows(from: number, to: number, rows: number): { readonly start: number; readonly end: number }[] {
  const cuts = [];
  for (let start = from; start < to; start += rows) cuts.push({ start, end: Math.min(to, start + rows) });
  return cuts;
}

function trimmed(task: ScatterTask, targets: Int32Array): ScatterTask {
  let { start, end } = task;
  while (start < end && targets[start]! < 0) start++;
  while (end > start && targets[end - 1]! < 0) end--;
  return { ...task, start, end };
}

/** Rows of a source as read, and where each one goes. */
interface ChunkRows {
  readonly names: readonly string[];
  readonly columns: readonly Column[];
  /** Output row of each row, -1 = not in the output. */
  readonly targets: Int32Array;
  /** Rows of the source, counted from `first`; undefined = as many as there are, in order. */
  readonly rows: Int32Array | undefined;
  readonly first: number;
}

/** The rows of the chunk that the output uses. */
function rowsUsed(targets: Int32Array): Int32Array {
  const rows = new Int32Array(targets.length + 1);
  let count = 0;
  for (let i = 0; i < targets.length; i++) {
    rows[count] = i;
    count += targets[i]! < 0 ? 0 : 1;
  }
  return rows.subarray(0, count);
}

/** What of a chunk is used: sealed from a copy of its own, which other code makes than the one that moves rows to the output. */
function pickChunk(chunk: ChunkRows, rows: Int32Array): ChunkRows {
  const picked = pickColumns(chunk.columns, rows);
  return { ...chunk, columns: picked, rows, targets: targetsAt(chunk.targets, rows) };
}

function targetsAt(targets: Int32Array, rows: Int32Array): Int32Array {
  const out = new Int32Array(rows.length);
  for (let i = 0; i < out.length; i++) out[i] = targets[rows[i]!]!;
  return out;
}

function sealPart(plan: JoinPlan, source: number, part: number, chunk: ChunkRows, take: Take): PartSeals | undefined {
  const { start, end } = plan.parts[part]!;
  const { targets, names, columns } = chunk;
  const used = new Uint8Array(targets.length);
  const count = markUsed(targets, start, end, used);
  if (count === 0) return undefined;
  const { keys } = plan.sources[source]!;
  const states =
    chunk.rows === undefined
      ? keyStates(keyRange(keys, chunk.first, chunk.first + targets.length), 0, targets.length, take)
      : keyStates(keysAt(keys, chunk.rows, chunk.first), 0, targets.length);
  const rows = count === used.length ? undefined : used;
  const scope = sealScope(states, rows, take);
  const seals = new Map(names.map((name, c) => [name, sealColumn(columns[c]!, scope)] as const));
  return { keys: sealKeys(states, rows), columns: seals };
}

/** How many of the rows go to the output rows start .. end. */
function markUsed(targets: Int32Array, start: number, end: number, used: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < targets.length; i++) {
    if (targets[i]! < start || targets[i]! >= end) continue;
    used[i] = 1;
    count++;
  }
  return count;
}

export function addPartSeals(left: PartSeals | undefined, right: PartSeals): PartSeals {
  if (left === undefined) return right;
  const columns = new Map(left.columns);
  for (const [name, seal] of right.columns) columns.set(name, addSeals(columns.get(name) ?? NO_SEAL, seal));
  return { keys: addSeals(left.keys, right.keys), columns };
}

/** The rows of a chunk, gathered in the order of the blocks they go to. */
interface Gathered {
  readonly order: Int32Array;
  readonly bounds: Int32Array;
  readonly scope: GatherScope;
  readonly targets: Int32Array;
  readonly columns: readonly Column[];
}

/** Cuts what was gathered block by block into slices that are views. */
function packSegments(
  plan: JoinPlan,
  { targets, columns, order, bounds, scope }: Gathered,
  { scratch, take }: { readonly scratch: Scratch | undefined; readonly take: Take },
): Scattered['segments'] {
  const dest = scope.take('i32', order.length) as Int32Array;
  plan.blocks.forEach(({ start }, index) => {
    placesInBlock(order.subarray(bounds[index]!, bounds[index + 1]!), targets, start, dest.subarray(bounds[index]!));
  });
  const sorted = [flatColumn('i32', dest), ...columns];
  const spans = [...plan.blocks.keys()]
    .map((block) => ({ block, start: bounds[block]!, end: bounds[block + 1]! }))
    .filter(({ start, end }) => start < end);
  if (scratch === undefined) {
    return spans.map(({ block, ...span }) => ({ block, segment: { kind: 'memory', columns: sorted, ...span } }));
  }
  const packings = spans.map(({ start, end }) => planPacking(end - start, sliceColumns(sorted, start, end)));
  const room = take('u8', Math.max(0, ...packings.map(({ bytes }) => bytes))) as Uint8Array;
  return spans.map(({ block }, i) => {
    const packed = room.subarray(0, packings[i]!.bytes);
    packings[i]!.writeTo(packed);
    return { block, segment: { kind: 'scratch', offset: appendScratch(scratch, packed), length: packed.length } };
  });
}

function placesInBlock(order: Int32Array, targets: Int32Array, start: number, dest: Int32Array): void {
  for (let i = 0; i < order.length; i++) dest[i] = targets[order[i]!]! - start;
}

/** Counting sort of the rows `used`: those of block b are order[bounds[b] .. bounds[b + 1]), in source order. */
function sortByBlock(
  blocks: readonly Block[],
  targets: Int32Array,
  used: Int32Array,
): { readonly order: Int32Array; readonly bounds: Int32Array } {
  if (blocks.length === 1) return { order: used, bounds: Int32Array.of(0, used.length) };
  const starts = Int32Array.from(blocks, (block) => block.start);
  const blockOf = new Int32Array(used.length);
  const bounds = new Int32Array(blocks.length + 1);
  countByBlock(starts, targets, used, blockOf, bounds);
  for (let b = 0; b < blocks.length; b++) bounds[b + 1] = bounds[b + 1]! + bounds[b]!;
  const order = new Int32Array(used.length);
  orderByBlock(used, blockOf, bounds.slice(), order);
  return { order, bounds };
}

/** The block of each row used; and, one place on, how many rows each block gets. */
function countByBlock(
  starts: Int32Array,
  targets: Int32Array,
  used: Int32Array,
  blockOf: Int32Array,
  counts: Int32Array,
): void {
  for (let i = 0; i < used.length; i++) {
    const at = blockIndex(starts, targets[used[i]!]!);
    blockOf[i] = at;
    counts[at + 1] = counts[at + 1]! + 1;
  }
}

function orderByBlock(used: Int32Array, blockOf: Int32Array, next: Int32Array, order: Int32Array): void {
  for (let i = 0; i < used.length; i++) {
    const at = blockOf[i]!;
    order[next[at]!] = used[i]!;
    next[at] = next[at]! + 1;
  }
}

/** The last block that starts at or before the row. */
function blockIndex(starts: Int32Array, row: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

function segmentColumns(segment: Segment, scratch: Scratch | undefined, take: Take): readonly Column[] {
  if (segment.kind === 'memory') return sliceColumns(segment.columns, segment.start, segment.end);
  invariant(scratch !== undefined, 'a segment is in memory or in scratch');
  const bytes = take('u8', segment.length) as Uint8Array;
  readScratch(scratch, segment.offset, bytes);
  return unpackColumns(bytes);
}

/** All rows of one block that a shuffled source has, each in its place. */
export interface Placed {
  /** One byte a row of the block, 0 = the source has no such event; undefined = it has all. */
  readonly valid: Uint8Array | undefined;
  column(name: string): Column;
  /** The same for one batch of columns: what collections share is kept no longer than the batch. */
  fresh(take: Take): Placed;
}

/** What was scattered for one block; `take` makes what has to last as long as the block does. */
interface BlockSegments {
  readonly segments: readonly Segment[];
  readonly scratch: Scratch | undefined;
  readonly take: Take;
}

export function placeSegments(
  plan: JoinPlan,
  source: number,
  block: Block,
  { segments, scratch, take }: BlockSegments,
): Placed {
  const names = shuffledNames(plan, source);
  const parts = segments.map((segment) => segmentColumns(segment, scratch, take));
  const dests = parts.map(([dest]) => (dest as FlatColumn).values as Int32Array);
  const rows = block.end - block.start;
  const placed = (scope: PlaceScope): Placed => ({
    valid: scope.valid,
    column: (name) => {
      const at = names.indexOf(name) + 1;
      if (parts.length === 0) return nullColumn(requireField(plan.sources[source]!.dataset, name).type, rows);
      return placeColumn(
        parts.map((part) => part[at]!),
        scope,
      );
    },
    fresh: (take) => placed({ ...scope, lists: new Map(), take }),
  });
  return placed(placeScope(rows, dests));
}
