// Owns reading rows of branches: which baskets, in file order, decoded straight into the columns' arrays.
import type { ByteStore } from '../../bytes/types.ts';
import { releaseBuffer, type Take } from '../../core/arena.ts';
import { invariant } from '../../core/check.ts';
import { type Column, flatColumn } from '../../core/column.ts';
import { allocate, bytesOf, dtypeBytes, type Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import {
  checkEntryOffsets,
  countsOf,
  damaged,
  decodeBasket,
  readBasketHead,
  scratchFor,
  swapValues,
  unpackBasket,
} from './baskets.ts';
import { type BasketData, type BranchLayout, type RootLayout, valuesPerItem } from './layout.ts';
import { type Assembled, assemble, regular, shareOffsets as shareLists } from './object/assemble.ts';
import { decodeObjects, type ObjectPart } from './object/decode.ts';
import { decodeStrings, joinStrings, type StringPart } from './strings.ts';

/** Compressed bytes read at once: enough to make reads long, little beside the columns. */
const BATCH_BYTES_MAX = 3 * 1024 * 1024;
/** Room for a batch and the gaps in it. */
const ROOM_BYTES = 4 * 1024 * 1024;
/** Decompressed baskets kept because the next read begins inside them. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;
/** Columns up to this size are allocated without a look at what the tree says. */
const UNCHECKED_BYTES_MAX = 16 * 1024 * 1024;
const ITEMS_MAX = 2 ** 31 - 1;

/** Open tree: layout, bytes, and the baskets that the next read will want again. */
export interface TreeReader {
  readonly store: ByteStore;
  readonly rows: number;
  readonly layout: RootLayout;
  readonly branches: ReadonlyMap<string, BranchLayout>;
  readonly kept: Kept;
}

/** By number of the basket, oldest first. */
interface Kept {
  readonly baskets: Map<number, BasketData>;
  bytes: number;
}

export function forgetKept(kept: Kept): void {
  kept.baskets.clear();
  kept.bytes = 0;
}

/** Rows start .. end of one branch, being read. Rows may be more than were asked for: a counter serves whole baskets. */
interface Task {
  readonly branch: BranchLayout;
  readonly rowStart: number;
  readonly rowEnd: number;
  readonly itemBytes: number;
  /** Item position of row `startsRow + i`; absent: one item a row. */
  readonly starts?: Int32Array;
  readonly startsRow: number;
  /** Number branches: the values, filled basket by basket. */
  readonly values: Values;
  readonly target: Uint8Array;
  readonly targetView: DataView;
  /** No value has been placed at this byte of `target` or after it. */
  filledEnd: number;
  readonly strings: StringPart[];
  readonly objects: ObjectPart[];
}

interface Job {
  readonly task: Task;
  readonly basket: number;
}

/** `take` makes the arrays of the columns, which last as its arena says. */
export interface ReadHow {
  readonly take?: Take | undefined;
  readonly signal?: AbortSignal | undefined;
  /** One byte a row asked for, 0 = its values are not looked at: a basket that holds only such rows is not read. */
  readonly needed?: Uint8Array | undefined;
}

interface Span {
  rowStart: number;
  rowEnd: number;
}

interface Counted extends Span {
  /** The counter's own values in these rows. */
  readonly counts: Values;
  /** Position of the first item of row rowStart + i, and the end of the last. */
  readonly starts: Int32Array;
  /** Of the rows asked for, from 0: the one object that all lists of this counter share. */
  readonly offsets: Int32Array;
}

/** Columns of these branches in their order. Errors: source/damaged, source/truncated. */
export async function readRows(
  reader: TreeReader,
  branches: readonly BranchLayout[],
  rows: Readonly<Span>,
  how: ReadHow = {},
): Promise<Column[]> {
  const { rowStart, rowEnd } = rows;
  invariant(
    rowStart >= 0 && rowStart <= rowEnd && rowEnd <= reader.rows,
    `rows ${rowStart} to ${rowEnd} are in the tree`,
  );
  const { take = allocate, signal, needed } = how;
  const counters = await readCounters(reader, branches, rows, { take, signal });
  const tasks = branches.map((branch) => {
    if (counters.has(branch.name)) return undefined; // it was read to cut the others
    return makeTask(branch, rows, branch.counter && counters.get(branch.counter), take);
  });
  const toRun = tasks.filter((task) => task !== undefined);
  const objects = groupObjects(toRun);
  const plain = toRun.filter(({ branch }) => branch.kind !== 'object');
  await runTasks(reader, [...plain, ...objects.values()], rowEnd, signal, needed);
  const assembled = new Map<Task, Assembled>();
  for (const task of objects.values()) assembled.set(task, assemble(task.branch.object!.layout, task.objects, take));
  const columns = tasks.map((task, i) => {
    const branch = branches[i]!;
    if (task === undefined) return counterColumn(branch, rows, counters.get(branch.name)!);
    if (branch.object) return assembled.get(objects.get(branch.basketStart)!)!(branch.object.slot);
    return columnOf(task, branch.counter ? counters.get(branch.counter) : undefined);
  });
  return objects.size > 0 ? shareLists(columns) : columns;
}

function counterColumn({ dtype }: BranchLayout, { rowStart, rowEnd }: Readonly<Span>, counted: Counted): Column {
  return flatColumn(dtype, counted.counts.subarray(rowStart - counted.rowStart, rowEnd - counted.rowStart));
}

/** By their baskets: all columns of an object branch are decoded by one task. */
function groupObjects(tasks: readonly Task[]): Map<number, Task> {
  const objects = tasks.filter(({ branch }) => branch.kind === 'object');
  return new Map(objects.map((task) => [task.branch.basketStart, task]));
}

/** Each counter once, over all baskets that any of its lists touches: an edge basket is cut by its counts. */
async function readCounters(
  reader: TreeReader,
  branches: readonly BranchLayout[],
  rows: Readonly<Span>,
  { take, signal }: { readonly take: Take; readonly signal: AbortSignal | undefined },
): Promise<Map<string, Counted>> {
  const spans = new Map<string, Span>();
  for (const branch of branches) {
    if (branch.counter === undefined) continue;
    const span = spans.get(branch.counter) ?? { ...rows };
    for (const basket of basketsOf(reader.layout, branch, rows)) {
      span.rowStart = Math.min(span.rowStart, reader.layout.baskets.rowStart[basket]!);
      span.rowEnd = Math.max(span.rowEnd, reader.layout.baskets.rowEnd[basket]!);
    }
    spans.set(branch.counter, span);
  }
  const tasks = [...spans].map(([name, span]) => makeTask(reader.branches.get(name)!, span, undefined, take));
  await runTasks(reader, tasks, rows.rowEnd, signal);
  const counted = tasks.map((task) => count(task, rows, take));
  return new Map(shareOffsets(counted).map((entry, i) => [tasks[i]!.branch.name, entry]));
}

/** Files with a counter a branch have many that are equal: their lists share offsets as if they had one. */
function shareOffsets(counted: readonly Counted[]): Counted[] {
  const known = new Map<number, Int32Array[]>();
  return counted.map((entry) => {
    const items = entry.offsets.at(-1)!;
    const alike = known.get(items) ?? [];
    const same = alike.find((offsets) => Buffer.compare(bytesOf(offsets), bytesOf(entry.offsets)) === 0);
    if (same) return { ...entry, offsets: same };
    known.set(items, [...alike, entry.offsets]);
    return entry;
  });
}

function count(task: Task, rows: Readonly<Span>, take: Take): Counted {
  const { rowStart, rowEnd } = task;
  const counts = countsOf(task.values);
  const starts = take('i32', counts.length + 1) as Int32Array;
  const sum = sumCounts(counts, starts);
  if (sum < 0) {
    throw inBranch(task.branch, damaged(`entry ${rowStart - sum - 1} counts ${task.values[-sum - 1]} items`));
  }
  if (sum > ITEMS_MAX) {
    throw inBranch(task.branch, damaged(`it counts ${sum} items in ${counts.length} entries`));
  }
  const first = rows.rowStart - rowStart;
  const base = starts[first]!;
  const offsets = take('i32', rows.rowEnd - rows.rowStart + 1) as Int32Array;
  subtract(starts, first, base, offsets);
  return { rowStart, rowEnd, counts: task.values, starts, offsets };
}

function subtract(starts: Int32Array, first: number, base: number, out: Int32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = starts[first + i]! - base;
}

/** Fills `starts` with sums, from 0 on, and returns the last the sum; -1 - i where entry i has a negative count. */
function sumCounts(counts: Int32Array, starts: Int32Array): number {
  let sum = 0;
  starts[0] = 0;
  for (let i = 0; i < counts.length; i++) {
    const items = counts[i]!;
    if (items < 0) return -1 - i;
    sum += items;
    starts[i + 1] = sum;
  }
  return sum;
}

function makeTask(branch: BranchLayout, rows: Readonly<Span>, counted: Counted | '' | undefined, take: Take): Task {
  const { rowStart, rowEnd } = rows;
  const perItem = valuesPerItem(branch);
  const items = counted ? counted.offsets[rowEnd - rowStart]! : rowEnd - rowStart;
  const values = allocateValues(branch, branch.kind === 'number' ? items * perItem : 0, take);
  return {
    branch,
    rowStart,
    rowEnd,
    itemBytes: perItem * dtypeBytes(branch.dtype),
    ...(counted ? { starts: counted.starts } : {}),
    startsRow: counted ? counted.rowStart : 0,
    values,
    target: bytesOf(values),
    targetView: new DataView(values.buffer, values.byteOffset, values.byteLength),
    filledEnd: 0,
    strings: [],
    objects: [],
  };
}

/** A damaged counter may ask for any size: what the tree says of the branch is the limit, checked for large ones. */
function allocateValues(branch: BranchLayout, length: number, take: Take): Values {
  const bytes = length * dtypeBytes(branch.dtype);
  if (bytes > UNCHECKED_BYTES_MAX && branch.rawBytes > 0 && bytes > branch.rawBytes) {
    throw inBranch(branch, damaged(`its rows have ${bytes} bytes of values, the tree says ${branch.rawBytes}`));
  }
  try {
    return take(branch.dtype, length);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ColweaveError('memory/not-enough', `${length} values of "${branch.name}" do not fit into memory`, {
      cause,
    });
  }
}

/** Baskets of a branch that hold any of these rows. */
export function* basketsOf(layout: RootLayout, branch: BranchLayout, rows: Readonly<Span>): Generator<number> {
  if (rows.rowStart >= rows.rowEnd) return;
  const { rowStart, rowEnd } = layout.baskets;
  let low = branch.basketStart;
  let high = branch.basketEnd;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rowEnd[middle]! <= rows.rowStart) low = middle + 1;
    else high = middle;
  }
  for (let basket = low; basket < branch.basketEnd && rowStart[basket]! < rows.rowEnd; basket++) yield basket;
}

/** One a thread, save where several reads run at once. */
let spareRoom: Uint8Array | undefined;

function takeRoom(): Uint8Array {
  const room = spareRoom ?? new Uint8Array(ROOM_BYTES);
  spareRoom = undefined;
  return room;
}

/**
 * All tasks' baskets in file order, batch by batch. Those at hand come last, since what follows the payload of a basket
 * from the file may be put, for a moment, where they belong.
 */
async function runTasks(
  reader: TreeReader,
  tasks: readonly Task[],
  rowEnd: number,
  signal?: AbortSignal,
  needed?: Uint8Array,
) {
  const { layout, kept, store } = reader;
  const { seek, bytes } = layout.baskets;
  const jobs: Job[] = [];
  const atHand: { readonly job: Job; readonly data: BasketData }[] = [];
  for (const task of tasks) {
    for (const basket of basketsOf(layout, task.branch, task)) {
      if (needed !== undefined && !isNeeded(layout, task, basket, needed)) continue;
      const data = kept.baskets.get(basket) ?? layout.embedded[-1 - seek[basket]!];
      if (data) atHand.push({ job: { task, basket }, data });
      else jobs.push({ task, basket });
    }
  }
  jobs.sort((left, right) => seek[left.basket]! - seek[right.basket]!);
  const room = takeRoom();
  try {
    for (let start = 0; start < jobs.length; ) {
      signal?.throwIfAborted();
      let end = start;
      let total = 0;
      while (end < jobs.length && (end === start || total + bytes[jobs[end]!.basket]! <= BATCH_BYTES_MAX)) {
        total += bytes[jobs[end++]!.basket]!;
      }
      const batch = jobs.slice(start, end);
      const ranges = batch.map(({ basket }) => ({ offset: seek[basket]!, length: bytes[basket]! }));
      const raws = await (store.readInto?.(ranges, room, signal) ?? store.read(ranges, signal));
      for (let i = 0; i < batch.length; i++) runJob(reader, batch[i]!, raws[i]!, rowEnd);
      start = end;
    }
  } finally {
    spareRoom = room;
  }
  for (const { job, data } of atHand) runJob(reader, job, data, rowEnd);
  for (const { job, data } of atHand) release(reader, job, data);
}

/** Memory of a basket that is not kept any more, whose values were copied. */
function release({ kept, layout }: TreeReader, { task, basket }: Job, { payload, entryOffsets }: BasketData): void {
  const own = layout.baskets.seek[basket]! >= 0 && task.branch.kind === 'number' && !kept.baskets.has(basket);
  if (!own) return;
  releaseBuffer(payload.buffer);
  if (entryOffsets) releaseBuffer(entryOffsets.buffer);
}

/** Does a basket hold a row whose values are looked at? Strings and objects are put together from all of their parts. */
function isNeeded(
  { baskets }: RootLayout,
  { branch, rowStart, rowEnd }: Task,
  basket: number,
  needed: Uint8Array,
): boolean {
  if (branch.kind === 'string' || branch.kind === 'object') return true;
  const from = Math.max(baskets.rowStart[basket]!, rowStart) - rowStart;
  const at = needed.indexOf(1, from);
  return at >= 0 && at < Math.min(baskets.rowEnd[basket]!, rowEnd) - rowStart;
}

/** `source`: a basket as stored, or one at hand. */
function runJob(reader: TreeReader, job: Job, source: Uint8Array | BasketData, rowEnd: number): void {
  try {
    finish(reader, job, source, rowEnd);
  } catch (cause) {
    throw inBasket(reader, job, cause);
  }
}

/** Puts the part of a basket that is wanted into its column, and keeps the basket if the next rows are in it too. */
function finish(reader: TreeReader, { task, basket }: Job, source: Uint8Array | BasketData, rowEnd: number): void {
  const { layout, kept } = reader;
  const first = layout.baskets.rowStart[basket]!;
  const end = layout.baskets.rowEnd[basket]!;
  const from = Math.max(first, task.rowStart);
  const to = Math.min(end, task.rowEnd);
  const onward = end > rowEnd && layout.baskets.seek[basket]! >= 0;
  if (source instanceof Uint8Array && task.branch.kind === 'number' && !onward) {
    placeStored(task, source, { first, end, from, to });
    return;
  }
  const data = source instanceof Uint8Array ? decodeBasket(source, end - first) : source;
  if (task.branch.kind === 'string') {
    const part = decodeStrings(data, end - first, from - first, to - first);
    task.strings.push({ rowStart: from, ...part });
  } else if (task.branch.object) {
    const part = decodeObjects(task.branch.object.layout, data, end - first, { from: from - first, to: to - first });
    task.objects.push({ rowStart: from, ...part });
  } else {
    placeDecoded(task, data, { first, end, from, to });
  }
  if (onward) keep(kept, basket, data, source);
  else forget(kept, basket);
}

/** Rows of a basket: it holds first .. end, from .. to are wanted. */
interface BasketRows {
  readonly first: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

/** First byte of a row's values, counted from row `startsRow`, or from row 0 where there is one item a row. */
function byteOfRow(task: Task, row: number): number {
  const { starts, startsRow, itemBytes } = task;
  return (starts ? starts[row - startsRow]! : row) * itemBytes;
}

function checkPayload(task: Task, payloadBytes: number, rows: BasketRows): void {
  const expected = byteOfRow(task, rows.end) - byteOfRow(task, rows.first);
  if (payloadBytes !== expected) throw damaged(`it has ${payloadBytes} bytes of values, expected ${expected}`);
}

/**
 * Decompresses a basket where its values belong, if all of it is wanted and what follows the values (entry offsets)
 * has room behind them that is still to be filled; else into the scratch.
 */
function placeStored(task: Task, raw: Uint8Array, rows: BasketRows): void {
  const { target, itemBytes, starts } = task;
  const entries = rows.end - rows.first;
  const head = readBasketHead(raw, entries);
  checkPayload(task, head.payloadBytes, rows);
  const from = byteOfRow(task, rows.from);
  const bytes = byteOfRow(task, rows.to) - from;
  const at = from - byteOfRow(task, task.rowStart);
  const inPlace = bytes === head.payloadBytes && at + head.objectBytes <= target.length && at + bytes >= task.filledEnd;
  const work = inPlace ? task : scratchFor(raw, head);
  const start = inPlace ? at : 0;
  unpackBasket(raw, head, work.target, start);
  if (starts && head.hasEntryOffsets) {
    const offsets = { view: work.targetView, at: start + head.payloadBytes + 4, entries, keyBytes: head.keyBytes };
    checkEntryOffsets(offsets, starts, rows.first - task.startsRow, itemBytes);
  }
  if (!inPlace) {
    const skipped = from - byteOfRow(task, rows.first);
    target.set(work.target.subarray(skipped, skipped + bytes), at);
  }
  task.filledEnd = Math.max(task.filledEnd, at + bytes);
  swapValues(target.subarray(at, at + bytes), task.branch.dtype);
}

function placeDecoded(task: Task, data: BasketData, rows: BasketRows): void {
  const { target, itemBytes, starts } = task;
  const { payload, entryOffsets, keyBytes } = data;
  checkPayload(task, payload.length, rows);
  if (starts && entryOffsets) {
    const view = new DataView(entryOffsets.buffer, entryOffsets.byteOffset, entryOffsets.byteLength);
    const offsets = { view, at: 0, entries: entryOffsets.length >> 2, keyBytes };
    checkEntryOffsets(offsets, starts, rows.first - task.startsRow, itemBytes);
  }
  const from = byteOfRow(task, rows.from);
  const skipped = from - byteOfRow(task, rows.first);
  const bytes = byteOfRow(task, rows.to) - from;
  const at = from - byteOfRow(task, task.rowStart);
  target.set(payload.subarray(skipped, skipped + bytes), at);
  task.filledEnd = Math.max(task.filledEnd, at + bytes);
  swapValues(target.subarray(at, at + bytes), task.branch.dtype);
}

/** Oldest first out: reads go forward. */
function keep(kept: Kept, basket: number, data: BasketData, source: Uint8Array | BasketData): void {
  if (kept.baskets.has(basket)) return;
  const own = source instanceof Uint8Array ? owned(data, source) : data;
  kept.baskets.set(basket, own);
  kept.bytes += own.payload.length;
  for (const oldest of kept.baskets.keys()) {
    if (kept.bytes <= KEPT_BYTES_MAX) return;
    forget(kept, oldest);
  }
}

function forget(kept: Kept, basket: number): void {
  const data = kept.baskets.get(basket);
  if (!data) return;
  kept.baskets.delete(basket);
  kept.bytes -= data.payload.length;
}

/** A basket stored uncompressed is a view of what was read, where the next batch will be put. */
function owned(data: BasketData, raw: Uint8Array): BasketData {
  const { payload, entryOffsets, keyBytes } = data;
  if (payload.buffer !== raw.buffer) return data;
  const copies = { payload: Uint8Array.from(payload), keyBytes };
  return entryOffsets ? { ...copies, entryOffsets: Uint8Array.from(entryOffsets) } : copies;
}

function columnOf(task: Task, counted: Counted | undefined): Column {
  const { branch, values } = task;
  const rows = task.rowEnd - task.rowStart;
  if (branch.kind === 'string') return joinStrings(task.strings, rows);
  const items = branch.dims.reduceRight<Column>(
    (inner, size) => regular(inner, size),
    flatColumn(branch.dtype, values),
  );
  if (!counted) return items;
  return { kind: 'list', length: rows, offsets: counted.offsets, items };
}

function inBranch(branch: BranchLayout, error: ColweaveError): ColweaveError {
  return new ColweaveError(error.code, error.message, { where: [`branch ${branch.name}`] });
}

function inBasket(reader: TreeReader, { task, basket }: Job, cause: unknown): unknown {
  if (!(cause instanceof ColweaveError)) return cause;
  const seek = reader.layout.baskets.seek[basket]!;
  const place = `basket ${basket - task.branch.basketStart} ${seek < 0 ? 'inside the tree' : `at byte ${seek}`}`;
  return new ColweaveError(cause.code, cause.message, {
    where: [`branch ${task.branch.name}`, place],
    hint: cause.hint,
    cause: cause.cause,
  });
}
