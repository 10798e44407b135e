// Owns comparing the columns of a row group with those of a source, row by row where the keys are equal.
import type { Column } from '../core/column.ts';
import { fieldNamed } from '../core/schema.ts';
import { castColumn } from '../source/casts.ts';
import { readRows } from '../source/dataset.ts';
import type { BlockContext } from './block.ts';
import { differingPairs, pairsOf } from './differing.ts';
import { wrongWhereAbsent } from './filled.ts';
import type { RowRange } from './output-file.ts';
import type { Piece } from './pieces.ts';
import { valueText } from './same-value.ts';

/** Plain data: which columns of an output to compare with which of a source, and where the source has each output row. */
export interface Against {
  /** Which of the context's datasets. */
  readonly dataset: number;
  /** Name in the output -> name in the source. */
  readonly columns: ReadonlyMap<string, string>;
  /** By row of the output; -1 = the source has no such event. */
  readonly rowOf: Int32Array;
  /** What a column holds where an event is missing; undefined = null. */
  readonly fill: number | undefined;
  /** Rows that were read before, in ascending order without gaps; absent = the rows are read with the block. */
  readonly pieces?: readonly Piece[];
}

/** A column that differs from its source, in how many rows of a block, and the first of them. */
export interface Difference {
  readonly name: string;
  count: number;
  /** Of the output. */
  readonly row: number;
  /** -1: the source has no such event. */
  readonly sourceRow: number;
  readonly value: string;
  readonly sourceValue: string;
}

export interface Batch {
  readonly against: Against;
  readonly range: RowRange;
  /** Of the output. */
  readonly columns: ReadonlyMap<string, Column>;
}

/** Rows of the output from the range's start on, and the rows of a piece that they should equal. */
interface Partners {
  readonly piece: Piece;
  readonly left: Int32Array;
  readonly right: Int32Array;
}

export async function compareBatch(
  context: BlockContext,
  { against, range, columns }: Batch,
  found: Map<string, Difference>,
  signal: AbortSignal,
): Promise<void> {
  const names = [...columns.keys()].filter((name) => against.columns.has(name));
  if (names.length === 0) return;
  const rowOf = against.rowOf.subarray(range.start, range.end);
  const pieces = against.pieces ?? [await readSpan(context, against, names, rowOf, signal)];
  const partners = partnersOf(rowOf, pieces).map((each) => ({ ...each, pairs: pairsOf(each.left, each.right) }));
  for (const name of names) {
    const column = columns.get(name)!;
    const from = against.columns.get(name)!;
    const type = fieldNamed(context.file.descriptor.schema, name)!.type;
    const wrong: Wrong[] = [];
    for (const { piece, left, right, pairs } of partners) {
      const cast = castColumn(piece.columns.get(from)!, type);
      for (const k of differingPairs(column, cast, pairs)) wrong.push({ row: left[k]!, cast, at: right[k]! });
    }
    for (const row of wrongWhereAbsent(column, rowOf, against.fill)) wrong.push({ row });
    if (wrong.length > 0) found.set(name, differenceOf({ name, column, range, rowOf }, wrong));
  }
}

/** A row of the block, and where its partner's value is. */
interface Wrong {
  readonly row: number;
  readonly cast?: Column;
  readonly at?: number;
}

interface Compared {
  readonly name: string;
  readonly column: Column;
  readonly range: RowRange;
  readonly rowOf: Int32Array;
}

function differenceOf({ name, column, range, rowOf }: Compared, wrong: readonly Wrong[]): Difference {
  const first = wrong.reduce((best, other) => (other.row < best.row ? other : best));
  return {
    name,
    count: wrong.length,
    row: range.start + first.row,
    sourceRow: rowOf[first.row]!,
    value: valueText(column, first.row),
    sourceValue: first.cast === undefined ? 'no such event' : valueText(first.cast, first.at!),
  };
}

/** First row of the source that the rows name, and the row behind the last. */
export function spanOf(rowOf: Int32Array): RowRange {
  let low = 0x7fffffff;
  let high = 0;
  for (let i = 0; i < rowOf.length; i++) {
    const row = rowOf[i]!;
    if (row < 0) continue;
    if (row < low) low = row;
    if (row >= high) high = row + 1;
  }
  return high === 0 ? { start: 0, end: 0 } : { start: low, end: high };
}

async function readSpan(
  { datasets, arena }: BlockContext,
  against: Against,
  names: readonly string[],
  rowOf: Int32Array,
  signal: AbortSignal,
): Promise<Piece> {
  const { start, end } = spanOf(rowOf);
  const from = [...new Set(names.map((name) => against.columns.get(name)!))];
  const columns = await readRows(datasets[against.dataset]!, from, start, end, signal, arena.take);
  return { start, end, columns: new Map(from.map((name, i) => [name, columns[i]!])) };
}

/** The rows that have a partner, piece by piece. */
function partnersOf(rowOf: Int32Array, pieces: readonly Piece[]): Partners[] {
  if (pieces.length === 1) return partnersIn(rowOf, pieces[0]!);
  const ends = Int32Array.from(pieces, ({ end }) => end);
  const counts = new Int32Array(pieces.length);
  const pieceOf = new Int32Array(rowOf.length);
  for (let i = 0; i < rowOf.length; i++) {
    const p = rowOf[i]! < 0 ? -1 : firstAbove(ends, rowOf[i]!);
    pieceOf[i] = p;
    if (p >= 0) counts[p] = counts[p]! + 1;
  }
  const partners = pieces.map((piece, p) => {
    return { piece, left: new Int32Array(counts[p]!), right: new Int32Array(counts[p]!) };
  });
  counts.fill(0);
  for (let i = 0; i < rowOf.length; i++) {
    const p = pieceOf[i]!;
    if (p < 0) continue;
    const { piece, left, right } = partners[p]!;
    const at = counts[p]!;
    left[at] = i;
    right[at] = rowOf[i]! - piece.start;
    counts[p] = at + 1;
  }
  return partners.filter(({ left }) => left.length > 0);
}

function partnersIn(rowOf: Int32Array, piece: Piece): Partners[] {
  const left = new Int32Array(rowOf.length);
  const right = new Int32Array(rowOf.length);
  let count = 0;
  for (let i = 0; i < rowOf.length; i++) {
    if (rowOf[i]! < 0) continue;
    left[count] = i;
    right[count++] = rowOf[i]! - piece.start;
  }
  return count === 0 ? [] : [{ piece, left: left.subarray(0, count), right: right.subarray(0, count) }];
}

/** Index of the first of ascending numbers that is above `value`. */
function firstAbove(ends: Int32Array, value: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
