// Owns matching of the primary events that a selection keeps: left and inner joins look at no other.
import { invariant } from '../core/check.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { findKeys, insertKeys, makePartitionTable, type PartitionTable } from '../keys/partition-table.ts';
import { inScratch } from '../keys/store.ts';
import { proveDisjoint } from './disjoint.ts';
import { countAbsent, isAligned, type Matching, refuseTwins, type Side, selectAll } from './match.ts';
import { pickKeys, TWINS_SHOWN, type Twin } from './match-partition.ts';

/**
 * `selected`: one byte a primary row. Only what it keeps is indexed. A kept event that the primary has twice stops the join,
 * also where the other one was cut; friends' events that nobody asks for are not looked at further.
 * Errors: as matchSources.
 */
export function matchSelected(sides: readonly Side[], inner: boolean, selected: Uint8Array): Matching {
  const [primary, ...friends] = sides.map(inMemory) as [TableSide, ...TableSide[]];
  const own = keptRows(selected);
  const keys = pickKeys(primary.keys, own);
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
    missing: found.map(({ map }) => countAbsent(map, own.length)),
    aligned,
    repeated: undefined,
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
  let count = 0;
  for (let i = 0; i < selected.length; i++) count += selected[i]!;
  const kept = new Int32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0, k = 0; i < selected.length; i++) if (selected[i] === 1) kept[k++] = i;
  return kept;
}

/** An index over the rows `own` of the primary; none of their keys is there in another row. */
function uniqueAmongAll(primary: TableSide, keys: KeyTable, own: Int32Array): PartitionTable {
  const twins: Twin[] = [];
  const index = makePartitionTable(keys);
  insertKeys(index, { from: 0, to: keys.rows }, (first, second) => {
    if (twins.length < TWINS_SHOWN) twins.push({ first: own[first]!, second: own[second]! });
  });
  refuseTwins(primary, twins);
  const where = findEach(index, primary.keys);
  const cut: Twin[] = [];
  for (let row = 0; row < where.length && cut.length < TWINS_SHOWN; row++) {
    const at = where[row]! < 0 ? row : own[where[row]!]!;
    if (at !== row) cut.push({ first: Math.min(at, row), second: Math.max(at, row) });
  }
  refuseTwins(primary, cut);
  return index;
}

/** Unsorted: an index of few rows is in the core's cache as it is, and most keys are not in it. */
function findEach(index: PartitionTable, keys: KeyTable): Int32Array {
  const where = new Int32Array(keys.rows);
  findKeys(index, keys, where);
  return where;
}

/** Row of the friend for each indexed key, -1 = absent, and the friend's other rows. */
function lookUpKept(
  friend: TableSide,
  index: PartitionTable,
  rows: number,
): { readonly map: Int32Array; readonly rest: Int32Array } {
  const where = findEach(index, friend.keys);
  const map = new Int32Array(new SharedArrayBuffer(rows * 4)).fill(-1);
  const twins: Twin[] = [];
  const rest = new Int32Array(where.length);
  let others = 0;
  for (let row = 0; row < where.length; row++) {
    const at = where[row]!;
    if (at < 0) rest[others++] = row;
    else if (map[at] === -1) map[at] = row;
    else if (twins.length < TWINS_SHOWN) twins.push({ first: map[at]!, second: row });
  }
  refuseTwins(friend, twins);
  return { map, rest: rest.subarray(0, others) };
}
