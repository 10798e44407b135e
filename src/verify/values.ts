// Owns comparing the columns of a row group with those of a source, row by row where the keys are equal.
import type { Column } from '../core/column.ts';
import { castColumn } from '../source/casts.ts';
import { readRows } from '../source/dataset.ts';
import type { BlockContext } from './block.ts';
import { differingColumns, type Pairs, pairsOf } from './differing.ts';
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
  readonly pairs: Pairs;
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
  const partners = partnersOf(rowOf, pieces);
  const absent = partners.reduce((sum, { pairs }) => sum + pairs.left.length, 0) < rowOf.length;
  const { fields } = context.file.descriptor.schema;
  const wrong = new Map(names.map((name) => [name, [] as Wrong[]]));
  for (const { piece, pairs } of partners) {
    const compared = names.map((name) => {
      const type = fields.find((field) => field.name === name)!.type;
      return {
        name,
        left: columns.get(name)!,
        right: castColumn(piece.columns.get(against.columns.get(name)!)!, type),
      };
    });
    differingColumns(compared, pairs).forEach((differing, c) => {
      const { name, right } = compared[c]!;
      for (const k of differing) wrong.get(name)!.push({ row: pairs.left[k]!, cast: right, at: pairs.right[k]! });
    });
  }
  for (const name of names) {
    const column = columns.get(name)!;
    const all = wrong.get(name)!;
    if (absent) for (const row of wrongWhereAbsent(column, rowOf, against.fill)) all.push({ row });
    if (all.length > 0) found.set(name, differenceOf({ name, column, range, rowOf }, all));
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
  const pieceOf = new Int32Array(rowOf.length);
  const counts = countPieces(rowOf, pieces, pieceOf);
  const rows = pieces.map((_, p) => ({ left: new Int32Array(counts[p]!), right: new Int32Array(counts[p]!) }));
  counts.fill(0);
  for (let i = 0; i < rowOf.length; i++) {
    const p = pieceOf[i]!;
    if (p < 0) continue;
    const { left, right } = rows[p]!;
    const at = counts[p]!;
    left[at] = i;
    right[at] = rowOf[i]! - pieces[p]!.start;
    counts[p] = at + 1;
  }
  return pieces.flatMap((piece, p) => {
    const { left, right } = rows[p]!;
    return left.length === 0 ? [] : [{ piece, pairs: pairsOf(left, right) }];
  });
}

/** Rows of a source whose piece is looked up at once. */
const LOOKUP_SHIFT = 10;

/** In which piece each row is, -1 = in none, and how many are in each. */
function countPieces(rowOf: Int32Array, pieces: readonly Piece[], pieceOf: Int32Array): Int32Array {
  const ends = Int32Array.from(pieces, ({ end }) => end);
  // the piece that holds the first row of each stretch: its other rows are in that piece or in one of the next
  const lookup = new Int32Array(((ends.at(-1) ?? 0) >> LOOKUP_SHIFT) + 1);
  for (let stretch = 0, p = 0; stretch < lookup.length; stretch++) {
    while (p < ends.length - 1 && ends[p]! <= stretch << LOOKUP_SHIFT) p++;
    lookup[stretch] = p;
  }
  const counts = new Int32Array(pieces.length);
  for (let i = 0; i < rowOf.length; i++) {
    const row = rowOf[i]!;
    let p = -1;
    if (row >= 0) {
      p = lookup[row >> LOOKUP_SHIFT]!;
      while (row >= ends[p]!) p++;
      counts[p] = counts[p]! + 1;
    }
    pieceOf[i] = p;
  }
  return counts;
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
  return count === 0 ? [] : [{ piece, pairs: pairsOf(left.subarray(0, count), right.subarray(0, count)) }];
}
