// Owns reading one column chunk: walks its pages, opens those that hold the wanted rows, puts them together.
import type { Take } from '../../core/arena.ts';
import { invariant } from '../../core/check.ts';
import { type Column, concatColumns } from '../../core/column.ts';
import { bytesOf, type Dtype, dtypeBytes, type Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { Encoding, PageType } from '../../core/parquet-format.ts';
import { assembleColumn, assembleValues, type Levels, narrowInto, shapeOf } from './assemble.ts';
import { byteCursor } from './bits.ts';
import type { ColumnChunk } from './footer.ts';
import { shapeOnce } from './level-cache.ts';
import { type ChunkMemo, type ChunkWindow, keepDictionary, keepOpened, type Memos, notePlace } from './memo.ts';
import {
  checkCrc,
  checkPageBytes,
  type DataPage,
  decompressPage,
  openDataPage,
  type PageHeader,
  peekRows,
  readPageHeader,
} from './page.ts';
import type { Leaf } from './schema.ts';
import { damaged } from './thrift.ts';
import { concatValues, decodePlain, decodeValues, type PageValues, sliceValues, valueWidth } from './values.ts';

export interface ChunkRows {
  readonly leaf: Leaf;
  readonly chunk: ColumnChunk;
  readonly memos: Memos;
  readonly memo: ChunkMemo;
  readonly window: ChunkWindow;
  /** The bytes of the window's head and body. */
  readonly head: Uint8Array;
  readonly bytes: Uint8Array;
  /** Rows of the row group, and those wanted of it: rowStart .. rowEnd (exclusive). */
  readonly rows: number;
  readonly rowStart: number;
  readonly rowEnd: number;
  /** Makes the arrays of values, where a row group is wanted whole. */
  readonly take?: Take | undefined;
}

/** More than this is not made room for on the word of a column chunk alone. */
const PLACED_BYTES_MAX = 128 * 2 ** 20;
/** Dictionaries of more values than this are no real ones. */
const DICTIONARY_VALUES_MAX = 2 ** 27;

/** An opened page keeps its decoded values, not the bytes that they came from. */
const NO_BYTES = new Uint8Array(0);

interface Walk {
  readonly rows: ChunkRows;
  /** Rows begun before the page at hand, and before the first page that was kept. */
  row: number;
  firstRow: number;
  entries: number;
  page: number;
  dictionary: PageValues | undefined;
  dictionaries: number;
  readonly kept: { readonly page: DataPage; readonly values: PageValues }[];
  /** Where the values of all pages go, one after the other, when every row is wanted: no page is then kept for later reads. */
  readonly placed: Placed | undefined;
}

interface Placed {
  readonly dtype: Dtype;
  /** Of as many values as there are entries: those that are not null lie at its beginning. */
  readonly values: Values;
  filled: number;
}

/** The rows, or undefined where the window does not hold them all: then it must reach to the chunk's end. */
export function decodeChunk(rows: ChunkRows): Column | undefined {
  if (rows.rowStart === rows.rowEnd) return concatColumns(rows.leaf.type, []);
  const { from, dictionary } = rows.window;
  const { row, entries, page } = from;
  const placed = from.page === 0 ? placeFor(rows) : undefined;
  const walk: Walk = { rows, row, firstRow: 0, entries, page, dictionary, dictionaries: 0, kept: [], placed };
  try {
    if (rows.head.length > 0) walkHead(walk);
    if (!walkPages(walk)) return undefined;
  } catch (cause) {
    throw located(cause, `page ${walk.page}`);
  }
  return assembleKept(walk);
}

function placeFor({ leaf, chunk, rows, rowStart, rowEnd, take }: ChunkRows): Placed | undefined {
  const { item, storage } = leaf;
  if (take === undefined || rowStart > 0 || rowEnd < rows || item.kind !== 'flat') return undefined;
  if (storage === 'decimal' || chunk.entries * dtypeBytes(item.dtype) > PLACED_BYTES_MAX) return undefined;
  return { dtype: item.dtype, values: take(item.dtype, chunk.entries), filled: 0 };
}

/** The same error, saying where; errors that are not ours pass. */
export function located(cause: unknown, ...where: readonly string[]): unknown {
  if (!(cause instanceof ColweaveError)) return cause;
  return new ColweaveError(cause.code, cause.message, {
    where: [...where, ...cause.where],
    near: cause.near,
    hint: cause.hint,
    details: cause.details,
    cause: cause.cause,
  });
}

/** The pages before the first data page: a dictionary. */
function walkHead(walk: Walk): void {
  const { head } = walk.rows;
  for (let at = 0; at < head.length; ) {
    const header = readPageHeader(head, at);
    at += header.headerBytes;
    if (header.type === PageType.DICTIONARY_PAGE) readDictionary(walk, header, head.subarray(at, at + header.bytes));
    at += header.bytes;
  }
}

/** False where the window ends too early. */
function walkPages(walk: Walk): boolean {
  const { bytes, rowEnd, chunk, window, memo } = walk.rows;
  const partial = window.body.offset + bytes.length < chunk.bytes;
  let at = 0;
  let done = false;
  while (!done && walk.entries < chunk.entries && (partial || at < bytes.length)) {
    const header = nextHeader(bytes, at, partial);
    if (header === undefined) return false;
    const place = window.body.offset + at;
    at += header.headerBytes;
    const body = bytes.subarray(at, at + header.bytes);
    at += header.bytes;
    if (header.type === PageType.DICTIONARY_PAGE) readDictionary(walk, header, body);
    else if (header.type === PageType.DATA_PAGE || header.type === PageType.DATA_PAGE_V2) {
      notePlace(memo, { at: place, row: walk.row, entries: walk.entries, page: walk.page });
      done = takeDataPage(walk, place, header, body);
    }
    walk.page++;
  }
  if (walk.row < rowEnd) throw damaged(`the column ends at row ${walk.row} of ${walk.rows.rows}`);
  const whole = walk.entries === chunk.entries;
  if (whole && walk.row !== walk.rows.rows)
    throw damaged(`the column has ${walk.row} rows, its row group ${walk.rows.rows}`);
  return true;
}

/** Undefined where a page runs over the end of a window that has more behind it. */
function nextHeader(bytes: Uint8Array, at: number, partial: boolean): PageHeader | undefined {
  try {
    return readPageHeader(bytes, at);
  } catch (cause) {
    if (partial && cause instanceof ColweaveError) return undefined;
    throw cause;
  }
}

/** Returns true where no later page holds a wanted row. */
function takeDataPage(walk: Walk, at: number, header: PageHeader, body: Uint8Array): boolean {
  const { leaf, chunk, rowStart, rowEnd } = walk.rows;
  if (header.entries > chunk.entries - walk.entries) throw damaged('the pages hold more values than the column says');
  const known = walk.rows.memo.last?.at === at ? walk.rows.memo.last : undefined;
  const seen = known === undefined ? peekRows(leaf, header, body) : undefined;
  if (walk.row >= rowEnd && seen?.continues === false) return true;
  walk.entries += header.entries;
  if (seen !== undefined && walk.row + seen.begun <= rowStart) {
    walk.row += seen.begun;
    return false;
  }
  if (known === undefined) checkPageBytes(header, chunk.rawBytes, valueWidth(leaf));
  const page = known?.page ?? openDataPage(leaf, chunk.codec, header, body, walk.rows.memos.levels);
  const { begun } = page;
  // a page of a list column may go on with the row that the page before began
  const continues = page.rep !== undefined && page.entries > 0 && page.rep[0] !== 0;
  if (walk.row >= rowEnd && !continues) {
    walk.entries -= header.entries;
    return true;
  }
  if (walk.row + begun > rowStart || walk.kept.length > 0) keepPage(walk, at, header, page);
  walk.row += begun;
  return false;
}

function keepPage(walk: Walk, at: number, header: PageHeader, page: DataPage): void {
  const { leaf, memos, memo } = walk.rows;
  if (walk.kept.length === 0) walk.firstRow = walk.row;
  if (walk.placed !== undefined) {
    walk.kept.push({ page: { ...page, values: NO_BYTES }, values: placeValues(walk, walk.placed, at, header, page) });
    return;
  }
  if (memo.last?.at === at) {
    walk.kept.push(memo.last);
    return;
  }
  const values = decodeValues(leaf, header.encoding, page.values, page.present, walk.dictionary);
  const opened = { at, page: { ...page, values: NO_BYTES }, values };
  keepOpened(memos, memo, opened);
  walk.kept.push(opened);
}

/** Decodes the values of a page to where they belong. */
function placeValues(
  { rows: { leaf, memo }, dictionary }: Walk,
  placed: Placed,
  at: number,
  header: PageHeader,
  page: DataPage,
): PageValues {
  const target = placed.values.subarray(placed.filled, placed.filled + page.present);
  placed.filled += page.present;
  const narrow = leaf.storage === 'narrow';
  const room = narrow ? narrowRoom : () => bytesOf(target);
  const values =
    memo.last?.at === at
      ? memo.last.values
      : decodeValues(leaf, header.encoding, page.values, page.present, dictionary, room);
  invariant(values.kind === 'fixed' && values.count === target.length, 'numbers are of fixed width');
  if (narrow) narrowInto(leaf, values, target);
  else if (values.bytes.buffer !== target.buffer) bytesOf(target).set(values.bytes);
  return values;
}

let narrowScratch = new Uint8Array(0);
/** More than this is not kept for the next page. */
const NARROW_KEPT_MAX = 4 * 2 ** 20;

/** Values of 32 bits that are narrowed before the next page is decoded. */
function narrowRoom(bytes: number): Uint8Array {
  if (bytes > NARROW_KEPT_MAX) return new Uint8Array(bytes);
  if (narrowScratch.length < bytes) narrowScratch = new Uint8Array(bytes);
  return narrowScratch.subarray(0, bytes);
}

function readDictionary(walk: Walk, header: PageHeader, body: Uint8Array): void {
  const { leaf, chunk, memos, memo } = walk.rows;
  if (walk.dictionaries++ > 0) throw damaged('a column has two dictionaries');
  if (walk.dictionary !== undefined) return; // remembered from the read before
  if (header.encoding !== Encoding.PLAIN && header.encoding !== Encoding.PLAIN_DICTIONARY) {
    throw damaged(`a dictionary of encoding ${header.encoding}`);
  }
  checkCrc(header, body);
  checkPageBytes(header, chunk.rawBytes, valueWidth(leaf));
  const raw = decompressPage(chunk.codec, body, header.rawBytes);
  const leastBytes = valueWidth(leaf) === 0 ? 4 * header.entries : header.entries / 8;
  if (header.entries > DICTIONARY_VALUES_MAX || leastBytes > raw.length) {
    throw damaged(`a dictionary of ${header.entries} values in ${raw.length} bytes`);
  }
  walk.dictionary = decodePlain(leaf, byteCursor(raw), header.entries);
  keepDictionary(memos, memo, walk.dictionary);
}

function assembleKept(walk: Walk): Column {
  const { leaf, rowStart, rowEnd, memos } = walk.rows;
  const pages = walk.kept.map(({ page }) => page);
  const rows = { start: rowStart - walk.firstRow, end: rowEnd - walk.firstRow };
  const { shape, first, last } = shapeOnce(memos.levels, pages, rows, () => {
    const { first: before, last: after, ...levels } = keptLevels(walk, rows);
    return { shape: shapeOf(leaf, levels), first: before, last: after };
  });
  const { placed } = walk;
  if (placed !== undefined) {
    const values = placed.values.subarray(0, placed.filled);
    return assembleValues(shape, { kind: 'flat', dtype: placed.dtype, length: placed.filled, values }, walk.rows.take);
  }
  const values = concatValues(
    leaf,
    walk.kept.map((item) => item.values),
  );
  return assembleColumn(leaf, shape, sliceValues(values, first, last));
}

/** The levels of the wanted rows, and which of the values of all kept pages are theirs. */
function keptLevels(
  walk: Walk,
  { start: startRow, end: endRow }: { readonly start: number; readonly end: number },
): Levels & { readonly first: number; readonly last: number } {
  const { leaf } = walk.rows;
  const { kept } = walk;
  const entries = kept.reduce((sum, { page }) => sum + page.entries, 0);
  const begun = kept.reduce((sum, { page }) => sum + page.begun, 0);
  const rep =
    leaf.repeatedDefs.length === 0
      ? undefined
      : concatBytes(
          kept.map(({ page }) => page.rep!),
          entries,
        );
  const def = concatDefs(walk, entries);
  const start = entryOfRow(rep, startRow);
  const end = endRow === begun ? entries : entryOfRow(rep, endRow);
  const first = start === 0 ? 0 : presentBefore(def, leaf.defMax, 0, start);
  const present = kept.reduce((sum, { page }) => sum + page.present, 0);
  const last = end === entries ? present : first + presentBefore(def, leaf.defMax, start, end);
  const levels = { entries: end - start, rows: endRow - startRow };
  return { ...levels, rep: rep?.subarray(start, end), def: def?.subarray(start, end), first, last };
}

function concatBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function concatDefs({ kept, rows }: Walk, entries: number): Uint8Array | undefined {
  if (kept.every(({ page }) => page.def === undefined)) return undefined;
  const { defMax } = rows.leaf;
  return concatBytes(
    kept.map(({ page }) => page.def ?? new Uint8Array(page.entries).fill(defMax)),
    entries,
  );
}

/** The entry at which row `row` (counted from the first that begins here) begins; the end for the row after the last. */
function entryOfRow(rep: Uint8Array | undefined, row: number): number {
  if (rep === undefined) return row;
  let rows = -1;
  for (let i = 0; i < rep.length; i++) {
    if (rep[i] === 0 && ++rows === row) return i;
  }
  return rep.length;
}

function presentBefore(def: Uint8Array | undefined, max: number, start: number, end: number): number {
  if (def === undefined) return end - start;
  let present = 0;
  for (let i = start; i < end; i++) present += def[i] === max ? 1 : 0;
  return present;
}
