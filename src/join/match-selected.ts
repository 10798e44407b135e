// Owns matching of the primary events that a selection keeps: left and inner joins look at no other.
import { invariant } from '../core/check.ts';
import { countAbsent, countOnes } from '../core/flags.ts';
import type { KeyTable } from '../core/key-spec.ts';
import {
  findRows,
  insertKeys,
  makePartitionTable,
  makeSieve,
  type PartitionTable,
  siftRows,
} from '../keys/partition-table.ts';
import { inScratch, keysAt } from '../keys/store.ts';
import { proveDisjoint } from './disjoint.ts';
import { isAligned, type Matching, refuseTwins, type Side, selectAll } from './match.ts';
import { TWINS_SHOWN, type Twin } from './match-partition.ts';

/**
 * `selected`: one byte a primary row. Only what it keeps is indexed. A kept event that the primary has twice stops the join,
 * also where the other one was cut; friends' events that nobody asks for are not looked at further.
 * Errors: as matchSources.
 */
export function matchSelected(sides: readonly Side[], inner: boolean, selected: Uint8Array): Matching {
  const [primary, ...friends] = sides.map(inMemory) as [TableSide, ...TableSide[]];
  const own = keptRows(selected);
  const keys = keysAt(primary.keys, own);
  const index = uniqueAmongAll(primary, keys, own);
  const aligned = friends.map((friend) => isAligned(primary, friend));
  const same = new Map<Uint32Array, { readonly map: Int32Array; readonly extra: number }>();
  const found = friends.map((friend, f) => {
    if (aligned[f]) return { map: own, extra: primary.keys.rows - own.length };
    const known = same.get(friend.keys.words);
    if (known !== undefined) return known;
    const { map, rest } = lookUpKept(friend, index, own.length);
    proveDisjoint([{ keys, firstRow: 0 }], map, { keys: friend.keys, rows: rest });
    same.set(friend.keys.words, { map, extra: rest.length });
    return { map, extra: rest.length };
  });
  const maps = [own, ...found.map(({ map }) => map)];
  const kept = inner ? rowsOfAll(maps, own.length) : undefined;
  const whole = own.length === selected.length && kept === undefined;
  return {
    rowsOut: kept?.length ?? own.length,
    maps: selectAll(
      maps.map((map, s) => (whole && (s === 0 || aligned[s - 1] === true) ? undefined : map)),
      kept,
    ),
    extra: found.map(({ extra }) => extra),
    missing: found.map(({ map }) => countAbsent(map)),
    aligned,
    repeated: undefined,
    inverses: new Map(),
  };
}

interface TableSide extends Side {
  readonly keys: KeyTable;
}

function inMemory(side: Side): TableSide {
  const { keys } = side;
  invariant(!inScratch(keys), 'keys that a selection is matched by are in memory');
  return { ...side, keys };
}

/** Where no row lacks a source nothing is left out: undefined. */
function rowsOfAll(maps: readonly Int32Array[], rows: number): Int32Array | undefined {
  const kept = new Int32Array(rows);
  let count = 0;
  for (let i = 0; i < rows; i++) if (maps.every((map) => map[i]! >= 0)) kept[count++] = i;
  return count === rows ? undefined : kept.slice(0, count);
}

function keptRows(selected: Uint8Array): Int32Array {
  const count = countOnes(selected);
  const kept = new Int32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0, k = 0; i < selected.length && k < count; i++) {
    kept[k] = i;
    k += selected[i]!;
  }
  return kept;
}

/** The kept events of the primary by key: few of all, so that most keys are told by the sieve alone. */
interface KeptIndex {
  readonly table: PartitionTable;
  readonly sieve: Uint8Array;
}

/** An index over the rows `own` of the primary; none of their keys is there in another row. */
function uniqueAmongAll(primary: TableSide, keys: KeyTable, own: Int32Array): KeptIndex {
  const twins: Twin[] = [];
  const table = makePartitionTable(keys);
  insertKeys(table, { from: 0, to: keys.rows }, (first, second) => {
    if (twins.length < TWINS_SHOWN) twins.push({ first: own[first]!, second: own[second]! });
  });
  refuseTwins(primary, twins);
  const index = { table, sieve: makeSieve(keys) };
  const others = rowsApart(siftRows(index.sieve, primary.keys), own);
  const where = findRows(table, primary.keys, others);
  const cut: Twin[] = [];
  for (let i = 0; i < others.length && cut.length < TWINS_SHOWN; i++) {
    if (where[i]! < 0) continue;
    const [row, at] = [others[i]!, own[where[i]!]!];
    cut.push({ first: Math.min(at, row), second: Math.max(at, row) });
  }
  refuseTwins(primary, cut);
  return index;
}

/** Those of `rows` that are not among `some` of them: both ascending. */
function rowsApart(rows: Int32Array, some: Int32Array): Int32Array {
  const out = new Int32Array(rows.length);
  let count = 0;
  for (let i = 0, k = 0; i < rows.length; i++) {
    while (k < some.length && some[k]! < rows[i]!) k++;
    if (some[k] !== rows[i]) out[count++] = rows[i]!;
  }
  return out.subarray(0, count);
}

interface FoundRows {
  /** Ascending: all rows that the index has, and a few others. */
  readonly rows: Int32Array;
  /** The number of each in the index, or -1. */
  readonly where: Int32Array;
}

/** Unsorted: an index of few rows is in the core's cache as it is. */
function findEach({ table, sieve }: KeptIndex, keys: KeyTable): FoundRows {
  const rows = siftRows(sieve, keys);
  return { rows, where: findRows(table, keys, rows) };
}

/** Row of the friend for each indexed key, -1 = absent, and the friend's other rows. */
function lookUpKept(
  friend: TableSide,
  index: KeptIndex,
  count: number,
): { readonly map: Int32Array; readonly rest: Int32Array } {
  const { rows, where } = findEach(index, friend.keys);
  const map = new Int32Array(new SharedArrayBuffer(count * 4)).fill(-1);
  const twins: Twin[] = [];
  const rest = new Int32Array(friend.keys.rows);
  let others = 0;
  let next = 0;
  for (let i = 0; i < rows.length; i++) {
    const at = where[i]!;
    if (at < 0) continue;
    const row = rows[i]!;
    while (next < row) rest[others++] = next++;
    next++;
    if (map[at] === -1) map[at] = row;
    else if (twins.length < TWINS_SHOWN) twins.push({ first: map[at]!, second: row });
  }
  while (next < friend.keys.rows) rest[others++] = next++;
  refuseTwins(friend, twins);
  return { map, rest: rest.subarray(0, others) };
}
