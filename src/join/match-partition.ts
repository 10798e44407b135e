// Owns matching the keys of one source to those of a union of sources, partition by partition, and the proof that none is lost.
import { makeSmallArena, type Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { type KeySegment, loadPartition, type PartitionRows } from '../keys/partition.ts';
import { findKeys, insertKeys, makePartitionTable, type PartitionTable } from '../keys/partition-table.ts';
import { keysAt } from '../keys/store.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { areDisjoint, rowNumbers } from './disjoint.ts';

/** Two rows of one source that have one key. */
export interface Twin {
  readonly first: number;
  readonly second: number;
}

/** What the rows of one partition may take, and each row of one in any case; larger partitions get arrays of their own. */
const ROOM_BYTES_MAX = 4 * 2 ** 20;
const ROW_BYTES = 64;

/** Twins that a refusal names. */
export const TWINS_SHOWN = 3;

/** Rows of the union that one source brought: the primary's own, or those of a friend that no source before it has. */
export interface Tier {
  readonly segments: readonly KeySegment[];
  /** The union row of each row of the source; absent = the same. */
  readonly union?: Int32Array;
  /** Rows of the source whose union row is before this one came from others. */
  readonly firstRow: number;
}

/** The partitions from .. to of what is to be matched. Arrays are in shared memory: each partition writes rows of its own. */
export interface MatchTask {
  readonly from: number;
  readonly to: number;
  readonly spec: KeySpec;
  readonly stride: number;
  readonly tiers: readonly Tier[];
  readonly friend?: {
    readonly segments: readonly KeySegment[];
    /** Row of the friend for each row of the union; -1 everywhere before. */
    readonly map: Int32Array;
    /** Row of the union for each row of the friend; -1 everywhere before. */
    readonly where: Int32Array;
  };
  /** Twins of each kind that are told: the first ones by row. */
  readonly twinsMax: number;
  readonly scratch?: Scratch | undefined;
}

export interface PartitionMatch {
  /** Among the rows of the first tier. */
  readonly own: readonly Twin[];
  /** Rows of the friend with one key that the union has. */
  readonly matched: readonly Twin[];
  /** Rows of the friend with one key that the union lacks. */
  readonly extra: readonly Twin[];
  /** Rows of the friend that the union lacks. */
  readonly extras: number;
  /** A key is unmatched on both sides. */
  readonly lost: boolean;
}

interface Twins {
  readonly own: Twin[];
  readonly matched: Twin[];
  readonly extra: Twin[];
}

export function matchPartitions(task: MatchTask): PartitionMatch {
  const twins: Twins = { own: [], matched: [], extra: [] };
  let extras = 0;
  let lost = false;
  const arena = makeSmallArena(Math.min(ROOM_BYTES_MAX, rowsOf(task) * ROW_BYTES));
  const { take } = arena;
  for (let part = task.from; part < task.to; part++) {
    arena.clear();
    const union = loadUnion(task, part, take);
    const table = makePartitionTable(union.keys, take);
    insertKeys(table, { from: 0, to: union.keys.rows }, (first, second) => {
      const twin = { first: union.rows[first]!, second: union.rows[second]! };
      addTwin(twins.own, twin, task.twinsMax);
    });
    if (task.friend === undefined) continue;
    const friend = loadPartition(task.friend.segments, part, task, { scratch: task.scratch, take });
    const found = matchRows(task, { table, union, friend, twins, take });
    extras += found.extras;
    lost ||= found.lost;
  }
  arena.close();
  return { ...twins, extras, lost };
}

function rowsOf({ tiers, friend, from, to }: MatchTask): number {
  const segments = [...tiers.flatMap((tier) => tier.segments), ...(friend?.segments ?? [])];
  return segments.reduce((sum, { bounds }) => sum + bounds[to]! - bounds[from]!, 0);
}

/** The first ones by the later of the two rows are kept; of any number all, in no order. */
export function addTwin(twins: Twin[], twin: Twin, max: number): void {
  if (max === Number.POSITIVE_INFINITY) {
    twins.push(twin);
    return;
  }
  if (twins.length === max && twins.at(-1)!.second < twin.second) return;
  twins.push(twin);
  twins.sort((left, right) => left.second - right.second);
  if (twins.length > max) twins.pop();
}

function loadUnion({ tiers, spec, stride, scratch }: MatchTask, part: number, take: Take): PartitionRows {
  const loaded = tiers.map((tier) =>
    ownRows(tier, loadPartition(tier.segments, part, { spec, stride }, { scratch, take })),
  );
  if (loaded.length === 1) return loaded[0]!;
  const count = loaded.reduce((sum, { rows }) => sum + rows.length, 0);
  const rows = new Int32Array(count);
  const words = new Uint32Array(count * stride);
  let at = 0;
  for (const own of loaded) {
    rows.set(own.rows, at);
    words.set(own.keys.words, at * stride);
    at += own.rows.length;
  }
  return { rows, keys: { spec, stride, rows: count, words } };
}

/** Of the rows of a source those that it brought to the union, by their numbers there. */
function ownRows({ union, firstRow }: Tier, { rows, keys }: PartitionRows): PartitionRows {
  if (union === undefined) return { rows, keys };
  const own = rows.filter((row) => union[row]! >= firstRow);
  const numbers = own.map((row) => union[row]!);
  const at = new Int32Array(own.length);
  for (let i = 0, k = 0; i < rows.length; i++) if (union[rows[i]!]! >= firstRow) at[k++] = i;
  return { rows: numbers, keys: keysAt(keys, at) };
}

interface FoundRows {
  /** For each of `rows`, which of `unionRows` has its key; -1 = none. */
  readonly found: Int32Array;
  readonly rows: Int32Array;
  readonly unionRows: Int32Array;
  readonly map: Int32Array;
  readonly where: Int32Array;
}

/** Fills the maps, and `rest` with what was not found, whose number is returned; `matched`: 1 = a row has the key already. */
function placeFound(
  { found, rows, unionRows, map, where }: FoundRows,
  matched: Uint8Array,
  rest: Int32Array,
  twice: (first: number, second: number) => void,
): number {
  let extras = 0;
  for (let i = 0; i < rows.length; i++) {
    const there = found[i]!;
    if (there < 0) {
      rest[extras++] = i;
      continue;
    }
    const at = unionRows[there]!;
    where[rows[i]!] = at;
    if (matched[there] === 1) twice(map[at]!, rows[i]!);
    else {
      map[at] = rows[i]!;
      matched[there] = 1;
    }
  }
  return extras;
}

interface RowsToMatch {
  readonly table: PartitionTable;
  readonly union: PartitionRows;
  readonly friend: PartitionRows;
  readonly twins: Twins;
  readonly take: Take;
}

function matchRows(
  { friend: out, twinsMax }: MatchTask,
  { table, union, friend: { rows, keys }, twins, take }: RowsToMatch,
): { readonly extras: number; readonly lost: boolean } {
  invariant(out !== undefined, 'a source to match');
  const { map, where } = out;
  const found = take('i32', rows.length) as Int32Array;
  findKeys(table, keys, found);
  const matched = (take('u8', union.rows.length) as Uint8Array).fill(0);
  const rest = take('i32', rows.length) as Int32Array;
  const extras = placeFound({ found, rows, unionRows: union.rows, map, where }, matched, rest, (first, second) => {
    addTwin(twins.matched, { first, second }, twinsMax);
  });
  if (extras === 0) return { extras, lost: false };
  const extra = keysAt(keys, rest.subarray(0, extras));
  insertKeys(makePartitionTable(extra, take), { from: 0, to: extras }, (first, second) => {
    addTwin(twins.extra, { first: rows[rest[first]!]!, second: rows[rest[second]!]! }, twinsMax);
  });
  const lonely = rowNumbers(union.rows.length).filter((i) => matched[i] === 0);
  if (lonely.length === 0) return { extras, lost: false };
  const left = { keys: union.keys, rows: lonely };
  const right = { keys: extra, rows: rowNumbers(extras) };
  const proved = lonely.length < extras ? areDisjoint(left, right) : areDisjoint(right, left);
  return { extras, lost: !proved };
}
