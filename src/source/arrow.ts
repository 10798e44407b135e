// Owns the format 'arrow': IPC files (Feather V2) and streams, read whole through apache-arrow, which is loaded when needed.
import { createHash } from 'node:crypto';
import type { RecordBatch } from 'apache-arrow';
import { openStore } from '../bytes/open.ts';
import type { ByteStore } from '../bytes/types.ts';
import { decompressZstd } from '../codec/zstd.ts';
import { type Column, columnBytes, concatColumns, sliceColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { checkArrow } from './arrow/check.ts';
import { convertData } from './arrow/convert.ts';
import { sizeAt } from './arrow/flatbuffer.ts';
import { type ArrowLeaf, arrowLeaves } from './arrow/leaves.ts';
import { decompressLz4Frame } from './arrow/lz4-frame.ts';
import { columnFinder } from './column-finder.ts';
import { shareOffsets } from './parquet/share.ts';
import type { FileDescriptor, SourceFile, SourceFormat, UnreadableColumn } from './types.ts';

/** What a descriptor of this format holds for its reader. */
interface ArrowLayout {
  readonly leaves: readonly ArrowLeaf[];
  readonly unreadable: readonly UnreadableColumn[];
  readonly metadata: readonly (readonly [string, string])[];
}

const FILE_MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
/** A schema message longer than this is no schema. */
const SCHEMA_BYTES_MAX = 1 << 28;
const ROWS_MAX = 2 ** 31 - 2;
/** In front of a compressed buffer. */
const SIZE_BYTES = 8;
/** apache-arrow's CompressionType. */
const LZ4_FRAME = 0;
const ZSTD = 1;

export const arrowFormat: SourceFormat = {
  name: 'arrow',
  recognises: (head) => isFile(head) || isStream(head),
  async open(uri, _options, signal) {
    const { bytes, batches, fields, metadata } = await load(uri, signal);
    const { leaves, unreadable } = arrowLeaves(fields);
    const rows = batches.reduce((sum, batch) => sum + batch.numRows, 0);
    if (rows > ROWS_MAX) throw new ColweaveError('source/too-many-rows', `the file has ${rows} rows`, { where: [uri] });
    const layout: ArrowLayout = { leaves, unreadable, metadata };
    const descriptor: FileDescriptor = {
      format: 'arrow',
      uri,
      rows,
      schema: { fields: leaves.map((leaf) => leaf.field) },
      identity: { size: bytes.length, id: digest(bytes), entries: rows },
      layout,
    };
    return sourceFile(descriptor, batches);
  },
  async reopen(descriptor) {
    const { bytes, batches } = await load(descriptor.uri);
    if (digest(bytes) !== descriptor.identity.id) {
      throw new ColweaveError('source/damaged', 'the file has changed since it was opened first', {
        where: [descriptor.uri],
      });
    }
    return sourceFile(descriptor, batches);
  },
};

/** Key-value metadata of the schema. */
export function arrowMetadata(descriptor: FileDescriptor): ReadonlyMap<string, string> {
  return new Map((descriptor.layout as ArrowLayout).metadata);
}

function isFile(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, FILE_MAGIC.length)).toString('latin1') === FILE_MAGIC;
}

function isStream(head: Uint8Array): boolean {
  if (head.length < 8) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const length = view.getInt32(4, true);
  return view.getUint32(0, true) === CONTINUATION && length > 0 && length < SCHEMA_BYTES_MAX;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Errors: source/not-root, source/truncated, source/damaged. */
async function load(uri: string, signal?: AbortSignal) {
  const store = await openStore(uri);
  try {
    const bytes = await allOf(store, signal);
    checkEnds(uri, bytes);
    checkArrow(bytes, isFile(bytes));
    const arrow = await import('apache-arrow');
    arrow.compressionRegistry.set(LZ4_FRAME, sized(decompressLz4Frame));
    arrow.compressionRegistry.set(ZSTD, sized(decompressZstd));
    try {
      const reader = arrow.RecordBatchReader.from(bytes);
      reader.open();
      const { fields, metadata } = reader.schema; // gone once the last batch is read
      const batches: RecordBatch[] = [...reader];
      return { bytes, batches, fields, metadata: [...metadata] };
    } catch (cause) {
      if (cause instanceof ColweaveError) throw cause;
      throw new ColweaveError('source/damaged', `the Arrow data cannot be read: ${(cause as Error).message}`, {
        cause,
      });
    }
  } catch (cause) {
    throw withFile(cause, uri);
  } finally {
    await store.close();
  }
}

async function allOf(store: ByteStore, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (store.readWhole !== undefined) return store.readWhole(signal);
  const [bytes] = await store.read([{ offset: 0, length: store.size }], signal);
  return bytes!;
}

function withFile(cause: unknown, uri: string): unknown {
  if (!(cause instanceof ColweaveError) || cause.where[0] === uri) return cause;
  return new ColweaveError(cause.code, cause.message, {
    where: [uri, ...cause.where],
    hint: cause.hint,
    cause: cause.cause,
  });
}

/** A file ends in its magic, a stream in its end mark: data that stop between two batches are no whole data. */
function checkEnds(uri: string, bytes: Uint8Array): void {
  if (!isFile(bytes) && !isStream(bytes)) {
    throw new ColweaveError('source/not-root', 'the file is not Arrow IPC', { where: [uri] });
  }
  const ends = isFile(bytes)
    ? Buffer.from(bytes.subarray(-FILE_MAGIC.length)).toString('latin1') === FILE_MAGIC && bytes.length > 16
    : Buffer.from(bytes.subarray(-8)).toString('hex') === 'ffffffff00000000';
  if (!ends) {
    throw new ColweaveError('source/truncated', `the file ends at byte ${bytes.length} without an end mark`, {
      where: [uri],
    });
  }
}

/**
 * apache-arrow hands over a buffer without the 8 bytes in front of it that say what it holds; they are in the same memory.
 * A buffer that holds anything else is source/damaged, and gets no more room than they say.
 */
function sized(decode: (source: Uint8Array, size: number) => Uint8Array) {
  return {
    decode: (source: Uint8Array): Uint8Array => {
      const prefix = new DataView(source.buffer, source.byteOffset - SIZE_BYTES, SIZE_BYTES);
      return decode(source, sizeAt(prefix, 0));
    },
  };
}

function sourceFile(descriptor: FileDescriptor, loaded: readonly RecordBatch[]): SourceFile {
  const { leaves, unreadable } = descriptor.layout as ArrowLayout;
  const byName = new Map(leaves.map((leaf) => [leaf.field.name, leaf]));
  const find = columnFinder(byName, unreadable, [descriptor.uri]);
  let batches = loaded;
  const converted = new Map<string, Column[]>();
  const columnsOf = (leaf: ArrowLeaf): Column[] => {
    const known = converted.get(leaf.field.name);
    if (known !== undefined) return known;
    const columns = batches.map((batch) => convertBatch(batch, leaf, descriptor.uri));
    converted.set(leaf.field.name, columns);
    return columns;
  };
  const rawBytesOf = (names: readonly string[]) =>
    names.flatMap((name) => columnsOf(find(name))).reduce((sum, column) => sum + columnBytes(column), 0);
  return {
    descriptor,
    unreadable,
    redundant: [],
    // all of the file is in memory already
    bytesOf: rawBytesOf,
    rawBytesOf,
    async read(names, rowStart, rowEnd, signal) {
      const columns = names.map(find).map((leaf) => {
        signal?.throwIfAborted();
        return rowsOf(leaf, columnsOf(leaf), rowStart, rowEnd);
      });
      return shareOffsets(columns);
    },
    async close() {
      batches = [];
      converted.clear();
    },
  };
}

function convertBatch(batch: RecordBatch, { field, root, steps }: ArrowLeaf, uri: string): Column {
  const data = batch.data.children[root];
  try {
    if (data === undefined) throw new ColweaveError('source/damaged', 'a record batch lacks a column');
    const column = convertData(data, field.type, steps);
    if (column.valid !== undefined && !field.nullable) {
      throw new ColweaveError('source/damaged', 'the column holds nulls, and its schema says that it has none');
    }
    if (column.length === batch.numRows) return column;
    throw new ColweaveError('source/damaged', `a record batch has ${batch.numRows} rows, its column ${column.length}`);
  } catch (cause) {
    if (!(cause instanceof ColweaveError)) throw cause;
    throw new ColweaveError(cause.code, cause.message, { where: [uri, field.name] });
  }
}

function rowsOf(leaf: ArrowLeaf, columns: readonly Column[], rowStart: number, rowEnd: number): Column {
  const parts: Column[] = [];
  let first = 0;
  for (const column of columns) {
    const start = Math.max(0, rowStart - first);
    const end = Math.min(column.length, rowEnd - first);
    if (start < end) parts.push(sliceColumn(column, start, end));
    first += column.length;
  }
  return concatColumns(leaf.field.type, parts);
}
