// Owns the shuffle: one sequential pass over a source scatters its rows into the blocks where they belong.
import type { Arena, Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type Column, type FlatColumn, flatColumn, nullColumn, sliceColumn } from '../core/column.ts';
import { allocateShared } from '../core/dtype.ts';
import { planPacking, unpackColumns } from '../core/pack.ts';
import { addSeals, keyStates, NO_SEAL, type Seal, sealColumn, sealKeys, sealScope } from '../core/seal.ts';
import { appendScratch, readScratch, type Scratch } from '../scratch/scratch.ts';
import { type Dataset, readRows, requireField } from '../source/dataset.ts';
import { gatherColumn, gatherScope } from './gather.ts';
import { type PlaceScope, placeColumn, placeScope } from './place.ts';
import type { Block, JoinPlan } from './plan.ts';
import { proveKeys } from './prove-keys.ts';

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

/** Columns that a source gives to the output, and the counters they are checked against: the order of every segment. */
export function shuffledNames(plan: JoinPlan, source: number): readonly string[] {
  const payload = plan.columns.filter((column) => column.kind === 'payload' && column.source === source);
  const counters = plan.checks.filter((check) => check.source === source && check.counterSource === source);
  return [...new Set([...payload.map(({ from }) => from), ...counters.map(({ counter }) => counter)])];
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
  const names = shuffledNames(plan, source);
  arena.clear();
  const { take } = arena;
  await proveKeys(plan.sources[source]!, dataset, { lo: start, hi: end }, signal);
  const columns = await readRows(dataset, names, start, end, signal, take);
  const chunk: ChunkRows = { names, columns, targets: targets.subarray(start, end), first: start };
  const seals = new Map<number, PartSeals>();
  plan.parts.forEach((_, part) => {
    const seal = sealPart(plan, source, part, chunk, take);
    if (seal !== undefined) seals.set(part, seal);
  });
  return { segments: packSegments(plan, chunk, scratch, take), seals };
}

/** Rows of a source as read, and where each one goes. */
interface ChunkRows {
  readonly names: readonly string[];
  readonly columns: readonly Column[];
  /** Output row of each row, -1 = not in the output. */
  readonly targets: Int32Array;
  readonly first: number;
}

function sealPart(plan: JoinPlan, source: number, part: number, chunk: ChunkRows, take: Take): PartSeals | undefined {
  const { start, end } = plan.parts[part]!;
  const { targets, names, columns } = chunk;
  const used = new Uint8Array(targets.length);
  let count = 0;
  for (let i = 0; i < used.length; i++) {
    if (targets[i]! < start || targets[i]! >= end) continue;
    used[i] = 1;
    count++;
  }
  if (count === 0) return undefined;
  const states = keyStates(plan.sources[source]!.keys, chunk.first, targets.length, take);
  const rows = count === used.length ? undefined : used;
  const scope = sealScope(states, rows, take);
  const seals = new Map(names.map((name, c) => [name, sealColumn(columns[c]!, scope)] as const));
  return { keys: sealKeys(states, rows), columns: seals };
}

export function addPartSeals(left: PartSeals | undefined, right: PartSeals): PartSeals {
  if (left === undefined) return right;
  const columns = new Map(left.columns);
  for (const [name, seal] of right.columns) columns.set(name, addSeals(columns.get(name) ?? NO_SEAL, seal));
  return { keys: addSeals(left.keys, right.keys), columns };
}

/** Sorts the rows of a chunk by the block they go to, then cuts: one gather, and slices that are views. */
function packSegments(
  plan: JoinPlan,
  { targets, columns }: ChunkRows,
  scratch: Scratch | undefined,
  take: Take,
): Scattered['segments'] {
  const { order, bounds } = sortByBlock(plan.blocks, targets);
  const scope = gatherScope(order, scratch === undefined ? allocateShared : take, take);
  const dest = scope.take('i32', order.length) as Int32Array;
  plan.blocks.forEach((block, index) => {
    for (let i = bounds[index]!; i < bounds[index + 1]!; i++) dest[i] = targets[order[i]!]! - block.start;
  });
  const sorted = [flatColumn('i32', dest), ...columns.map((column) => gatherColumn(column, scope))];
  const spans = [...plan.blocks.keys()]
    .map((block) => ({ block, start: bounds[block]!, end: bounds[block + 1]! }))
    .filter(({ start, end }) => start < end);
  if (scratch === undefined) {
    return spans.map(({ block, ...span }) => ({ block, segment: { kind: 'memory', columns: sorted, ...span } }));
  }
  const packings = spans.map(({ start, end }) => planPacking(end - start, sliceAll(sorted, start, end)));
  const room = take('u8', Math.max(0, ...packings.map(({ bytes }) => bytes))) as Uint8Array;
  return spans.map(({ block }, i) => {
    const packed = room.subarray(0, packings[i]!.bytes);
    packings[i]!.writeTo(packed);
    return { block, segment: { kind: 'scratch', offset: appendScratch(scratch, packed), length: packed.length } };
  });
}

/** Counting sort: rows of block b are order[bounds[b] .. bounds[b + 1]), in source order. */
function sortByBlock(
  blocks: readonly Block[],
  targets: Int32Array,
): { readonly order: Int32Array; readonly bounds: Int32Array } {
  const starts = Int32Array.from(blocks, (block) => block.start);
  const blockOf = new Int32Array(targets.length);
  const bounds = new Int32Array(blocks.length + 1);
  for (let i = 0; i < targets.length; i++) {
    const at = targets[i]! < 0 ? -1 : blockIndex(starts, targets[i]!);
    blockOf[i] = at;
    if (at >= 0) bounds[at + 1] = bounds[at + 1]! + 1;
  }
  for (let b = 0; b < blocks.length; b++) bounds[b + 1] = bounds[b + 1]! + bounds[b]!;
  const order = new Int32Array(bounds[blocks.length]!);
  const next = bounds.slice();
  for (let i = 0; i < targets.length; i++) {
    const at = blockOf[i]!;
    if (at < 0) continue;
    order[next[at]!] = i;
    next[at] = next[at]! + 1;
  }
  return { order, bounds };
}

/** Slices keep what collections share: equal offsets stay one object. */
function sliceAll(columns: readonly Column[], from: number, end: number): Column[] {
  const offsets = new Map<Int32Array, Int32Array>();
  return columns.map((column) => {
    const slice = sliceColumn(column, from, end);
    if (column.kind === 'flat' || slice.kind === 'flat') return slice;
    const known = offsets.get(column.offsets);
    if (known === undefined) offsets.set(column.offsets, slice.offsets);
    return known === undefined ? slice : { ...slice, offsets: known };
  });
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
  if (segment.kind === 'memory') return sliceAll(segment.columns, segment.start, segment.end);
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
