// Owns which row of which source belongs to which output row: matching by key, proofs about what did not match, row maps.
import { invariant } from '../core/check.ts';
import { ColweaveError } from '../core/errors.ts';
import { countAbsent } from '../core/flags.ts';
import { keyText } from '../core/key-spec.ts';
import type { KeySegment } from '../keys/partition.ts';
import { firstOtherKey, type KeyStore, keyRange } from '../keys/store.ts';
import { type DatasetDescriptor, locateRow } from '../source/dataset.ts';
import { type Repeated, type RowGroup, repeatedRows } from './duplicates.ts';
import { type KeyFinder, makeFinder } from './find-keys.ts';
import { INLINE_CREW, type KeyCrew } from './key-jobs.ts';
import { cutPrimary } from './match-cut.ts';
import type { Tier, Twin } from './match-partition.ts';

export type How = 'inner' | 'left' | 'right' | 'outer';

/** Row of the source for each output row, -1 = absent; undefined = output row i is source row i, and all rows are used. */
export type RowMap = Int32Array | undefined;

export interface Matching {
  readonly rowsOut: number;
  /** Primary first, then the friends in order. */
  readonly maps: readonly RowMap[];
  /** Rows of each friend that the primary does not have. */
  readonly extra: readonly number[];
  /** Primary rows that each friend does not have. */
  readonly missing: readonly number[];
  readonly aligned: readonly boolean[];
  /** Of maps that are one row of the union each, as it was found: the output row of each source row. */
  readonly inverses: ReadonlyMap<Int32Array, Int32Array>;
  /** One byte an output row: 1 = the primary has the event, but a selection cut it there; absent = none. */
  readonly cut?: Uint8Array;
  /** Rows of the primary that an earlier primary dataset has too: not in the output. */
  readonly repeated: Repeated | undefined;
}

/** Which rows of the primary count; absent = all. */
interface PrimaryRows {
  readonly selected?: Uint8Array | undefined;
  readonly groups?: readonly RowGroup[] | undefined;
}

/** What messages need to point at events. */
export interface Side {
  readonly descriptor: DatasetDescriptor;
  readonly keys: KeyStore;
}

/**
 * Matches every friend to the primary. `drop`: rows that a friend lacks are left out (inner for that friend).
 * `selected`, one byte a primary row: only those count as the primary's (left and inner: matchSelected).
 * `groups`: events that several of these primary datasets have are taken from the first; none = they are an error.
 * Not both: which of an event's rows a selection is about would be a guess.
 * Errors: join/duplicate-key (key/not-unique for a key of the user's own) on either side, with the first ones by file and entry.
 */
export async function matchSources(
  sides: readonly Side[],
  how: How,
  drop: boolean,
  { crew = INLINE_CREW, ...which }: PrimaryRows & { readonly crew?: KeyCrew | undefined } = {},
): Promise<Matching> {
  const finder = makeFinder(sides, crew);
  try {
    return await matchWith(finder, sides, { how, drop, ...which });
  } finally {
    await finder.release();
  }
}

async function matchWith(
  finder: KeyFinder,
  sides: readonly Side[],
  { how, drop, selected, groups = [] }: PrimaryRows & { readonly how: How; readonly drop: boolean },
): Promise<Matching> {
  invariant(selected === undefined || groups.length === 0, 'a selection, or datasets that overlap');
  const [primary, ...friends] = sides;
  invariant(primary !== undefined, 'a join has a primary');
  const tiers: Tier[] = [{ segments: await finder.segmentsOf(primary.keys), firstRow: 0 }];
  const repeated = groups.length > 0 ? await repeatedOf(primary, groups, finder, tiers) : undefined;
  let unique = repeated !== undefined;
  let unionRows = primary.keys.rows;
  const matched: (Int32Array | undefined)[] = [];
  const extra: number[] = [];
  const missing: number[] = [];
  const tails: Int32Array[] = [];
  // variations of one sample mostly have their events in one order: their keys are one table, and so is the map
  const same = new Map<KeyStore, Found>();
  for (const friend of friends) {
    if (repeated === undefined && isAligned(primary, friend)) {
      matched.push(undefined);
      extra.push(0);
      missing.push(0);
      continue;
    }
    const known = tiers.length === 1 ? same.get(friend.keys) : undefined;
    const found = known ?? (await lookUp(primary, friend, finder, { tiers, unionRows, unique }));
    unique = true;
    same.set(friend.keys, found);
    matched.push(found.map);
    extra.push(found.extra.length);
    missing.push(countAbsent(found.map.subarray(0, primary.keys.rows)) - (repeated?.count ?? 0));
    if (how === 'outer' || how === 'right') {
      found.extra.forEach((row, i) => {
        found.where[row] = unionRows + i;
      });
      tiers.push({ segments: found.segments, union: found.where, firstRow: unionRows });
      unionRows += found.extra.length;
      tails.push(found.extra);
    }
  }
  if (!unique) refuseTwins(primary, (await finder.match({ tiers })).own);
  const whole = unionMaps(primary.keys.rows, unionRows, matched, tails, how);
  const reordered = selected === undefined ? undefined : cutPrimary(whole, selected, unionRows, how);
  const maps = reordered?.maps ?? whole;
  const keeping = { how, drop, primaryRows: primary.keys.rows, repeated: repeated?.flags };
  const kept = reordered?.kept ?? keepRows(maps, unionRows, keeping);
  return {
    rowsOut: kept === undefined ? unionRows : kept.length,
    maps: selectAll(maps, kept),
    extra,
    missing,
    aligned: matched.map((map) => map === undefined),
    repeated,
    inverses: new Map([...same.values()].map(({ map, where }) => [map, where])),
    ...(reordered === undefined ? {} : { cut: reordered.cut }),
  };
}

/** Aligned is proved, never believed: every key of every row is compared. */
export function isAligned(primary: Side, friend: Side): boolean {
  return friend.keys.rows === primary.keys.rows && firstOtherKey(primary.keys, friend.keys) < 0;
}

/** Events that several primary datasets have. Errors: that one has an event twice. */
async function repeatedOf(
  side: Side,
  groups: readonly RowGroup[],
  finder: KeyFinder,
  tiers: readonly Tier[],
): Promise<Repeated | undefined> {
  const { own } = await finder.match({ tiers });
  if (own.length === 0) return undefined;
  const { segments } = tiers[0]!;
  const { where } = await finder.match({
    tiers,
    friend: { segments, rows: side.keys.rows, unionRows: side.keys.rows },
  });
  return repeatedRows(side, where, groups);
}

export function refuseTwins({ descriptor, keys }: Side, twins: readonly Twin[]): void {
  if (twins.length === 0) return;
  const place = (row: number) => {
    const { uri, entry } = locateRow(descriptor, row);
    return `${uri} entry ${entry}`;
  };
  const whole = keys.spec.name === 'cms' || keys.spec.name === 'atlas';
  const what = whole ? 'has the same event twice' : `has the same ${keys.spec.name} twice`;
  throw new ColweaveError(whole ? 'join/duplicate-key' : 'key/not-unique', `source "${descriptor.label}" ${what}`, {
    where: [locateRow(descriptor, twins[0]!.second).uri],
    details: twins.map(
      ({ first, second }) => `${keyText(keyRange(keys, first, first + 1), 0)}: ${place(first)} and ${place(second)}`,
    ),
  });
}

interface Found {
  /** Row of the friend for each row of the union so far, -1 = absent. */
  readonly map: Int32Array;
  /** Row of the union for each row of the friend, -1 = the union does not have it. */
  readonly where: Int32Array;
  /** Rows of the friend that the union does not have, ascending. */
  readonly extra: Int32Array;
  readonly segments: readonly KeySegment[];
}

interface Union {
  readonly tiers: readonly Tier[];
  readonly unionRows: number;
  /** The primary has no event twice, or may. */
  readonly unique: boolean;
}

async function lookUp(
  primary: Side,
  friend: Side,
  finder: KeyFinder,
  { tiers, unionRows, unique }: Union,
): Promise<Found> {
  const { rows } = friend.keys;
  const segments = await finder.segmentsOf(friend.keys);
  const { map, where, ...told } = await finder.match({ tiers, friend: { segments, rows, unionRows } });
  if (!unique) refuseTwins(primary, told.own);
  refuseTwins(friend, told.matched);
  refuseTwins(friend, told.extra);
  if (told.lost) throw new ColweaveError('join/seal-mismatch', 'a match was lost: a key is unmatched on both sides');
  const extra = new Int32Array(told.extras);
  if (extra.length > 0) for (let row = 0, k = 0; row < rows; row++) if (where[row]! < 0) extra[k++] = row;
  return { map, where, extra, segments };
}

/** One map a source over the rows of the whole union. */
function unionMaps(
  primaryRows: number,
  unionRows: number,
  matched: readonly (Int32Array | undefined)[],
  tails: readonly Int32Array[],
  how: How,
): RowMap[] {
  const grown = unionRows > primaryRows;
  const own = grown ? grow(undefined, primaryRows, unionRows) : undefined;
  if (how !== 'outer' && how !== 'right') return [own, ...matched];
  let at = primaryRows;
  let tail = 0;
  const maps = matched.map((map): RowMap => {
    if (map === undefined) return grown ? grow(undefined, primaryRows, unionRows) : undefined;
    const whole = grow(map, map.length, unionRows);
    const rows = tails[tail++]!;
    whole.set(rows, at);
    at += rows.length;
    return whole;
  });
  return [own, ...maps];
}

export function grow(map: Int32Array | undefined, rows: number, unionRows: number): Int32Array {
  const out = new Int32Array(new SharedArrayBuffer(unionRows * 4)).fill(-1);
  if (map !== undefined) out.set(map);
  else for (let i = 0; i < rows; i++) out[i] = i;
  return out;
}

interface Keeping {
  readonly how: How;
  readonly drop: boolean;
  readonly primaryRows: number;
  readonly repeated: Uint8Array | undefined;
}

/** The union rows that the output has, in order; undefined = all. */
function keepRows(
  maps: readonly RowMap[],
  unionRows: number,
  { how, drop, primaryRows, repeated }: Keeping,
): Int32Array | undefined {
  const all = how === 'outer' || (how === 'left' && !drop);
  if (all && repeated === undefined) return undefined;
  const [own, ...friends] = maps;
  const inner = how === 'inner' || drop;
  const kept = new Int32Array(unionRows);
  let count = 0;
  for (let i = 0; i < unionRows; i++) {
    if (repeated?.[i] === 1) continue;
    const inPrimary = own === undefined ? i < primaryRows : own[i]! >= 0;
    const inFriends = friends.every((map) => map === undefined || map[i]! >= 0);
    if (all || (inner ? inPrimary && inFriends : inFriends)) kept[count++] = i;
  }
  return count === unionRows ? undefined : kept.slice(0, count);
}

/** Maps that were one stay one. */
export function selectAll(maps: readonly RowMap[], kept: Int32Array | undefined): RowMap[] {
  const known = new Map<RowMap, RowMap>();
  return maps.map((map) => {
    const selected = known.has(map) ? known.get(map) : selectRows(map, kept);
    known.set(map, selected);
    return selected;
  });
}

function selectRows(map: RowMap, kept: Int32Array | undefined): RowMap {
  if (kept === undefined) return map;
  const out = new Int32Array(new SharedArrayBuffer(kept.length * 4));
  for (let i = 0; i < kept.length; i++) out[i] = map === undefined ? kept[i]! : map[kept[i]!]!;
  return out;
}
