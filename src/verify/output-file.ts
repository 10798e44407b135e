// Owns reading the file under test: in row groups, in bounded memory, and every failure of its bytes kept as a finding.
import type { Take } from '../core/arena.ts';
import type { Column } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Dataset } from '../source/dataset.ts';
import { parquetRowGroups } from '../source/parquet.ts';
import type { SourceFile } from '../source/types.ts';

/** Rows looked at as one block in files that have no row groups. */
const BLOCK_ROWS = 1 << 17;

export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** The row groups of a Parquet file, whole, as most readers decode them whole; else ranges of equal size. */
export function rowRanges({ descriptor }: SourceFile): readonly RowRange[] {
  if (descriptor.format === 'parquet') {
    return parquetRowGroups(descriptor)
      .filter(({ rows }) => rows > 0)
      .map(({ rowStart, rows }) => ({ start: rowStart, end: rowStart + rows }));
  }
  const ranges: RowRange[] = [];
  for (let start = 0; start < descriptor.rows; start += BLOCK_ROWS)
    ranges.push({ start, end: Math.min(descriptor.rows, start + BLOCK_ROWS) });
  return ranges;
}

interface Measured {
  /** Decoded bytes of these columns. */
  readonly rawBytesOf: (names: readonly string[]) => number;
  readonly descriptor: { readonly rows: number };
}

/** Columns in batches, in the order given, that decode to about `bytesMax` for `rows` rows. */
export function batches(
  { rawBytesOf, descriptor }: Measured,
  names: readonly string[],
  rows: number,
  bytesMax: number,
): readonly (readonly string[])[] {
  const out: string[][] = [];
  let bytes = 0;
  for (const name of names) {
    const raw = (rawBytesOf([name]) * rows) / Math.max(1, descriptor.rows);
    if (out.length === 0 || bytes + raw > bytesMax) {
      out.push([]);
      bytes = 0;
    }
    out.at(-1)!.push(name);
    bytes += raw;
  }
  return out;
}

/** Columns that cannot be decoded, each with the first reason. */
export type Torn = Map<string, ColweaveError>;

/** Reads what can be read: a column whose bytes are damaged is left out, and remembered. */
export async function readGood(
  file: SourceFile,
  names: readonly string[],
  { start, end }: RowRange,
  torn: Torn,
  signal: AbortSignal,
  take?: Take,
): Promise<ReadonlyMap<string, Column>> {
  const wanted = names.filter((name) => !torn.has(name));
  try {
    const columns = await file.read(wanted, start, end, signal, take);
    return new Map(wanted.map((name, i) => [name, columns[i]!]));
  } catch (error) {
    if (!(error instanceof ColweaveError)) throw error;
    return readOneByOne(file, wanted, { start, end }, torn, signal);
  }
}

async function readOneByOne(
  file: SourceFile,
  names: readonly string[],
  { start, end }: RowRange,
  torn: Torn,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Column>> {
  const read = new Map<string, Column>();
  for (const name of names) {
    try {
      const [column] = await file.read([name], start, end, signal);
      read.set(name, column!);
    } catch (error) {
      if (!(error instanceof ColweaveError)) throw error;
      torn.set(name, error);
    }
  }
  return read;
}

/** `source/damaged: the page's CRC differs (out.parquet, Jet_pt, row group 0)` */
export function errorText({ message, where }: Pick<ColweaveError, 'message' | 'where'>): string {
  return where.length === 0 ? message : `${message} (${where.join(', ')})`;
}

/** One file as a run of rows: what reading keys takes. */
export function datasetOf(file: SourceFile): Dataset {
  const { descriptor } = file;
  const { schema, rows } = descriptor;
  return {
    descriptor: { label: 'output', schema, rows, files: [{ descriptor, firstRow: 0 }], absentFalse: [] },
    files: [file],
    unreadable: file.unreadable,
    redundant: file.redundant,
  };
}
