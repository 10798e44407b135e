// Owns going through the file under test block by block, once: which task seals, hashes and compares what, and the sums of all.
import type { ByteRange } from '../bytes/types.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import { type Field, fieldNamed, sameType, typeName } from '../core/schema.ts';
import { addSeals, NO_SEAL, type Seal } from '../core/seal.ts';
import { commonType } from '../source/casts.ts';
import { datasetBytes } from '../source/dataset.ts';
import { parquetRowGroups } from '../source/parquet.ts';
import type { SourceFile } from '../source/types.ts';
import type { BlockResult, BlockSeals, BlockTask, Flags, TornColumn } from './block.ts';
import type { MatchedSource } from './events.ts';
import type { Workplace } from './key-tables.ts';
import type { LumiEvents } from './lumi.ts';
import { type RowRange, rowRanges } from './output-file.ts';
import { emptySlab, makeSlab, pieceRanges } from './pieces.ts';
import { type Against, type Difference, spanOf } from './values.ts';

/** Source rows read for one block, at most this many times the rows of the block: else the source is read in its own order. */
const SPAN_FACTOR = 4;
/** Raw bytes of a source's columns read in its own order at a time. */
const PIECES_BYTES = 96 * 2 ** 20;
/** Room beyond that for the ends of lists, which metadata do not count: bytes a row, if there is a list. */
const ENDS_BYTES = 16;

export interface BlocksWanted {
  readonly file: SourceFile;
  readonly spec: KeySpec;
  /** Absent: more than memory is to hold; each block reads its own. */
  readonly keys?: KeyTable | undefined;
  /** Absent: nothing is sealed. */
  readonly flags?: Flags | undefined;
  /** The stored bytes of each row group are hashed. */
  readonly hashes: boolean;
  readonly sources: readonly MatchedSource[];
  /** What columns hold where an event is missing; undefined = null. */
  readonly fill: number | undefined;
}

/** A column that differs from its source, in how many rows, and the first of them. */
export interface ColumnDifference extends Difference {
  readonly from: string;
  readonly source: MatchedSource;
}

export interface Comparison {
  readonly compared: readonly string[];
  readonly differences: readonly ColumnDifference[];
}

export interface BlocksReport {
  readonly seals: BlockSeals;
  readonly torn: ReadonlyMap<string, TornColumn>;
  /** Of keys that the blocks read. */
  readonly lumis: LumiEvents;
  /** By index of the row group. */
  readonly hashes: ReadonlyMap<number, string>;
  /** One a source. */
  readonly comparisons: readonly Comparison[];
}

/** A source, and which of its columns are compared how. */
interface Side {
  readonly source: MatchedSource;
  readonly index: number;
  readonly columns: ReadonlyMap<string, string>;
  /** Its rows for one block lie all over it. */
  readonly scattered: boolean;
}

/** What came of one task, and which sides it was about. */
interface Done {
  readonly range: RowRange;
  /** Whose bytes were hashed. */
  readonly group?: number | undefined;
  readonly sides: readonly Side[];
  readonly result: BlockResult;
}

export async function checkBlocks(place: Workplace, wanted: BlocksWanted): Promise<BlocksReport> {
  const { file, sources } = wanted;
  const ranges = rowRanges(file);
  const sides = sources.map((source, index): Side => {
    const columns = new Map([...source.columns].filter(([name, from]) => comparable(file, name, source, from)));
    return { source, index, columns, scattered: !spansAreShort(source.rowOf, ranges) };
  });
  const near = sides.filter(({ scattered }) => !scattered);
  const far = sides.filter(({ scattered }) => scattered);
  const nearNames = new Set(near.flatMap(({ columns }) => [...columns.keys()]));
  const farNames = new Set(far.flatMap(({ columns }) => [...columns.keys()]).filter((name) => !nearNames.has(name)));
  const done: Promise<Done>[] = [];
  const passes = far.map((side) => comparePieces(place, wanted, { ranges, side, sealed: farNames }, done));
  const names = file.descriptor.schema.fields.map(({ name }) => name).filter((name) => !farNames.has(name));
  const blocks = blocksOf(wanted, ranges);
  for (const [i, { range, group, stored }] of blocks.entries()) {
    const empty = range.start === range.end;
    const compared = empty ? [] : near;
    const against = compared.map((side) => againstOf(side, wanted.fill));
    const task: BlockTask = { range, seals: empty ? undefined : sealsOf(wanted, names, true), stored, against };
    const seat = Math.floor((i * place.work.width) / blocks.length);
    const ran = place.schedule.later(seat, async (on) => ({ ...(await resultOf(place, task, compared, on)), group }));
    ran.catch(() => {}); // thrown below, where it is waited for
    done.push(ran);
  }
  await Promise.all(passes);
  return sum(await allOf(done), wanted, sides);
}

/** Of several failures the one of the first block, however many threads there are. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  const results: T[] = [];
  for (const each of work) results.push(await each);
  return results;
}

interface BlockRange {
  readonly range: RowRange;
  readonly group?: number;
  readonly stored?: readonly ByteRange[];
}

/** Row groups without rows are there for their bytes alone. */
function blocksOf({ file: { descriptor }, hashes }: BlocksWanted, ranges: readonly RowRange[]): BlockRange[] {
  if (!hashes || descriptor.format !== 'parquet') return ranges.map((range) => ({ range }));
  return parquetRowGroups(descriptor).map(({ rowStart, rows, chunks }, group) => {
    const stored = chunks.map(({ start, bytes }): ByteRange => ({ offset: start, length: bytes }));
    return { range: { start: rowStart, end: rowStart + rows }, group, stored };
  });
}

async function resultOf({ work }: Workplace, task: BlockTask, sides: readonly Side[], seat: number): Promise<Done> {
  return { range: task.range, sides, result: await work.run('block', task, seat) };
}

function sealsOf({ flags, keys, spec }: BlocksWanted, columns: readonly string[], rows: boolean) {
  return flags === undefined ? undefined : { spec, keys, columns, flags, rows };
}

function againstOf({ index, columns, source }: Side, fill: number | undefined): Against {
  return { dataset: index, columns, rowOf: source.rowOf, fill };
}

interface Pass {
  readonly ranges: readonly RowRange[];
  readonly side: Side;
  /** Columns that no other task seals; those that this pass comes to first it takes out. */
  readonly sealed: Set<string>;
}

/** Some columns at a time: the source's rows in its own order, in pieces that all threads see, then every block of the output. */
async function comparePieces(place: Workplace, wanted: BlocksWanted, pass: Pass, done: Promise<Done>[]): Promise<void> {
  const { work, schedule, signal } = place;
  const { ranges, side, sealed } = pass;
  const { dataset } = side.source;
  const { rows } = dataset.descriptor;
  const rawBytesOf = (names: readonly string[]) => datasetBytes(dataset, names).raw;
  const from = [...new Set(side.columns.values())];
  const portions = evenly(from, (name) => rawBytesOf([name]), PIECES_BYTES);
  const most = Math.max(0, ...portions.map(rawBytesOf));
  const lists = from.some((name) => fieldNamed(dataset.descriptor.schema, name)?.type.kind !== 'flat');
  const slab = portions.length === 0 ? undefined : makeSlab(most + (lists ? ENDS_BYTES * rows : 0));
  for (const batch of portions) {
    signal.throwIfAborted();
    emptySlab(slab!);
    const pieces = await Promise.all(
      pieceRanges(dataset.descriptor).map((range) =>
        schedule.soon((seat) => work.run('read', { dataset: side.index, columns: batch, range, slab: slab! }, seat)),
      ),
    );
    const columns = new Map([...side.columns].filter(([, name]) => batch.includes(name)));
    const own = [...columns.keys()].filter((name) => sealed.delete(name));
    const against = [{ ...againstOf({ ...side, columns }, wanted.fill), pieces }];
    const blocks = ranges.map((range) => {
      const task: BlockTask = { range, seals: sealsOf(wanted, own, false), against };
      const ran = schedule.soon((seat) => resultOf(place, task, [side], seat));
      ran.catch(() => {}); // thrown where all blocks are waited for
      return ran;
    });
    done.push(...blocks);
    await Promise.all(blocks); // then the slab is free for the next columns; meanwhile other blocks are checked
  }
}

/** Names in order, in as few portions as hold about `bytesMax` each, all about as large. */
function evenly(names: readonly string[], bytesOf: (name: string) => number, bytesMax: number): string[][] {
  const total = names.reduce((sum, name) => sum + bytesOf(name), 0);
  const portions = Math.max(1, Math.ceil(total / bytesMax));
  const out: string[][] = [];
  let bytes = 0;
  for (const name of names) {
    const own = bytesOf(name);
    const fair = (total * out.length) / portions;
    if (out.length === 0 || bytes + own / 2 > fair) out.push([]);
    out.at(-1)!.push(name);
    bytes += own;
  }
  return out;
}

function sum(done: readonly Done[], { file, flags }: BlocksWanted, sides: readonly Side[]): BlocksReport {
  const seals = { keys: NO_SEAL, order: NO_SEAL, columns: new Map<string, Seal>(), moved: new Map<string, Seal>() };
  if (flags !== undefined) for (const { name } of file.descriptor.schema.fields) seals.columns.set(name, NO_SEAL);
  const torn = new Map<string, TornColumn>();
  const hashes = new Map<number, string>();
  const lumis: LumiEvents = new Map();
  const found = sides.map((): Map<string, ColumnDifference> => new Map());
  for (const { group, sides: own, result } of done.toSorted((a, b) => a.range.start - b.range.start)) {
    seals.keys = addSeals(seals.keys, result.seals.keys);
    seals.order = addSeals(seals.order, result.seals.order);
    for (const [name, seal] of result.seals.columns) add(seals.columns, name, seal);
    for (const [name, seal] of result.seals.moved) add(seals.moved, name, seal);
    for (const [name, events] of result.lumis ?? []) lumis.set(name, (lumis.get(name) ?? 0) + events);
    if (group !== undefined && result.hash !== undefined) hashes.set(group, result.hash);
    for (const [i, side] of own.entries()) addDifferences(side, result.differences[i]!, torn, found[side.index]!);
    for (const [name, why] of result.torn) if (!torn.has(name)) torn.set(name, why);
  }
  const comparisons = sides.map(({ columns, index }) => {
    return { compared: [...columns.keys()], differences: [...found[index]!.values()] };
  });
  return { seals, torn, lumis, hashes, comparisons };
}

function add(sums: Map<string, Seal>, name: string, seal: Seal): void {
  sums.set(name, addSeals(sums.get(name) ?? NO_SEAL, seal));
}

/** What comes behind a block that cannot be read is not looked at: that the column is damaged says enough. */
function addDifferences(
  { source, columns }: Side,
  differences: readonly Difference[],
  torn: ReadonlyMap<string, TornColumn>,
  found: Map<string, ColumnDifference>,
): void {
  for (const difference of differences) {
    const { name, count } = difference;
    if (torn.has(name)) continue;
    const known = found.get(name);
    if (known === undefined) found.set(name, { ...difference, from: columns.get(name)!, source });
    else known.count += count;
  }
}

/** Types that differ otherwise are findings of their own. */
function comparable(file: SourceFile, name: string, { dataset }: MatchedSource, origin: string): boolean {
  const field = fieldNamed(file.descriptor.schema, name);
  const from = fieldNamed(dataset.descriptor.schema, origin);
  if (field === undefined || from === undefined) return false;
  const common = commonType(from.type, field.type);
  return common !== undefined && (sameType(common, field.type) || typeName(common) === typeName(plain(field)));
}

function plain({ type }: Field): Field['type'] {
  return type.kind === 'list' ? { kind: 'list', item: type.item } : type;
}

function spansAreShort(rowOf: Int32Array, ranges: readonly RowRange[]): boolean {
  const rows = ranges.reduce((total, range) => {
    const { start, end } = spanOf(rowOf.subarray(range.start, range.end));
    return total + end - start;
  }, 0);
  return rows <= SPAN_FACTOR * Math.max(1, rowOf.length);
}
