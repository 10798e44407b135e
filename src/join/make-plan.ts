// Owns making the JoinPlan from keys and metadata: no payload is read here.
import { invariant } from '../core/check.ts';
import { type Dtype, dtypeBytes } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { countAbsent, countOnes } from '../core/flags.ts';
import { type KeyTable, keyText } from '../core/key-spec.ts';
import { firstOtherKey, type KeyStore, keyChunks, keyCursor, keyRange } from '../keys/store.ts';
import { locateRow } from '../source/dataset.ts';
import { spanOf } from './block-view.ts';
import { cutParts, type PartSize } from './cut-parts.ts';
import type { Repeated, RowGroup } from './duplicates.ts';
import type { KeyCrew } from './key-jobs.ts';
import { missingReasons } from './lumis.ts';
import { type How, type Matching, matchSources, type RowMap, type Side } from './match.ts';
import { matchSelected } from './match-selected.ts';
import type { OutSchema } from './out-schema.ts';
import type { Block, EqualColumn, JoinPlan, OutPart, Path, SourcePlan } from './plan.ts';
import { invertMap } from './shuffle.ts';
import type { Witness } from './witness-plan.ts';

export interface PlanSource extends Side {
  readonly label: string;
}

export interface PlanOptions {
  readonly how: How;
  readonly layout: 'arrow' | 'nano';
  readonly drop: boolean;
  readonly fill?: number;
  readonly expect?: 'aligned' | '1:1';
  /** Several parts, one a primary file or of a size; or all rows in one. */
  readonly perFile: boolean;
  readonly partSize?: PartSize;
  /** Primary datasets of which the first keeps what several have. */
  readonly groups?: readonly RowGroup[];
  /** Raw bytes of one output row, by metadata. */
  readonly rowBytes: number;
  readonly witnesses?: readonly Witness[];
  /** One byte a primary row: those that --where keeps. */
  readonly selected?: Uint8Array;
}

/** Row groups aim at this many raw bytes: what a reader holds, and what a worker does at a time. */
const ROW_GROUP_BYTES = 48 * 2 ** 20;
const ROW_GROUP_ROWS_MIN = 1 << 10;
const ROW_GROUP_ROWS_MAX = 1 << 17;
/** A source is read in place when its spans under the row groups hold at most this many rows a row used. */
const SPAN_FACTOR_MAX = 2;

/** Errors: those of matching, join/expectation, key/negative where another source's key does not fit the primary's type. */
export async function matchRows(
  sources: readonly PlanSource[],
  schema: OutSchema,
  options: PlanOptions,
  crew?: KeyCrew,
): Promise<Matching> {
  const matching = await matchAll(sources, options, crew);
  proveCounts(sources, matching, options);
  expect(sources, matching, options);
  refuseWideKeys(sources, schema, matching);
  return matching;
}

/** Where every row and column of the output comes from. `equal`: columns that the schema lacks, as others say the same. */
export function makePlan(
  sources: readonly PlanSource[],
  schema: OutSchema,
  options: PlanOptions,
  matching: Matching,
  equal: readonly EqualColumn[] = [],
): JoinPlan {
  const rowGroupRows = rowsPerGroup(options.rowBytes);
  const size = { ...options.partSize, rowGroupRows, rowBytes: options.rowBytes };
  const parts = options.perFile ? cutParts(sources, matching, size) : [{ name: '', start: 0, end: matching.rowsOut }];
  const blocks = parts.flatMap((part, index) => cutBlocks(part, index, rowGroupRows));
  const flagged = new Set(schema.columns.filter((column) => column.kind === 'missing').map((column) => column.source));
  const inverted = new Map(matching.inverses);
  const plans = sources.map((source, s): SourcePlan => {
    const map = matching.maps[s];
    const { path, why } = choosePath(s, map, blocks, matching);
    const absent = map === undefined ? 0 : countAbsent(map);
    const reasons =
      absent > 0 && flagged.has(s) && map !== undefined
        ? missingReasons(map, outRows(sources, matching), source.keys, s === 0 ? matching.cut : undefined)
        : undefined;
    return {
      dataset: source.descriptor,
      label: source.label,
      keys: source.keys,
      map,
      path,
      why,
      ...(path === 'shuffle' && map !== undefined ? { targets: inverse(map, source.keys.rows, inverted) } : {}),
      ...(reasons === undefined ? {} : { reasons }),
      dropped: schema.dropped[s]!,
      matched: s === 0 ? partnered(matching) : matching.rowsOut - absent,
      missing: absent,
      extra: s === 0 ? 0 : matching.extra[s - 1]!,
      duplicates: s === 0 ? (matching.repeated?.count ?? 0) : 0,
    };
  });
  const { key } = { key: sources[0]!.keys.spec };
  const base = {
    key,
    how: options.how,
    layout: options.layout,
    sources: plans,
    columns: schema.columns,
    checks: schema.checks,
    equal,
    witnesses: options.witnesses ?? [],
  };
  const fill = options.fill === undefined ? {} : { fill: options.fill };
  const overlaps = matching.repeated?.overlaps ?? [];
  return { ...base, ...fill, rowsOut: matching.rowsOut, rowGroupRows, parts, blocks, notes: [], overlaps };
}

/**
 * Where no row is left out, each row of a friend is matched or extra: one that is neither was lost. Of the primary just the
 * selected rows are in the output: a friend's row of an event that was cut is extra (left), or a row of its own (outer).
 */
function proveCounts(
  sources: readonly PlanSource[],
  { maps, extra, repeated }: Matching,
  { how, drop, selected }: PlanOptions,
): void {
  if (drop || (how !== 'left' && how !== 'outer')) return;
  maps.forEach((map, s) => {
    if (map === undefined) return;
    const rows = s === 0 ? ownRows(sources[0]!, selected, repeated) : sources[s]!.keys.rows;
    const apart = how === 'left' && s > 0 ? extra[s - 1]! : 0;
    if (map.length - countAbsent(map) + apart === rows) return;
    throw new ColweaveError('join/seal-mismatch', 'a match was lost: rows are neither matched nor extra', {
      where: [sources[s]!.label],
    });
  });
}

/** Rows of the primary that the output has. */
function ownRows({ keys }: PlanSource, selected: Uint8Array | undefined, repeated: Repeated | undefined): number {
  return selected === undefined ? keys.rows - (repeated?.count ?? 0) : countOnes(selected);
}

/** Sources with the same events in the same order share a row map, and its inverse. */
function inverse(map: Int32Array, rows: number, known: Map<Int32Array, Int32Array>): Int32Array {
  const targets = known.get(map) ?? invertMap(map, rows);
  known.set(map, targets);
  return targets;
}

async function matchAll(
  sources: readonly PlanSource[],
  { how, drop, selected, groups }: PlanOptions,
  crew: KeyCrew | undefined,
): Promise<Matching> {
  if (selected !== undefined && (how === 'left' || how === 'inner')) {
    return matchSelected(sources, how === 'inner' || drop, selected);
  }
  return matchSources(sources, how, drop, { selected, groups, crew });
}

/** Output rows that every source has. */
function partnered({ maps, rowsOut }: Matching): number {
  const partial = maps.filter((map) => map !== undefined);
  if (partial.length === 0) return rowsOut;
  if (partial.length === 1) return rowsOut - countAbsent(partial[0]!);
  const absent = new Uint8Array(rowsOut);
  for (const map of partial) markAbsent(map, absent);
  return rowsOut - countOnes(absent);
}

function markAbsent(map: Int32Array, absent: Uint8Array): void {
  for (let i = 0; i < absent.length; i++) if (map[i]! < 0) absent[i] = 1;
}

/** The power of two nearest below what fits. */
export function rowsPerGroup(rowBytes: number): number {
  const rows = 2 ** Math.floor(Math.log2(Math.max(1, ROW_GROUP_BYTES / Math.max(1, rowBytes))));
  return Math.min(ROW_GROUP_ROWS_MAX, Math.max(ROW_GROUP_ROWS_MIN, rows));
}

function cutBlocks({ start, end }: OutPart, part: number, rows: number): Block[] {
  const blocks: Block[] = [];
  for (let at = start; at < end; at += rows) blocks.push({ part, start: at, end: Math.min(end, at + rows) });
  return blocks;
}

/** From measured spans, never from names: does the source have to be read more than twice to be read in place? */
function choosePath(
  s: number,
  map: RowMap,
  blocks: readonly Block[],
  { aligned }: Matching,
): { readonly path: Path; readonly why: string } {
  const own = { path: 'primary', why: 'the order of the output' } as const;
  if (s === 0 && map === undefined) return own;
  if (s > 0 && aligned[s - 1]! && map === undefined)
    return { path: 'aligned', why: 'every key compared: same events, same order' };
  invariant(map !== undefined, 'a source that is not aligned has a row map');
  let spans = 0;
  let used = 0;
  let straight = true;
  for (const { start, end } of blocks) {
    const rows = map.subarray(start, end);
    const span = spanOf(rows);
    spans += span.hi - span.lo;
    straight &&= span.straight;
    used += rows.length - countAbsent(rows);
  }
  const factor = used === 0 ? 0 : spans / used;
  if (s === 0 && factor <= SPAN_FACTOR_MAX) return own;
  if (straight) return { path: 'aligned', why: 'every key compared: same order' };
  const why = `rows for one row group lie within ${factor.toFixed(1)} x their number`;
  return factor <= SPAN_FACTOR_MAX ? { path: 'local', why } : { path: 'shuffle', why };
}

function outRows(
  sources: readonly PlanSource[],
  { maps }: Matching,
): (row: number) => { words: Uint32Array; at: number } {
  const cursors = sources.map(({ keys }) => keyCursor(keys));
  return (row) => {
    const owner = maps.findIndex((map) => map === undefined || map[row]! >= 0);
    return cursors[owner]!(maps[owner]?.[row] ?? row);
  };
}

function expect(sources: readonly PlanSource[], matching: Matching, options: PlanOptions): void {
  if (options.expect === undefined) return;
  sources.slice(1).forEach((source, i) => {
    if (matching.aligned[i]) return;
    const name = `source "${source.label}"`;
    if (options.expect === 'aligned') throw notAligned(sources[0]!, source, name);
    const missing = matching.missing[i]!;
    // what --where cut is not asked of a friend
    const extra = options.selected === undefined ? matching.extra[i]! : 0;
    if (missing === 0 && extra === 0) return;
    throw new ColweaveError(
      'join/expectation',
      `${name} is not 1:1 with the primary: ${missing} events missing, ${extra} extra`,
      {
        where: [source.descriptor.files[0]!.descriptor.uri],
      },
    );
  });
}

function notAligned(primary: PlanSource, source: PlanSource, name: string): ColweaveError {
  const row = firstOtherKey(primary.keys, source.keys);
  const where = [source.descriptor.files[0]!.descriptor.uri];
  if (row < 0) {
    return new ColweaveError(
      'join/expectation',
      `${name} is not aligned: ${source.keys.rows} rows, the primary has ${primary.keys.rows}`,
      { where },
    );
  }
  const { uri, entry } = locateRow(source.descriptor, row);
  const details = [`the primary has ${textAt(primary.keys, row)}`, `${name} has ${textAt(source.keys, row)}`];
  return new ColweaveError('join/expectation', `${name} is not aligned with the primary from row ${row} on`, {
    where: [uri, `entry ${entry}`],
    details,
  });
}

const textAt = (keys: KeyStore, row: number): string => keyText(keyRange(keys, row, row + 1), 0);

/** Rows that only others have get keys of the primary's types: a key that does not fit is refused, not cut. */
function refuseWideKeys(sources: readonly PlanSource[], schema: OutSchema, matching: Matching): void {
  if (matching.maps[0] === undefined || !matching.maps[0].includes(-1)) return;
  const limits = schema.columns.flatMap((column) =>
    column.kind === 'key' && column.field.type.kind === 'flat' ? [keyLimit(column.field.type.dtype)] : [],
  );
  sources.slice(1).forEach(({ keys, descriptor }) => {
    for (const { firstRow, table } of keyChunks(keys)) {
      for (let row = 0; row < table.rows; row++) {
        const bad = wideColumn(table, row, limits);
        if (bad < 0) continue;
        const { uri, entry } = locateRow(descriptor, firstRow + row);
        const name = keys.spec.columns[bad]!.name;
        throw new ColweaveError(
          'key/negative',
          `the value of "${name}" does not fit the primary's type: ${keyText(table, row)}`,
          { where: [uri, `entry ${entry}`] },
        );
      }
    }
  });
}

interface KeyLimit {
  readonly low: number;
  readonly high: number;
}

function keyLimit(dtype: Dtype): KeyLimit {
  const bits = dtypeBytes(dtype) * 8 - (dtype.startsWith('i') ? 1 : 0);
  return bits <= 32 ? { low: 2 ** bits - 1, high: 0 } : { low: 2 ** 32 - 1, high: 2 ** (bits - 32) - 1 };
}

function wideColumn(keys: KeyTable, row: number, limits: readonly KeyLimit[]): number {
  let at = row * keys.stride;
  for (const [c, { words }] of keys.spec.columns.entries()) {
    const high = words === 2 ? keys.words[at + 1]! : 0;
    const limit = limits[c]!;
    if (high > limit.high || (limit.high === 0 && keys.words[at]! > limit.low)) return c;
    at += words;
  }
  return -1;
}
