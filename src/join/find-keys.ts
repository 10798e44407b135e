// Owns the passes of matching: sources sorted into partitions, each once, then partitions matched on as many threads as there are.
import type { KeySpec } from '../core/key-spec.ts';
import { type KeySegment, partitionBits, releaseSegment } from '../keys/partition.ts';
import type { KeyStore } from '../keys/store.ts';
import type { KeyCrew } from './key-jobs.ts';
import { inOrder } from './lanes.ts';
import { addTwin, type PartitionMatch, type Tier, TWINS_SHOWN, type Twin } from './match-partition.ts';

/** Rows sorted at a time; into scratch more, so that what is read of each for one partition is no crumb. */
const SORT_ROWS = 1 << 18;
const SPILL_ROWS = 1 << 20;
/** Tasks a thread: the threads end together. */
const TASKS_EACH = 4;

export interface FindTask {
  readonly tiers: readonly Tier[];
  /** Twins told of each kind: the first ones by row, or, in no order, all. */
  readonly twinsMax?: number;
  /** Absent: only twins of the first tier are looked for. */
  readonly friend?: { readonly segments: readonly KeySegment[]; readonly rows: number; readonly unionRows: number };
}

/** What was found, with row maps in shared memory; see `PartitionMatch`. */
export interface FoundKeys extends PartitionMatch {
  readonly map: Int32Array;
  readonly where: Int32Array;
}

export interface KeyFinder {
  segmentsOf(keys: KeyStore): Promise<readonly KeySegment[]>;
  match(task: FindTask): Promise<FoundKeys>;
  /** Gives back the memory of what was sorted, where no other thread has it: a collection of garbage may be long in coming. */
  release(): Promise<void>;
}

export function makeFinder(sides: readonly { readonly keys: KeyStore }[], crew: KeyCrew): KeyFinder {
  const { spec, stride } = sides[0]!.keys;
  const bits = partitionBits(Math.max(...sides.map(({ keys }) => keys.rows)), crew.partitionRows);
  const sorted = new Map<KeyStore, Promise<readonly KeySegment[]>>();
  return {
    segmentsOf: (keys) => {
      const known = sorted.get(keys) ?? sortAll(keys, bits, crew);
      sorted.set(keys, known);
      return known;
    },
    match: (task) => matchAll(task, { spec, stride, bits, crew }),
    release: async () => {
      for (const segments of sorted.values()) (await segments.catch(() => [])).forEach(releaseSegment);
      sorted.clear();
    },
  };
}

async function sortAll(keys: KeyStore, bits: number, crew: KeyCrew): Promise<readonly KeySegment[]> {
  const step = crew.sortRows ?? (crew.scratch === undefined ? SORT_ROWS : SPILL_ROWS);
  const starts = Array.from({ length: Math.ceil(keys.rows / step) }, (_, i) => i * step);
  const segments: KeySegment[] = [];
  const lanes = { width: crew.width, runMax: 1, share: 1 };
  const sort = (start: number, { seat }: { readonly seat: number }) => {
    const end = Math.min(keys.rows, start + step);
    return crew.sort({ keys, start, end, bits, scratch: crew.scratch }, seat);
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

async function matchAll(
  { tiers, friend, twinsMax = TWINS_SHOWN }: FindTask,
  { spec, stride, bits, crew }: Matching,
): Promise<FoundKeys> {
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
    const shape = { from, to, spec, stride, twinsMax, scratch: crew.scratch };
    return crew.match({ ...shape, tiers, ...(out && { friend: out }) }, seat);
  };
  for await (const { result } of inOrder(starts, lanes, match)) {
    for (const kind of ['own', 'matched', 'extra'] as const) {
      for (const twin of result[kind]) addTwin(twins[kind], twin, twinsMax);
    }
    extras += result.extras;
    lost ||= result.lost;
  }
  return { ...twins, extras, lost, map, where };
}

/** All rows of a source whose key an earlier one has, ascending, each with the first one that has it. */
export async function allTwins(keys: KeyStore, crew: KeyCrew): Promise<readonly Twin[]> {
  const finder = makeFinder([{ keys }], crew);
  const tiers = [{ segments: await finder.segmentsOf(keys), firstRow: 0 }];
  const { own } = await finder.match({ tiers, twinsMax: Number.POSITIVE_INFINITY });
  await finder.release();
  return [...own].sort((left, right) => left.second - right.second);
}
