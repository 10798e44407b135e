// Owns the passes of matching: sources sorted into partitions, each once, then partitions matched on as many threads as there are.
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import { type KeySegment, partitionBits } from '../keys/partition.ts';
import type { KeyCrew } from './key-jobs.ts';
import { inOrder } from './lanes.ts';
import { addTwin, type PartitionMatch, type Tier } from './match-partition.ts';

/** Rows sorted at a time. */
const SORT_ROWS = 1 << 18;
/** Tasks a thread: the threads end together. */
const TASKS_EACH = 4;

export interface FindTask {
  readonly tiers: readonly Tier[];
  /** Absent: only twins of the first tier are looked for. */
  readonly friend?: { readonly segments: readonly KeySegment[]; readonly rows: number; readonly unionRows: number };
}

/** What was found, with row maps in shared memory; see `PartitionMatch`. */
export interface FoundKeys extends PartitionMatch {
  readonly map: Int32Array;
  readonly where: Int32Array;
}

export interface KeyFinder {
  segmentsOf(keys: KeyTable): Promise<readonly KeySegment[]>;
  match(task: FindTask): Promise<FoundKeys>;
}

/** Twins told of each kind. */
const TWINS_TOLD = 3;

export function makeFinder(sides: readonly { readonly keys: KeyTable }[], crew: KeyCrew): KeyFinder {
  const { spec, stride } = sides[0]!.keys;
  const bits = partitionBits(Math.max(...sides.map(({ keys }) => keys.rows)));
  const sorted = new Map<Uint32Array, Promise<readonly KeySegment[]>>();
  return {
    segmentsOf: (keys) => {
      const known = sorted.get(keys.words) ?? sortAll(keys, bits, crew);
      sorted.set(keys.words, known);
      return known;
    },
    match: (task) => matchAll(task, { spec, stride, bits, crew }),
  };
}

async function sortAll(keys: KeyTable, bits: number, crew: KeyCrew): Promise<readonly KeySegment[]> {
  const starts = Array.from({ length: Math.ceil(keys.rows / SORT_ROWS) }, (_, i) => i * SORT_ROWS);
  const segments: KeySegment[] = [];
  const lanes = { width: crew.width, runMax: 1, share: 1 };
  const sort = (firstRow: number, { seat }: { readonly seat: number }) => {
    const end = Math.min(keys.rows, firstRow + SORT_ROWS);
    const words = keys.words.subarray(firstRow * keys.stride, end * keys.stride);
    return crew.sort({ keys: { ...keys, rows: end - firstRow, words }, firstRow, bits }, seat);
  };
  for await (const { result } of inOrder(starts, lanes, sort)) segments.push(result);
  return segments;
}

interface Matching {
  readonly spec: KeySpec;
  readonly stride: number;
  readonly bits: number;
  readonly crew: KeyCrew;
}

const absentRows = (rows: number) => new Int32Array(new SharedArrayBuffer(rows * 4)).fill(-1);

async function matchAll({ tiers, friend }: FindTask, { spec, stride, bits, crew }: Matching): Promise<FoundKeys> {
  const map = absentRows(friend?.unionRows ?? 0);
  const where = absentRows(friend?.rows ?? 0);
  const parts = 2 ** bits;
  const step = crew.width === 1 ? parts : Math.ceil(parts / (crew.width * TASKS_EACH));
  const starts = Array.from({ length: Math.ceil(parts / step) }, (_, i) => i * step);
  const twins = { own: [], matched: [], extra: [] };
  let extras = 0;
  let lost = false;
  const lanes = { width: crew.width, runMax: 1, share: 1 };
  const match = (from: number, { seat }: { readonly seat: number }) => {
    const to = Math.min(parts, from + step);
    const out = friend && { segments: friend.segments, map, where };
    return crew.match({ from, to, spec, stride, tiers, twinsMax: TWINS_TOLD, ...(out && { friend: out }) }, seat);
  };
  for await (const { result } of inOrder(starts, lanes, match)) {
    for (const kind of ['own', 'matched', 'extra'] as const) {
      for (const twin of result[kind]) addTwin(twins[kind], twin, TWINS_TOLD);
    }
    extras += result.extras;
    lost ||= result.lost;
  }
  return { ...twins, extras, lost, map, where };
}
