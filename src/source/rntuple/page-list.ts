// Owns the page lists: which rows a cluster has, and where the pages of its columns are; each cluster group has one.
import { ColweaveError } from '../../core/errors.ts';
import { bits64, type Cursor, damaged, i32, i64, list, record, u32, u64 } from './cursor.ts';
import { locator, newer } from './envelope.ts';
import { type ClusterTable, type PageTable, pageBytes } from './layout.ts';
import type { ColumnRecord } from './schema-records.ts';

const ROWS_MAX = 2 ** 31 - 2;
const ELEMENTS_MAX = 2 ** 31 - 1;
/** Of a page as stored; more than any writer makes (1 MiB is usual), little enough for 32 bits. */
const PAGE_BYTES_MAX = 2 ** 31 - 1;
const CHECKSUM_BYTES = 8;
const SHARDED = 1n;

/** A cluster's part of a column. */
export interface Chunk {
  readonly pageStart: number;
  readonly pageEnd: number;
  readonly elements: number;
  /** Position of its first element in the whole column. */
  readonly elementStart: number;
}

/** undefined: the cluster does not have the column, or uses another representation. */
export interface Cluster {
  readonly rowStart: number;
  readonly rows: number;
  readonly chunks: readonly (Chunk | undefined)[];
}

/** Pages of all groups, in the order of their lists. */
export interface Pages {
  readonly offset: number[];
  readonly bytes: number[];
  readonly elementEnd: number[];
  readonly summed: number[];
}

export const noPages = (): Pages => ({ offset: [], bytes: [], elementEnd: [], summed: [] });

export interface PageListContext {
  readonly columns: readonly ColumnRecord[];
  readonly fileBytes: number;
  readonly headerChecksum: bigint;
  /** Larger pages are spread over several keys, which is not read. */
  readonly keyBytesMax: number;
}

/** The clusters of one group; their pages go to the end of `pages`. Errors: source/damaged, source/truncated, source/newer-format. */
export function readPageList(cursor: Cursor, pages: Pages, context: PageListContext): Cluster[] {
  if (bits64(cursor) !== context.headerChecksum) throw damaged('a page list belongs to another header');
  const summaries = list(cursor);
  const spans: { readonly rowStart: number; readonly rows: number }[] = [];
  for (let i = 0; i < summaries.items; i++) spans.push(readSummary(record(summaries.inside)));
  const clusters = list(cursor);
  if (clusters.items !== spans.length) throw damaged('a page list has other clusters than it says');
  return spans.map((span) => ({ ...span, chunks: readChunks(clusters.inside, pages, context) }));
}

function readSummary(cursor: Cursor): { readonly rowStart: number; readonly rows: number } {
  const rowStart = u64(cursor);
  const packed = bits64(cursor);
  if ((packed >> 56n) & SHARDED) throw newer('the RNTuple has sharded clusters');
  const rows = Number(packed & ((1n << 56n) - 1n));
  if (rowStart + rows > ROWS_MAX) {
    throw new ColweaveError('source/too-many-rows', `the RNTuple has ${rowStart + rows} entries or more`);
  }
  return { rowStart, rows };
}

/** Of one cluster. Columns that were added after its group was written are not in the list. */
function readChunks(cursor: Cursor, pages: Pages, context: PageListContext): (Chunk | undefined)[] {
  const { inside, items } = list(cursor);
  if (items > context.columns.length) throw damaged('a page list has more columns than the RNTuple');
  const chunks: (Chunk | undefined)[] = [];
  for (let column = 0; column < items; column++) {
    chunks.push(readChunk(inside, pages, context.columns[column]!, context));
  }
  return chunks;
}

function readChunk(cursor: Cursor, pages: Pages, column: ColumnRecord, context: PageListContext): Chunk | undefined {
  const { fileBytes, keyBytesMax } = context;
  const { inside, items } = list(cursor);
  const pageStart = pages.offset.length;
  let elements = 0;
  for (let page = 0; page < items; page++) {
    const signed = i32(inside);
    const { offset, bytes } = locator(inside);
    const count = Math.abs(signed);
    elements += count;
    const raw = pageBytes(count, column.bits);
    if (elements > ELEMENTS_MAX || raw > PAGE_BYTES_MAX) throw damaged('a page has impossibly many elements');
    if (bytes > raw || (bytes === 0 && raw > 0)) throw damaged(`a page of ${raw} bytes is stored in ${bytes}`);
    const stored = bytes + (signed < 0 ? CHECKSUM_BYTES : 0);
    if (stored > keyBytesMax) throw newer('a page of the RNTuple is spread over several keys');
    const end = offset + stored;
    if (end > fileBytes) {
      throw new ColweaveError('source/truncated', `a page ends at byte ${end}, the file at ${fileBytes}`);
    }
    pages.offset.push(offset);
    pages.bytes.push(bytes);
    pages.elementEnd.push(elements);
    pages.summed.push(signed < 0 ? 1 : 0);
  }
  const elementStart = i64(inside);
  if (elementStart < 0) {
    if (items > 0) throw damaged('a column that is not used has pages');
    return undefined;
  }
  u32(inside); // compression setting: blocks say it themselves
  return { pageStart, pageEnd: pages.offset.length, elements, elementStart };
}

/** Clusters in row order. Errors: source/damaged where rows are missing or doubled. */
export function inRowOrder(clusters: readonly Cluster[]): Cluster[] {
  const ordered = clusters.filter(({ rows }) => rows > 0).sort((left, right) => left.rowStart - right.rowStart);
  let row = 0;
  for (const { rowStart, rows } of ordered) {
    if (rowStart !== row) throw damaged(`clusters do not follow each other: entry ${row} is missing or doubled`);
    row += rows;
  }
  return ordered;
}

export function clusterTable(clusters: readonly Cluster[]): ClusterTable {
  return {
    rowStart: Int32Array.from(clusters, ({ rowStart }) => rowStart),
    rowEnd: Int32Array.from(clusters, ({ rowStart, rows }) => rowStart + rows),
  };
}

export function pageTable({ offset, bytes, elementEnd, summed }: Pages): PageTable {
  return {
    offset: Float64Array.from(offset),
    bytes: Int32Array.from(bytes),
    elementEnd: Int32Array.from(elementEnd),
    summed: Uint8Array.from(summed),
  };
}
