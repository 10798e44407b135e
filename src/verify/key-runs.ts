// Owns sorting more keys than memory holds: runs sorted one by one, spilled to scratch, and merged as one ascending stream.
import type { KeySpec } from '../core/key-spec.ts';
import { keyStride } from '../core/key-spec.ts';
import { readKeys } from '../keys/read.ts';
import {
  appendScratch,
  closeScratch,
  openScratch,
  readScratch,
  type Scratch,
  scratchFolder,
} from '../scratch/scratch.ts';
import type { SourceFile } from '../source/types.ts';
import { sortRows } from './key-order.ts';
import { datasetOf } from './output-file.ts';

/** Files whose events are looked at as one set; row numbers go on from file to file. */
export interface EventSet {
  readonly files: readonly SourceFile[];
  readonly rows: number;
}

export interface SortLimits {
  /** Bytes that sorting may take. */
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
}

/** A row while its run is sorted: key words, sorting, record; and what the collector has not taken back of the run before. */
const ROW_BYTES = 120;
const RUN_ROWS_MAX = 1 << 22;
const RUN_ROWS_MIN = 1 << 14;
/** Bytes that all runs of a merge together read ahead. */
const AHEAD_BYTES = 48 * 2 ** 20;
const AHEAD_ROWS_MIN = 1 << 8;

/** Records of `stride` key words and a row number, ascending by key, then by row. */
interface Run {
  readonly rows: number;
  readonly memory?: Uint32Array;
  readonly offset?: number;
}

/** The rows of a set by ascending key; rows of equal keys by ascending row. */
export interface KeyStream {
  /** Goes to the next row; false = there is none. */
  next(): boolean;
  /** The record of the current row: key words from `at`, then the row number. */
  words(): Uint32Array;
  at(): number;
  row(): number;
}

export interface SortedSet {
  readonly stream: KeyStream;
  close(): void;
}

/** Reads, sorts and, where they do not fit, spills the keys of a set. Errors: those of reading keys, memory/not-enough. */
export async function sortSet(set: EventSet, spec: KeySpec, limits: SortLimits): Promise<SortedSet> {
  const stride = keyStride(spec);
  const runRows = Math.min(RUN_ROWS_MAX, Math.max(RUN_ROWS_MIN, Math.floor(limits.memoryBytes / ROW_BYTES)));
  const spills = set.rows > runRows;
  const scratch = spills ? openScratch(scratchFolder()) : undefined;
  const close = () => {
    if (scratch !== undefined) closeScratch(scratch);
  };
  try {
    const runs: Run[] = [];
    for await (const words of keyChunks(set, spec, runRows, limits.signal)) {
      const records = sortedRecords(words, spec, stride);
      const rows = words.rows;
      if (scratch === undefined) runs.push({ rows, memory: records });
      else runs.push({ rows, offset: appendScratch(scratch, new Uint8Array(records.buffer)) });
    }
    return { stream: mergeRuns(runs, stride, scratch), close };
  } catch (error) {
    close();
    throw error;
  }
}

interface KeyChunk {
  readonly words: Uint32Array;
  readonly rows: number;
  readonly firstRow: number;
}

/** Chunks of just `runRows` rows, over file boundaries; the words are overwritten by the next chunk. */
async function* keyChunks(
  { files, rows }: EventSet,
  spec: KeySpec,
  runRows: number,
  signal: AbortSignal,
): AsyncGenerator<KeyChunk> {
  const stride = keyStride(spec);
  const words = new Uint32Array(Math.min(runRows, rows) * stride);
  let filled = 0;
  let firstRow = 0;
  for (const file of files) {
    const dataset = datasetOf(file);
    for (let start = 0; start < file.descriptor.rows; ) {
      const end = Math.min(file.descriptor.rows, start + Math.min(READ_ROWS, runRows - filled));
      const keys = await readKeys(dataset, spec, { start, end }, signal);
      words.set(keys.words, filled * stride);
      filled += end - start;
      start = end;
      if (filled < runRows) continue;
      yield { words, rows: filled, firstRow };
      firstRow += filled;
      filled = 0;
    }
  }
  if (filled > 0) yield { words, rows: filled, firstRow };
}

/** Rows of keys read at a time. */
const READ_ROWS = 1 << 19;

function sortedRecords({ words, rows, firstRow }: KeyChunk, spec: KeySpec, stride: number): Uint32Array {
  const order = sortRows({ spec, rows, stride, words });
  const size = stride + 1;
  const records = new Uint32Array(rows * size);
  for (let i = 0, to = 0; i < rows; i++) {
    const row = order[i]!;
    const from = row * stride;
    for (let k = 0; k < stride; k++) records[to++] = words[from + k]!;
    records[to++] = firstRow + row;
  }
  return records;
}

/** Where one run is: a window of its records, refilled from scratch. */
interface Cursor {
  window: Uint32Array;
  at: number;
  end: number;
  left: number;
  offset: number;
}

function mergeRuns(runs: readonly Run[], stride: number, scratch: Scratch | undefined): KeyStream {
  const size = stride + 1;
  const ahead = Math.max(AHEAD_ROWS_MIN, Math.floor(AHEAD_BYTES / (size * 4) / Math.max(1, runs.length)));
  const cursors = runs.filter(({ rows }) => rows > 0).map((run) => cursorOf(run, size));
  const heap: Cursor[] = [];
  const fill = (cursor: Cursor): boolean => {
    if (cursor.left === 0) return false;
    const rows = Math.min(ahead, cursor.left);
    const bytes = new Uint8Array(rows * size * 4);
    readScratch(scratch!, cursor.offset, bytes);
    cursor.window = new Uint32Array(bytes.buffer);
    cursor.at = 0;
    cursor.end = rows * size;
    cursor.left -= rows;
    cursor.offset += bytes.length;
    return true;
  };
  for (const cursor of cursors) {
    if (cursor.end === 0) fill(cursor);
    heap.push(cursor);
    siftUp(heap, heap.length - 1, stride);
  }
  let current: Cursor | undefined;
  return {
    next() {
      if (current !== undefined) {
        current.at += size;
        if (current.at === current.end && !fill(current)) {
          const last = heap.pop()!;
          if (heap.length > 0) heap[0] = last;
        }
        siftDown(heap, stride);
      }
      current = heap[0];
      return current !== undefined;
    },
    words: () => current!.window,
    at: () => current!.at,
    row: () => current!.window[current!.at + stride]!,
  };
}

function cursorOf({ rows, memory, offset = 0 }: Run, size: number): Cursor {
  return memory === undefined
    ? { window: new Uint32Array(0), at: 0, end: 0, left: rows, offset }
    : { window: memory, at: 0, end: rows * size, left: 0, offset };
}

/** Key words, then the row number: no two records are equal. */
function before(left: Cursor, right: Cursor, stride: number): boolean {
  const a = left.window;
  const b = right.window;
  for (let k = 0, p = left.at, q = right.at; k <= stride; k++, p++, q++) {
    if (a[p] !== b[q]) return a[p]! < b[q]!;
  }
  return false;
}

function siftUp(heap: Cursor[], index: number, stride: number): void {
  let at = index;
  const item = heap[at]!;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(item, heap[parent]!, stride)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = item;
}

function siftDown(heap: Cursor[], stride: number): void {
  const { length } = heap;
  if (length < 2) return;
  const item = heap[0]!;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= length) break;
    if (child + 1 < length && before(heap[child + 1]!, heap[child]!, stride)) child++;
    if (!before(heap[child]!, item, stride)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = item;
}
