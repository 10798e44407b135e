// Owns comparing the columns of an output with those of a source, row by row where the keys are equal.
import type { Column } from '../core/column.ts';
import { type Field, fieldNamed, sameType, typeName } from '../core/schema.ts';
import { castColumn, commonType } from '../source/casts.ts';
import { readRows } from '../source/dataset.ts';
import type { SourceFile } from '../source/types.ts';
import { differingRows } from './differing.ts';
import type { MatchedSource } from './events.ts';
import { wrongWhereAbsent } from './filled.ts';
import { batches, type RowRange, readGood, rowRanges, type Torn } from './output-file.ts';
import { valueText } from './same-value.ts';

/** Source rows read for one block, at most this many times the rows of the block: else the column is read whole, once. */
const SPAN_FACTOR = 4;

/** A column that differs from its source, in how many rows, and the first of them. */
export interface ColumnDifference {
  readonly name: string;
  readonly from: string;
  readonly source: MatchedSource;
  count: number;
  readonly row: number;
  /** -1: the source has no such event. */
  readonly sourceRow: number;
  readonly value: string;
  readonly sourceValue: string;
}

export interface CompareOptions {
  /** What the column holds where an event is missing; undefined = null. */
  readonly fill: number | undefined;
  readonly torn: Torn;
  readonly signal: AbortSignal;
}

export interface Comparison {
  readonly compared: readonly string[];
  readonly differences: readonly ColumnDifference[];
}

export async function compareSource(
  file: SourceFile,
  source: MatchedSource,
  options: CompareOptions,
): Promise<Comparison> {
  const { descriptor } = source.dataset;
  const names = [...source.columns].filter(([name, from]) =>
    comparable(file, name, fieldNamed(descriptor.schema, from)),
  );
  const found = new Map<string, ColumnDifference>();
  const ranges = rowRanges(file);
  const whole = !spansAreShort(source.rowOf, ranges);
  const all = { start: 0, end: descriptor.rows };
  for (const batch of batches(
    file,
    names.map(([name]) => name),
    largest(ranges, whole, file),
  )) {
    const from = batch.map((name) => source.columns.get(name)!);
    const kept = whole ? await readRows(source.dataset, from, all.start, all.end, options.signal) : undefined;
    for (const range of ranges) {
      options.signal.throwIfAborted();
      const columns = await readGood(file, batch, range, options.torn, options.signal);
      const span = whole ? all : spanOf(source.rowOf, range);
      const origin = kept ?? (await readRows(source.dataset, from, span.start, span.end, options.signal));
      for (const [name, column] of columns) {
        const type = fieldNamed(file.descriptor.schema, name)!.type;
        const cast = castColumn(origin[batch.indexOf(name)]!, type);
        compareBlock({ name, source, column, cast, range, span, fill: options.fill }, found);
      }
    }
  }
  return { compared: names.map(([name]) => name), differences: [...found.values()] };
}

/** Types that differ otherwise are findings of their own. */
function comparable(file: SourceFile, name: string, from: Field | undefined): boolean {
  const field = fieldNamed(file.descriptor.schema, name);
  if (field === undefined || from === undefined) return false;
  const common = commonType(from.type, field.type);
  return common !== undefined && (sameType(common, field.type) || typeName(common) === typeName(plain(field)));
}

function plain({ type }: Field): Field['type'] {
  return type.kind === 'list' ? { kind: 'list', item: type.item } : type;
}

function largest(ranges: readonly RowRange[], whole: boolean, { descriptor }: SourceFile): number {
  return whole ? descriptor.rows : ranges.reduce((most, { start, end }) => Math.max(most, end - start), 0);
}

function spanOf(rowOf: Int32Array, { start, end }: RowRange): RowRange {
  let low = 0x7fffffff;
  let high = 0;
  for (let i = start; i < end; i++) {
    const row = rowOf[i]!;
    if (row < 0) continue;
    if (row < low) low = row;
    if (row >= high) high = row + 1;
  }
  return high === 0 ? { start: 0, end: 0 } : { start: low, end: high };
}

function spansAreShort(rowOf: Int32Array, ranges: readonly RowRange[]): boolean {
  const rows = ranges.reduce((sum, range) => {
    const { start, end } = spanOf(rowOf, range);
    return sum + end - start;
  }, 0);
  return rows <= SPAN_FACTOR * Math.max(1, rowOf.length);
}

interface Block {
  readonly name: string;
  readonly source: MatchedSource;
  readonly column: Column;
  /** Rows span.start .. span.end of the source, as the output's type. */
  readonly cast: Column;
  readonly range: RowRange;
  readonly span: RowRange;
  readonly fill: number | undefined;
}

function compareBlock(block: Block, found: Map<string, ColumnDifference>): void {
  const { source, column, cast, range, span, fill } = block;
  const rows = source.rowOf.subarray(range.start, range.end);
  const wrong = [...differingRows(column, cast, { rows, base: span.start }), ...wrongWhereAbsent(column, rows, fill)];
  wrong.sort((left, right) => left - right);
  for (const i of wrong) addDifference(block, found, i, rows[i]!);
}

function addDifference(block: Block, found: Map<string, ColumnDifference>, i: number, sourceRow: number): void {
  const { name, source, column, cast, range, span } = block;
  const known = found.get(name);
  if (known !== undefined) {
    known.count++;
    return;
  }
  found.set(name, {
    name,
    from: source.columns.get(name)!,
    source,
    count: 1,
    row: range.start + i,
    sourceRow,
    value: valueText(column, i),
    sourceValue: sourceRow < 0 ? 'no such event' : valueText(cast, sourceRow - span.start),
  });
}
