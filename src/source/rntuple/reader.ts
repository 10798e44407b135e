// Owns reading rows of an RNTuple: index columns level by level, since they say which items are wanted, then all values in file order.
import type { ByteStore } from '../../bytes/types.ts';
import type { Take } from '../../core/arena.ts';
import { invariant } from '../../core/check.ts';
import { type Column, flatColumn } from '../../core/column.ts';
import { allocate, bytesOf, type Dtype, type Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { damaged } from './cursor.ts';
import { type IndexTask, itemSpans, offsetsOf } from './index-columns.ts';
import { chunkOf, type Node, type RntupleLayout } from './layout.ts';
import { spread } from './optional.ts';
import { type PageTask, runPages } from './pages.ts';
import { type Span, spansItems } from './spans.ts';

/** Open RNTuple: layout, bytes, and the number by which its pages are kept. */
export interface RntupleReader {
  readonly store: ByteStore;
  readonly layout: RntupleLayout;
  readonly rows: number;
  readonly file: number;
}

/** `take` makes the arrays of the columns, which last as its arena says. */
export interface ReadHow {
  readonly take?: Take | undefined;
  readonly signal?: AbortSignal | undefined;
}

const ITEMS_MAX = 2 ** 31 - 1;

type Build = () => Column;

/** What one call reads. */
interface Reading {
  readonly layout: RntupleLayout;
  readonly take: Take;
  /** Index columns of the level at hand; those of several nodes are read once. */
  level: Map<number, IndexTask>;
  /** Known by column: all nodes that have it have it at the same place. */
  readonly indexes: Map<number, IndexTask>;
  readonly values: PageTask[];
}

/** Columns of these nodes in their order. Errors: source/damaged, source/truncated. */
export async function readRows(
  reader: RntupleReader,
  nodes: readonly Node[],
  rows: { readonly rowStart: number; readonly rowEnd: number },
  { take = allocate, signal }: ReadHow = {},
): Promise<Column[]> {
  const { layout } = reader;
  const { rowStart, rowEnd } = rows;
  invariant(rowStart >= 0 && rowStart <= rowEnd && rowEnd <= reader.rows, 'the rows are in the RNTuple');
  const reading: Reading = { layout, take, level: new Map(), indexes: new Map(), values: [] };
  const top = rowSpans(layout, rowStart, rowEnd);
  const builds = nodes.map((node) => expand(node, top, reading));
  while (reading.level.size > 0) {
    const tasks = [...reading.level.values()];
    reading.level = new Map();
    await runPages(reader, tasks, signal);
    for (const task of tasks) task.done();
  }
  await runPages(reader, reading.values, signal);
  return builds.map((build) => build());
}

function rowSpans(layout: RntupleLayout, rowStart: number, rowEnd: number): Span[] {
  const { clusters } = layout;
  const spans: Span[] = [];
  for (let cluster = firstCluster(clusters.rowEnd, rowStart); cluster < clusters.rowEnd.length; cluster++) {
    const start = clusters.rowStart[cluster]!;
    if (start >= rowEnd) break;
    const from = Math.max(rowStart, start) - start;
    const to = Math.min(rowEnd, clusters.rowEnd[cluster]!) - start;
    if (to > from) spans.push({ cluster, from, to });
  }
  return spans;
}

/** The first cluster that ends after a row. */
function firstCluster(rowEnds: Int32Array, row: number): number {
  let low = 0;
  let high = rowEnds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rowEnds[middle]! <= row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Says what is to be read of a node for these elements of it, and how a column comes from that. */
function expand(node: Node, spans: readonly Span[], reading: Reading): Build {
  const length = spansItems(spans);
  switch (node.kind) {
    case 'leaf': {
      const values = wantValues(node.columns, node.dtype, spans, reading);
      return () => flatColumn(node.dtype, values);
    }
    case 'array':
      return expandArray(node.item, node.size, spans, reading);
    case 'count':
      return expandCount(node.index, node.dtype, spans, reading);
    case 'text': {
      let bytes: Uint8Array | undefined;
      const index = wantIndex(node.index, spans, reading, (items, read) => {
        checkEnds(node.bytes, 1, read, reading);
        bytes = bytesOf(wantValues(node.bytes, 'i8', items, reading)); // Char is signed
      });
      return () => ({ kind: 'utf8', length, offsets: index.offsets, bytes: bytes! });
    }
    case 'list':
    case 'optional': {
      let build: Build | undefined;
      const index = wantIndex(node.index, spans, reading, (items, read) => {
        checkItemEnds(node.item, 1, read, reading);
        build = expand(node.item, items, reading);
      });
      if (node.kind === 'optional') return () => spread(build!(), index.offsets, length);
      return () => ({ kind: 'list', length, offsets: index.offsets, items: build!() });
    }
  }
}

function expandArray(item: Node, size: number, spans: readonly Span[], reading: Reading): Build {
  const inner = spans.map(({ cluster, from, to }) => ({ cluster, from: from * size, to: to * size }));
  const build = expand(item, inner, reading);
  const length = spansItems(spans);
  if (length * size > ITEMS_MAX)
    throw new ColweaveError('memory/not-enough', `${length} arrays of ${size} are too many at once`);
  return () => {
    const offsets = reading.take('i32', length + 1) as Int32Array;
    for (let i = 0; i <= length; i++) offsets[i] = i * size;
    return { kind: 'list', length, offsets, items: build() };
  };
}

function expandCount(
  columns: readonly number[],
  dtype: 'u32' | 'u64',
  spans: readonly Span[],
  reading: Reading,
): Build {
  const index = wantIndex(columns, spans, reading, () => {});
  return () => {
    const { offsets } = index;
    const values = reading.take(dtype, offsets.length - 1);
    const words = new Uint32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
    const stride = dtype === 'u64' ? 2 : 1;
    if (stride === 2) words.fill(0);
    for (let i = 0; i < values.length; i++) words[i * stride] = offsets[i + 1]! - offsets[i]!;
    return flatColumn(dtype, values);
  };
}

function wantValues(columns: readonly number[], dtype: Dtype, spans: readonly Span[], reading: Reading): Values {
  const values = takeValues(dtype, spansItems(spans), reading.take);
  reading.values.push({ columns, spans, target: { dtype, values } });
  return values;
}

/** The items of the index are handed to `then` once it is read; nodes with the same index share it. */
function wantIndex(
  columns: readonly number[],
  spans: readonly Span[],
  reading: Reading,
  then: IndexTask['waiting'][number],
): IndexTask {
  const known = reading.indexes.get(columns[0]!);
  if (known !== undefined) {
    if (known.items === undefined) known.waiting.push(then);
    else then(known.items, known);
    return known;
  }
  const { take } = reading;
  const task: IndexTask = {
    columns,
    spans: spans.map(({ cluster, from, to }) => ({ cluster, from: Math.max(0, from - 1), to })),
    wanted: spans,
    target: { dtype: 'index', values: new Int32Array(spansItems(spans) + spans.length) },
    offsets: new Int32Array(0),
    items: undefined,
    waiting: [then],
    done() {
      task.offsets = offsetsOf(task, take);
      task.items = itemSpans(task);
      for (const next of task.waiting) next(task.items, task);
    },
  };
  reading.indexes.set(columns[0]!, task);
  reading.level.set(columns[0]!, task);
  return task;
}

/** The last element of an index in a cluster must end where the column below it does. */
function checkItemEnds(item: Node, perItem: number, index: IndexTask, reading: Reading): void {
  switch (item.kind) {
    case 'leaf':
      checkEnds(item.columns, perItem, index, reading);
      return;
    case 'array':
      checkItemEnds(item.item, perItem * item.size, index, reading);
      return;
    default:
      checkEnds(item.index, perItem, index, reading);
  }
}

function checkEnds(below: readonly number[], perItem: number, index: IndexTask, { layout }: Reading): void {
  const { elements } = layout.chunks;
  index.wanted.forEach(({ cluster, to }, i) => {
    const whole = to === elements[chunkOf(layout, index.columns, cluster)]!;
    const has = elements[chunkOf(layout, below, cluster)]!;
    const needs = index.items![i]!.to * perItem;
    if (whole ? needs !== has : needs > has) {
      throw damaged(`cluster ${cluster} has ${has} items of a column where its index says ${needs}`);
    }
  });
}

function takeValues(dtype: Dtype, length: number, take: Take): Values {
  try {
    return take(dtype, length);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ColweaveError('memory/not-enough', `${length} values do not fit into memory`, { cause });
  }
}
