// Owns reading pages: those that any task wants, in file order and in long reads, each put where its elements belong.
import type { ByteRange, ByteStore } from '../../bytes/types.ts';
import { pageRoom } from '../../codec/page-kernels.ts';
import { bytesOf, type Dtype, dtypeBytes, type Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { checkObject, unpackObjectInto } from '../root/blocks.ts';
import { checkPage, isPlain, placeIndex, placeValues } from './decode.ts';
import { beginCall, forgetPage, keepPage, keptPage, type OpenPage } from './kept.ts';
import { chunkOf, pageBytes, type RntupleLayout } from './layout.ts';
import type { Span } from './spans.ts';

/** Compressed bytes read at once: enough to make reads long, little beside the columns. */
const BATCH_BYTES_MAX = 3 * 1024 * 1024;
/** Room for a batch and the gaps in it. */
const ROOM_BYTES = 4 * 1024 * 1024;
const CHECKSUM_BYTES = 8;

/** These elements of one column, in its representations, are to fill `values`. */
export interface PageTask {
  readonly columns: readonly number[];
  readonly spans: readonly Span[];
  readonly target: { readonly dtype: Dtype | 'index'; readonly values: Values };
}

interface Reader {
  readonly store: ByteStore;
  readonly layout: RntupleLayout;
  /** Its number, for pages that are kept. */
  readonly file: number;
}

/** A page and the part of it that is wanted. */
interface Job {
  readonly task: PageTask;
  readonly page: number;
  readonly column: number;
  readonly cluster: number;
  readonly elements: number;
  readonly from: number;
  readonly count: number;
  /** Where its values belong in the task's. */
  readonly at: number;
}

/** One a thread, save where several reads run at once. */
let spareRoom: Uint8Array | undefined;

function takeRoom(): Uint8Array {
  const room = spareRoom ?? new Uint8Array(ROOM_BYTES);
  spareRoom = undefined;
  return room;
}

/** Where a page is in the file, with its checksum. */
export function storedPage({ pages }: RntupleLayout, page: number): ByteRange {
  const { offset, bytes, summed } = pages;
  return { offset: offset[page]!, length: bytes[page]! + CHECKSUM_BYTES * summed[page]! };
}

/** Fills the values of all tasks. Errors: source/damaged, source/truncated. */
export async function runPages(reader: Reader, tasks: readonly PageTask[], signal?: AbortSignal): Promise<void> {
  const { layout, store } = reader;
  const { offset } = layout.pages;
  beginCall();
  const jobs: Job[] = [];
  for (const task of tasks) addJobs(reader, task, jobs);
  jobs.sort((left, right) => offset[left.page]! - offset[right.page]!);
  const room = takeRoom();
  try {
    const batches = cutBatches(jobs, ({ page }) => storedPage(layout, page).length);
    const rangesOf = (batch: readonly Job[]) => batch.map(({ page }) => storedPage(layout, page));
    for (const [b, batch] of batches.entries()) {
      signal?.throwIfAborted();
      // what comes next travels while this is decoded
      for (const next of batches.slice(b, b + 2)) if (batches.length > 1) store.askAhead?.(rangesOf(next));
      const ranges = rangesOf(batch);
      const raws = await (store.readInto?.(ranges, room, signal) ?? store.read(ranges, signal));
      for (let i = 0; i < batch.length; i++) runJob(reader, batch[i]!, raws[i]!);
    }
  } finally {
    spareRoom = room;
  }
}

/** Neighbours, as many as are read at once: one at least. */
function cutBatches(jobs: readonly Job[], bytesIn: (job: Job) => number): Job[][] {
  const batches: Job[][] = [];
  let total = Number.POSITIVE_INFINITY;
  for (const job of jobs) {
    total += bytesIn(job);
    if (total > BATCH_BYTES_MAX) {
      batches.push([]);
      total = bytesIn(job);
    }
    batches.at(-1)!.push(job);
  }
  return batches;
}

/** Pages at hand are placed at once, and so are the zeros of columns that came later. */
function addJobs(reader: Reader, task: PageTask, jobs: Job[]): void {
  const { layout, file } = reader;
  const { pageStart, lead } = layout.chunks;
  const { elementEnd } = layout.pages;
  let out = 0;
  for (const { cluster, from, to } of task.spans) {
    const chunk = chunkOf(layout, task.columns, cluster);
    const column = chunk - cluster * layout.columns.length;
    const zeros = Math.min(to, lead[chunk]!) - from;
    if (zeros > 0) bytesOf(task.target.values.subarray(out, out + zeros)).fill(0);
    const first = Math.max(0, from - lead[chunk]!);
    const last = to - lead[chunk]!;
    let page = firstPage(elementEnd, pageStart[chunk]!, pageStart[chunk + 1]!, first);
    for (; page < pageStart[chunk + 1]!; page++) {
      const begin = page === pageStart[chunk]! ? 0 : elementEnd[page - 1]!;
      if (begin >= last) break;
      const start = Math.max(first, begin);
      const count = Math.min(last, elementEnd[page]!) - start;
      if (count <= 0) continue;
      const at = out + start + lead[chunk]! - from;
      const elements = elementEnd[page]! - begin;
      const job = { task, page, column, cluster, elements, from: start - begin, count, at };
      const open = keptPage(file, page);
      if (open === undefined) jobs.push(job);
      else place(reader, job, open);
    }
    out += to - from;
  }
}

/** The first page of a chunk that ends after an element. */
function firstPage(elementEnd: Int32Array, start: number, end: number, element: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (elementEnd[middle]! <= element) low = middle + 1;
    else high = middle;
  }
  return low;
}

function runJob(reader: Reader, job: Job, raw: Uint8Array): void {
  const { layout } = reader;
  const { page, task, elements, count, at } = job;
  const column = layout.columns[job.column]!;
  const { dtype, values } = task.target;
  try {
    const stored = checkPage(raw, layout.pages.bytes[page]!);
    if (count === elements && dtype !== 'index' && isPlain(column, dtype)) {
      const width = dtypeBytes(dtype);
      unpackObjectInto(stored, pageBytes(elements, column.bits), bytesOf(values), at * width);
      return;
    }
    place(reader, job, unpackPage(reader.file, job, stored, column.bits));
  } catch (cause) {
    throw inPage(reader, job, cause);
  }
}

/** Where it is kept if the next rows may want the rest of it, else where the kernels read it. */
function unpackPage(file: number, { page, elements, from, count }: Job, stored: Uint8Array, bits: number): OpenPage {
  const length = pageBytes(elements, bits);
  checkObject(stored, length);
  const fill = (room: Uint8Array) => unpackObjectInto(stored, length, room, 0);
  const open = from + count < elements ? keepPage(file, page, { length, elements }, fill) : undefined;
  if (open !== undefined) return open;
  const room = pageRoom(length) ?? new Uint8Array(length);
  fill(room);
  return { bytes: room, elements };
}

function place({ layout, file }: Reader, job: Job, open: OpenPage): void {
  const { task, page, column, from, count, at } = job;
  const { dtype, values } = task.target;
  const stored = layout.columns[column]!;
  if (dtype === 'index') placeIndex(open, stored, { from, count }, values as Int32Array, at);
  else placeValues(open, stored, { from, count }, { dtype, values, at });
  if (from + count === open.elements) forgetPage(file, page);
}

function inPage({ layout }: Reader, { column, cluster, page }: Job, cause: unknown): unknown {
  if (!(cause instanceof ColweaveError)) return cause;
  const place = `page at byte ${layout.pages.offset[page]}`;
  return new ColweaveError(cause.code, cause.message, {
    where: [`column ${column} of the file`, `cluster ${cluster}`, place],
    hint: cause.hint,
    cause: cause.cause,
  });
}
