// Owns the format 'parquet': opens a file, reads rows of named columns, and tells what its footer says to verify.
import { createHash } from 'node:crypto';
import { openStore } from '../bytes/open.ts';
import type { ByteRange, ByteStore } from '../bytes/types.ts';
import type { Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type Column, concatColumns } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { Codec, MAGIC } from '../core/parquet-format.ts';
import type { FileIdentity } from '../core/receipt.ts';
import type { Field } from '../core/schema.ts';
import { columnFinder } from './column-finder.ts';
import { arrowDocs } from './parquet/arrow-docs.ts';
import { decodeChunk, located } from './parquet/chunk.ts';
import { type ColumnChunk, type Footer, type RowGroup, readFooter, TAIL_BYTES } from './parquet/footer.ts';
import { enterGroup, firstWindowOf, type Memos, memoOf, noMemos, windowOf } from './parquet/memo.ts';
import { type Leaf, leavesOf } from './parquet/schema.ts';
import { shareOffsets } from './parquet/share.ts';
import type { FileDescriptor, SourceFile, SourceFormat, UnreadableColumn } from './types.ts';

/** What a descriptor of this format holds for its reader. */
interface ParquetLayout {
  readonly leaves: readonly Leaf[];
  readonly paths: readonly (readonly string[])[];
  readonly rowGroups: readonly RowGroup[];
  readonly metadata: readonly (readonly [string, string])[];
  readonly unreadable: readonly UnreadableColumn[];
  readonly footerBytes: number;
  readonly createdBy: string;
}

/** Row numbers are 32-bit throughout. */
const ROWS_MAX = 2 ** 31 - 2;
/** A first read of this many bytes holds most footers whole. */
const TAIL_READ_BYTES = 64 * 1024;
const ENCRYPTED_MAGIC = 'PARE';

export const parquetFormat: SourceFormat = {
  name: 'parquet',
  recognises: (head) => magicAt(head, 0) === MAGIC || magicAt(head, 0) === ENCRYPTED_MAGIC,
  async open(uri, _options, signal) {
    const store = await openStore(uri);
    return opened(store, async () => {
      const bytes = await readFooterBytes(store, signal);
      return sourceFile(store, describe(uri, store.size, bytes));
    });
  },
  async reopen(descriptor) {
    const store = await openStore(descriptor.uri);
    return opened(store, async () => {
      const identity = footerIdentity(await readFooterBytes(store), store.size, descriptor.rows);
      if (identity.size !== descriptor.identity.size || identity.id !== descriptor.identity.id) {
        throw new ColweaveError('source/damaged', 'the file has changed since it was opened first');
      }
      return sourceFile(store, descriptor);
    });
  },
};

/** The file's own key-value metadata; of a key given twice the last one. */
export function parquetMetadata(descriptor: FileDescriptor): ReadonlyMap<string, string> {
  return new Map(layoutOf(descriptor).metadata);
}

/** The program that the footer says wrote the file. */
export function parquetCreator(descriptor: FileDescriptor): string {
  return layoutOf(descriptor).createdBy;
}

export interface ParquetChunk {
  readonly path: readonly string[];
  /** Bytes start .. start + bytes of the file hold the pages and nothing else. */
  readonly start: number;
  readonly bytes: number;
  readonly rawBytes: number;
  readonly entries: number;
  readonly codec: number;
}

export interface ParquetRowGroup {
  readonly rowStart: number;
  readonly rows: number;
  /** One a leaf, in schema order. */
  readonly chunks: readonly ParquetChunk[];
}

/** Every row group with the place of each column's pages, unreadable columns too. */
export function parquetRowGroups(descriptor: FileDescriptor): readonly ParquetRowGroup[] {
  const { rowGroups, paths } = layoutOf(descriptor);
  return rowGroups.map(({ rowStart, rows, chunks }) => ({
    rowStart,
    rows,
    chunks: chunks.map(({ start, bytes, rawBytes, entries, codec }, i) => ({
      path: paths[i]!,
      start,
      bytes,
      rawBytes,
      entries,
      codec,
    })),
  }));
}

function layoutOf(descriptor: FileDescriptor): ParquetLayout {
  return descriptor.layout as ParquetLayout;
}

async function opened(store: ByteStore, open: () => Promise<SourceFile>): Promise<SourceFile> {
  try {
    return await open();
  } catch (cause) {
    await store.close();
    throw withFile(cause, store.uri);
  }
}

function withFile(cause: unknown, uri: string): unknown {
  return cause instanceof ColweaveError && cause.where[0] !== uri ? located(cause, uri) : cause;
}

function magicAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + MAGIC.length));
}

/** Errors: source/not-root (not Parquet, or encrypted), source/truncated, source/damaged. */
async function readFooterBytes(store: ByteStore, signal?: AbortSignal): Promise<Uint8Array> {
  const { size } = store;
  const headBytes = Math.min(size, MAGIC.length);
  const tailBytes = Math.min(size, TAIL_READ_BYTES);
  const [head, tail] = await store.read(
    [
      { offset: 0, length: headBytes },
      { offset: size - tailBytes, length: tailBytes },
    ],
    signal,
  );
  const hint = 'give a Parquet file without encryption';
  if (magicAt(head!, 0) === ENCRYPTED_MAGIC) {
    throw new ColweaveError('source/not-root', 'the Parquet file is encrypted', { hint });
  }
  if (magicAt(head!, 0) !== MAGIC) throw new ColweaveError('source/not-root', 'the file is not Parquet');
  if (size < MAGIC.length + TAIL_BYTES || magicAt(tail!, tailBytes - MAGIC.length) !== MAGIC) {
    throw new ColweaveError('source/truncated', `the file ends at byte ${size} without a footer`);
  }
  const view = new DataView(tail!.buffer, tail!.byteOffset, tailBytes);
  const length = view.getUint32(tailBytes - TAIL_BYTES, true);
  if (length > size - TAIL_BYTES - MAGIC.length) {
    throw new ColweaveError('source/damaged', `a footer of ${length} bytes in a file of ${size}`);
  }
  if (length <= tailBytes - TAIL_BYTES) {
    return tail!.subarray(tailBytes - TAIL_BYTES - length, tailBytes - TAIL_BYTES);
  }
  const [bytes] = await store.read([{ offset: size - TAIL_BYTES - length, length }], signal);
  return bytes!;
}

function footerIdentity(footer: Uint8Array, size: number, entries: number): FileIdentity {
  return { size, id: createHash('sha256').update(footer).digest('hex'), entries };
}

function describe(uri: string, size: number, bytes: Uint8Array): FileDescriptor {
  const footer = readFooter(bytes, size);
  if (footer.rows > ROWS_MAX) throw new ColweaveError('source/too-many-rows', `the file has ${footer.rows} rows`);
  const { paths, leaves, unreadable } = leavesOf(footer.schema);
  const refused = checkChunks(footer, paths.length, leaves);
  const readable = leaves.filter((leaf) => !refused.has(leaf.index));
  const docs = arrowDocs(footer.metadata);
  const fields = readable.map(({ name, type, nullable }): Field => {
    const doc = docs.get(name);
    return doc === undefined ? { name, type, nullable } : { name, type, nullable, doc };
  });
  const layout: ParquetLayout = {
    leaves: readable,
    paths,
    rowGroups: footer.rowGroups,
    metadata: footer.metadata,
    unreadable: [...unreadable, ...refused.values()],
    footerBytes: bytes.length,
    createdBy: footer.createdBy,
  };
  return {
    format: 'parquet',
    uri,
    rows: footer.rows,
    schema: { fields },
    identity: footerIdentity(bytes, size, footer.rows),
    layout,
  };
}

/** Each row group has a chunk of the schema's type for every leaf; a leaf whose data are elsewhere or encrypted is refused. */
function checkChunks(footer: Footer, leafCount: number, leaves: readonly Leaf[]): Map<number, UnreadableColumn> {
  const refused = new Map<number, UnreadableColumn>();
  for (const [g, group] of footer.rowGroups.entries()) {
    if (group.chunks.length !== leafCount) {
      throw new ColweaveError('source/damaged', `${group.chunks.length} columns, the schema has ${leafCount}`, {
        where: [`row group ${g}`],
      });
    }
    for (const { index, name, physical, repeatedDefs } of leaves) {
      const chunk = group.chunks[index]!;
      if (chunk.refused !== undefined) {
        refused.set(index, { name, type: 'column', reason: chunk.refused });
        continue;
      }
      const entries = repeatedDefs.length === 0 ? chunk.entries === group.rows : chunk.entries >= group.rows;
      if (chunk.type !== physical || !entries) {
        throw new ColweaveError('source/damaged', 'the column does not match the schema or the number of rows', {
          where: [name, `row group ${g}`],
        });
      }
    }
  }
  return refused;
}

interface OpenFile {
  readonly store: ByteStore;
  readonly memos: Memos;
}

function sourceFile(store: ByteStore, descriptor: FileDescriptor): SourceFile {
  const layout = layoutOf(descriptor);
  const open: OpenFile = { store, memos: noMemos() };
  const byName = new Map(layout.leaves.map((leaf) => [leaf.name, leaf]));
  const find = columnFinder(byName, layout.unreadable, [descriptor.uri]);
  return {
    descriptor,
    unreadable: layout.unreadable,
    redundant: [],
    bytesOf: (names) => sumChunks(layout, names.map(find), (chunk) => chunk.bytes),
    storageOf: (name) => {
      const { index } = find(name);
      const codecs = new Set(layout.rowGroups.map(({ chunks }) => codecName(chunks[index]!.codec)));
      return { blocks: layout.rowGroups.length, codec: [...codecs].join(', ') };
    },
    rawBytesOf: (names) => sumChunks(layout, names.map(find), (chunk) => chunk.rawBytes),
    async read(names, rowStart, rowEnd, signal, take) {
      const leaves = names.map(find);
      const parts: Column[][] = leaves.map(() => []);
      for (const [g, group] of layout.rowGroups.entries()) {
        const start = Math.max(0, rowStart - group.rowStart);
        const end = Math.min(group.rows, rowEnd - group.rowStart);
        if (start >= end) continue;
        const columns = await readGroup(open, leaves, { group, index: g, start, end, take }, signal);
        columns.forEach((column, i) => {
          parts[i]!.push(column);
        });
      }
      return shareOffsets(leaves.map((leaf, i) => concatColumns(leaf.type, parts[i]!, take)));
    },
    askAhead(names, rowStart, rowEnd) {
      const ranges = firstWindows(open, layout, names.map(find), { rowStart, rowEnd });
      store.askAhead?.(ranges);
    },
    close: () => store.close(),
  };
}

/** What a read of these rows will read first, of chunks that nothing was read of yet: where it goes on is not known before. */
function firstWindows(
  { memos }: OpenFile,
  { rowGroups }: ParquetLayout,
  leaves: readonly Leaf[],
  { rowStart, rowEnd }: { readonly rowStart: number; readonly rowEnd: number },
): ByteRange[] {
  return rowGroups.flatMap((group) => {
    const start = Math.max(0, rowStart - group.rowStart);
    const end = Math.min(group.rows, rowEnd - group.rowStart);
    if (start >= end) return [];
    const chunks = leaves.map(({ index }) => group.chunks[index]!).filter((chunk) => !memos.chunks.has(chunk));
    return chunks.map((chunk) => {
      const { body } = firstWindowOf(chunk, { all: group.rows, start, end, toEnd: false });
      return { offset: chunk.start + body.offset, length: body.length };
    });
  });
}

const codecName = (codec: number): string =>
  Object.keys(Codec)
    .find((name) => Codec[name as keyof typeof Codec] === codec)
    ?.toLowerCase() ?? `codec ${codec}`;

function sumChunks(layout: ParquetLayout, leaves: readonly Leaf[], bytesIn: (chunk: ColumnChunk) => number): number {
  let sum = 0;
  for (const { chunks } of layout.rowGroups) for (const { index } of leaves) sum += bytesIn(chunks[index]!);
  return sum;
}

interface GroupRows {
  readonly group: RowGroup;
  readonly index: number;
  /** Rows of the group: start .. end (exclusive). */
  readonly start: number;
  readonly end: number;
  readonly take: Take | undefined;
}

/** Stored bytes of the columns that one read is for; what does not fit is read into memory of its own. */
const ROOM_BYTES = 4 * 2 ** 20;
/** One a thread, save where several reads run at once. */
let spareRoom: Uint8Array | undefined;

async function readGroup(
  { store, memos }: OpenFile,
  leaves: readonly Leaf[],
  rows: GroupRows,
  signal?: AbortSignal,
): Promise<Column[]> {
  const room = spareRoom ?? new Uint8Array(ROOM_BYTES);
  spareRoom = undefined;
  try {
    const read = async (ranges: readonly ByteRange[]) =>
      (await store.readInto?.(ranges, room, signal)) ?? store.read(ranges, signal);
    return await decodeGroup({ read, uri: store.uri, memos }, leaves, rows, signal);
  } finally {
    spareRoom = room;
  }
}

interface GroupFile {
  /** What is read is overwritten by the next read. */
  readonly read: (ranges: readonly ByteRange[]) => Promise<readonly Uint8Array[]>;
  readonly uri: string;
  readonly memos: Memos;
}

async function decodeGroup(
  { read, uri, memos }: GroupFile,
  leaves: readonly Leaf[],
  { group, index, start, end, take }: GroupRows,
  signal?: AbortSignal,
): Promise<Column[]> {
  enterGroup(memos, index);
  const columns = new Array<Column>(leaves.length);
  let open = leaves.map((_, i) => i);
  // what a first stretch of bytes does not hold, the second, to the end of the column, does
  for (const toEnd of [false, true]) {
    const parts = open.map((i) => {
      const chunk = group.chunks[leaves[i]!.index]!;
      const memo = memoOf(memos, chunk);
      return { i, chunk, memo, window: windowOf(chunk, memo, { all: group.rows, start, end, toEnd }) };
    });
    const ranges = parts.flatMap(({ chunk, window: { head, body } }) => [
      { offset: chunk.start + head.offset, length: head.length },
      { offset: chunk.start + body.offset, length: body.length },
    ]);
    const bytes = await read(ranges);
    open = parts.flatMap(({ i, ...part }, k) => {
      signal?.throwIfAborted();
      const leaf = leaves[i]!;
      const rows = { leaf, memos, rows: group.rows, rowStart: start, rowEnd: end, take, ...part };
      try {
        const column = decodeChunk({ ...rows, head: bytes[2 * k]!, bytes: bytes[2 * k + 1]! });
        if (column === undefined) return [i];
        columns[i] = column;
        return [];
      } catch (cause) {
        throw located(cause, uri, leaf.name, `row group ${index}`);
      }
    });
    if (open.length === 0) break;
  }
  invariant(open.length === 0, 'a window to the end of a column holds all of its pages');
  return columns;
}
