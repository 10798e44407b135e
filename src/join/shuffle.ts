// Owns the shuffle: one sequential pass over a source scatters its rows into the blocks where they belong.
import { invariant } from '../core/check.ts';
import { type Column, concatColumns, sliceColumn } from '../core/column.ts';
import { addSeals, keyStates, NO_SEAL, type Seal, sealColumn, sealKeys, sealScope } from '../core/seal.ts';
import { type Dataset, readRows, requireField } from '../source/dataset.ts';
import { gatherColumn, gatherScope } from './gather.ts';
import type { Block, JoinPlan } from './plan.ts';

/** Rows of a source scattered at a time. */
const SCATTER_ROWS = 1 << 17;

/** What the blocks take of the shuffled sources. */
export interface Segments {
  /** For each row of the block: its place among the rows that `take` gives, -1 = absent. */
  places(source: number, block: Block): Int32Array;
  take(source: number, block: Block, names: readonly string[]): Promise<readonly Column[]>;
}

/** Rows of one chunk that belong to one block. */
interface Segment {
  /** Row in the block of each row here. */
  readonly dest: Int32Array;
  readonly columns: readonly Column[];
}

/** Seals over the rows of a source that one output part uses, taken as they were read, before any move. */
export interface PartSeals {
  readonly keys: Seal;
  readonly columns: ReadonlyMap<string, Seal>;
}

interface Bin {
  readonly names: readonly string[];
  readonly segments: Segment[];
}

export interface SegmentStore extends Segments {
  scatter(source: number, dataset: Dataset, signal: AbortSignal): Promise<void>;
  release(block: Block): void;
  /** undefined for a source that was not scattered. */
  sealsOf(source: number, part: number): PartSeals | undefined;
}

export function segmentStore(plan: JoinPlan): SegmentStore {
  const bins = new Map<string, Bin>();
  const partSeals = new Map<string, PartSeals>();
  const id = (source: number, block: Block) => `${source} ${block.start}`;
  const binOf = (source: number, block: Block) => {
    const bin = bins.get(id(source, block));
    invariant(bin !== undefined, 'a shuffled source was scattered before its blocks are made');
    return bin;
  };
  return {
    scatter: async (source, dataset, signal) => {
      const names = namesOf(plan, source);
      for (const block of plan.blocks) bins.set(id(source, block), { names, segments: [] });
      plan.parts.forEach((_, part) => {
        partSeals.set(`${source} ${part}`, { keys: NO_SEAL, columns: new Map() });
      });
      const targets = invert(plan, source);
      for (let at = 0; at < dataset.descriptor.rows; at += SCATTER_ROWS) {
        signal.throwIfAborted();
        const end = Math.min(dataset.descriptor.rows, at + SCATTER_ROWS);
        const columns = await readRows(dataset, names, at, end, signal);
        const chunk = { names, columns, targets: targets.subarray(at, end), first: at };
        plan.parts.forEach((_, part) => {
          const before = partSeals.get(`${source} ${part}`)!;
          partSeals.set(`${source} ${part}`, sealPart(plan, source, part, chunk, before));
        });
        for (const { block, segment } of scatterChunk(plan, chunk)) binOf(source, block).segments.push(segment);
      }
    },
    release: (block) => {
      for (let source = 0; source < plan.sources.length; source++) bins.delete(id(source, block));
    },
    places: (source, block) => placesOf(binOf(source, block), block),
    take: async (source, block, names) => {
      const bin = binOf(source, block);
      const { dataset } = plan.sources[source]!;
      return takeAll(bin, names, (name) => requireField(dataset, name).type);
    },
    sealsOf: (source, part) => partSeals.get(`${source} ${part}`),
  };
}

function namesOf(plan: JoinPlan, source: number): string[] {
  const payload = plan.columns
    .filter((column) => column.kind === 'payload' && column.source === source)
    .map(({ from }) => from);
  const counters = plan.checks
    .filter((check) => check.source === source && check.counterSource === source)
    .map(({ counter }) => counter);
  return [...new Set([...payload, ...counters])];
}

/** Output row of each source row, -1 = not in the output. */
function invert(plan: JoinPlan, source: number): Int32Array {
  const { map, dataset } = plan.sources[source]!;
  invariant(map !== undefined, 'a shuffled source has a row map');
  const targets = new Int32Array(dataset.rows).fill(-1);
  for (let row = 0; row < map.length; row++) if (map[row]! >= 0) targets[map[row]!] = row;
  return targets;
}

/** Rows of a source as read, and where each one goes. */
interface ChunkRows {
  readonly names: readonly string[];
  readonly columns: readonly Column[];
  /** Output row of each row, -1 = not in the output. */
  readonly targets: Int32Array;
  readonly first: number;
}

function sealPart(plan: JoinPlan, source: number, part: number, chunk: ChunkRows, before: PartSeals): PartSeals {
  const { start, end } = plan.parts[part]!;
  const { targets, names, columns } = chunk;
  const used = new Uint8Array(targets.length);
  let count = 0;
  for (let i = 0; i < used.length; i++) {
    if (targets[i]! < start || targets[i]! >= end) continue;
    used[i] = 1;
    count++;
  }
  if (count === 0) return before;
  const states = keyStates(plan.sources[source]!.keys, chunk.first, targets.length);
  const rows = count === used.length ? undefined : used;
  const scope = sealScope(states, rows);
  const seals = new Map(
    names.map(
      (name, c) => [name, addSeals(before.columns.get(name) ?? NO_SEAL, sealColumn(columns[c]!, scope))] as const,
    ),
  );
  return { keys: addSeals(before.keys, sealKeys(states, rows)), columns: seals };
}

/** Sorts the rows of a chunk by the block they go to, then cuts: one gather, and slices that are views. */
function scatterChunk(plan: JoinPlan, { targets, columns }: ChunkRows): { block: Block; segment: Segment }[] {
  const { order, bounds } = sortByBlock(plan.blocks, targets);
  const scope = gatherScope(order);
  const sorted = columns.map((column) => gatherColumn(column, scope));
  const out: { block: Block; segment: Segment }[] = [];
  for (const [b, block] of plan.blocks.entries()) {
    const from = bounds[b]!;
    const end = bounds[b + 1]!;
    if (from === end) continue;
    const dest = Int32Array.from(order.subarray(from, end), (row) => targets[row]! - block.start);
    out.push({ block, segment: { dest, columns: sliceAll(sorted, from, end) } });
  }
  return out;
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

function placesOf(bin: Bin, block: Block): Int32Array {
  const places = new Int32Array(block.end - block.start).fill(-1);
  let base = 0;
  for (const { dest } of bin.segments) {
    for (let i = 0; i < dest.length; i++) places[dest[i]!] = base + i;
    base += dest.length;
  }
  return places;
}

function takeAll(
  bin: Bin,
  names: readonly string[],
  typeOf: (name: string) => Parameters<typeof concatColumns>[0],
): Column[] {
  const shared = new Map<Int32Array, Int32Array>();
  return names.map((name) => {
    const at = bin.names.indexOf(name);
    const parts = bin.segments.map((segment) => segment.columns[at]!);
    const column = concatColumns(typeOf(name), parts);
    const lead = parts[0];
    if (column.kind === 'flat' || lead === undefined || lead.kind === 'flat') return column;
    const known = shared.get(lead.offsets);
    if (known === undefined) shared.set(lead.offsets, column.offsets);
    return known === undefined ? column : { ...column, offsets: known };
  });
}
