// Owns what is remembered of column chunks between reads: where pages begin, and, within a budget, the last ones opened.
// Without it, reading a row group in many small ranges would open its first pages again and again.
import type { ByteRange } from '../../bytes/types.ts';
import type { ColumnChunk } from './footer.ts';
import { forgetLevels, type LevelCache, noLevels } from './level-cache.ts';
import type { DataPage } from './page.ts';
import type { PageValues } from './values.ts';

/** A data page begins at byte `at` of its chunk, after `row` rows were begun and `entries` entries passed. */
export interface PagePlace {
  readonly at: number;
  readonly row: number;
  readonly entries: number;
  /** Its number among all pages, for messages. */
  readonly page: number;
}

export interface OpenedPage {
  readonly at: number;
  readonly page: DataPage;
  readonly values: PageValues;
}

export interface ChunkMemo {
  readonly places: PagePlace[];
  dictionary: PageValues | undefined;
  last: OpenedPage | undefined;
}

export interface Memos {
  /** The row group whose pages are kept. */
  group: number;
  keptBytes: number;
  readonly chunks: Map<ColumnChunk, ChunkMemo>;
  readonly levels: LevelCache;
}

/** Dictionaries and pages kept open: a quarter of the working set that the program aims at. */
const KEPT_BYTES_MAX = 64 * 2 ** 20;
/** A first read of this much saves a second one; pages are rarely larger. */
const WINDOW_BYTES_MIN = 2 ** 20;
/** Pages differ in how well they compress. */
const WINDOW_SLACK = 1.3;

export function noMemos(): Memos {
  return { group: -1, keptBytes: 0, chunks: new Map(), levels: noLevels() };
}

/** Forgets the opened pages of other row groups; where pages begin stays known. */
export function enterGroup(memos: Memos, group: number): void {
  if (memos.group === group) return;
  memos.group = group;
  memos.keptBytes = 0;
  forgetLevels(memos.levels);
  for (const memo of memos.chunks.values()) {
    memo.dictionary = undefined;
    memo.last = undefined;
  }
}

export function memoOf(memos: Memos, chunk: ColumnChunk): ChunkMemo {
  let memo = memos.chunks.get(chunk);
  if (memo === undefined) {
    memo = noMemo();
    memos.chunks.set(chunk, memo);
  }
  return memo;
}

const noMemo = (): ChunkMemo => ({ places: [], dictionary: undefined, last: undefined });

export function notePlace({ places }: ChunkMemo, place: PagePlace): void {
  const last = places.at(-1);
  if (last === undefined || place.at > last.at) places.push(place);
}

export function keepDictionary(memos: Memos, memo: ChunkMemo, dictionary: PageValues): void {
  const bytes = valuesBytes(dictionary);
  if (memo.dictionary !== undefined || memos.keptBytes + bytes > KEPT_BYTES_MAX) return;
  memo.dictionary = dictionary;
  memos.keptBytes += bytes;
}

export function keepOpened(memos: Memos, memo: ChunkMemo, opened: OpenedPage): void {
  if (memo.last !== undefined) memos.keptBytes -= openedBytes(memo.last);
  memo.last = undefined;
  const bytes = openedBytes(opened);
  if (memos.keptBytes + bytes > KEPT_BYTES_MAX) return;
  memo.last = opened;
  memos.keptBytes += bytes;
}

function valuesBytes(values: PageValues): number {
  return values.bytes.byteLength + (values.kind === 'text' ? values.offsets.byteLength : 0);
}

function openedBytes({ page, values }: OpenedPage): number {
  return valuesBytes(values) + (page.rep?.byteLength ?? 0) + (page.def?.byteLength ?? 0);
}

/** What to read for rows start .. end of a chunk: its head up to the first data page, if needed, and a stretch of pages. */
export interface ChunkWindow {
  readonly from: PagePlace;
  /** As remembered when the window was made: another read may make the memo forget it before the bytes are there. */
  readonly dictionary: PageValues | undefined;
  /** Bytes of the chunk, counted from its start. */
  readonly head: ByteRange;
  readonly body: ByteRange;
}

const FIRST: PagePlace = { at: 0, row: 0, entries: 0, page: 0 };

export interface WindowRows {
  readonly all: number;
  readonly start: number;
  readonly end: number;
  readonly toEnd: boolean;
}

/** Of a chunk that nothing was read of yet. */
export const firstWindowOf = (chunk: ColumnChunk, rows: WindowRows): ChunkWindow => windowOf(chunk, noMemo(), rows);

/** From the page in which row `start` begins, as far as is known, and about as far as `end`, or to the chunk's end. */
export function windowOf(chunk: ColumnChunk, memo: ChunkMemo, rows: WindowRows): ChunkWindow {
  const from = memo.places.findLast(({ row }) => row <= rows.start) ?? FIRST;
  const left = chunk.bytes - from.at;
  const share = (rows.end - from.row) / Math.max(1, rows.all - from.row);
  const guess = Math.max(WINDOW_BYTES_MIN, Math.ceil(left * share * WINDOW_SLACK));
  const headBytes = from.at > 0 && memo.dictionary === undefined ? memo.places[0]!.at : 0;
  return {
    from,
    dictionary: memo.dictionary,
    head: { offset: 0, length: headBytes },
    body: { offset: from.at, length: rows.toEnd ? left : Math.min(left, guess) },
  };
}
