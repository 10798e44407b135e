// Owns the footer: what is where in the file, statistics, metadata. https://github.com/apache/parquet-format parquet.thrift
import { type Codec, MAGIC, ThriftType } from '../../core/parquet-format.ts';
import type { Schema } from '../../core/schema.ts';
import type { EncodedChunk } from './column-chunk.ts';
import { type Leaf, leafOf, writeSchema } from './schema-elements.ts';
import { ThriftWriter } from './thrift-writer.ts';

const FORMAT_VERSION = 2;
/** The same for every machine and Node; a test keeps the version that of package.json. */
export const CREATED_BY = 'colweave version 0.1.0';

/** A chunk that is in the file, without its bytes. */
export interface PlacedChunk extends Omit<EncodedChunk, 'bytes'> {
  readonly start: number;
  readonly bytes: number;
}

export interface RowGroup {
  readonly rows: number;
  readonly chunks: readonly PlacedChunk[];
}

export interface FileMetadata {
  readonly schema: Schema;
  readonly codec: Codec;
  readonly rowGroups: readonly RowGroup[];
  readonly keyValues: Readonly<Record<string, string>>;
}

/** The footer with its length and the closing magic. */
export function footerBytes(file: FileMetadata): Uint8Array {
  const { schema, rowGroups } = file;
  const leaves = schema.fields.map(leafOf);
  const thrift = new ThriftWriter();
  thrift.beginStruct();
  thrift.i32Field(1, FORMAT_VERSION);
  writeSchema(thrift, schema, 2);
  thrift.i64Field(
    3,
    rowGroups.reduce((sum, group) => sum + group.rows, 0),
  );
  thrift.listField(4, ThriftType.STRUCT, rowGroups.length);
  for (const group of rowGroups) writeRowGroup(thrift, group, leaves, file.codec);
  writeKeyValues(thrift, file.keyValues);
  thrift.stringField(6, CREATED_BY);
  thrift.listField(7, ThriftType.STRUCT, leaves.length);
  for (const _ of leaves) {
    thrift.beginStruct();
    thrift.emptyStructField(1);
    thrift.endStruct();
  }
  thrift.endStruct();
  const footer = thrift.finish();
  const bytes = new Uint8Array(footer.length + 8);
  bytes.set(footer);
  new DataView(bytes.buffer).setUint32(footer.length, footer.length, true);
  bytes.set(magicBytes(), footer.length + 4);
  return bytes;
}

export function magicBytes(): Uint8Array {
  return new TextEncoder().encode(MAGIC);
}

function writeKeyValues(thrift: ThriftWriter, keyValues: Readonly<Record<string, string>>): void {
  const entries = Object.entries(keyValues);
  if (entries.length === 0) return;
  thrift.listField(5, ThriftType.STRUCT, entries.length);
  for (const [key, value] of entries) {
    thrift.beginStruct();
    thrift.stringField(1, key);
    thrift.stringField(2, value);
    thrift.endStruct();
  }
}

function writeRowGroup(thrift: ThriftWriter, group: RowGroup, leaves: readonly Leaf[], codec: Codec): void {
  const { chunks } = group;
  thrift.beginStruct();
  thrift.listField(1, ThriftType.STRUCT, chunks.length);
  let rawBytes = 0;
  let bytes = 0;
  chunks.forEach((chunk, index) => {
    writeChunk(thrift, chunk, leaves[index]!, codec);
    rawBytes += chunk.rawBytes;
    bytes += chunk.bytes;
  });
  thrift.i64Field(2, rawBytes);
  thrift.i64Field(3, group.rows);
  if (chunks[0]) thrift.i64Field(5, chunks[0].start);
  thrift.i64Field(6, bytes);
  thrift.endStruct();
}

function writeChunk(thrift: ThriftWriter, chunk: PlacedChunk, { physical, path }: Leaf, codec: Codec): void {
  thrift.beginStruct();
  thrift.i64Field(2, 0);
  thrift.structField(3);
  thrift.i32Field(1, physical);
  thrift.listField(2, ThriftType.I32, chunk.encodings.length);
  for (const encoding of chunk.encodings) thrift.i32(encoding);
  thrift.listField(3, ThriftType.BINARY, path.length);
  for (const name of path) thrift.string(name);
  thrift.i32Field(4, codec);
  thrift.i64Field(5, chunk.entries);
  thrift.i64Field(6, chunk.rawBytes);
  thrift.i64Field(7, chunk.bytes);
  thrift.i64Field(9, chunk.start + chunk.dictionaryPageBytes);
  if (chunk.dictionaryPageBytes > 0) thrift.i64Field(11, chunk.start);
  writeStatistics(thrift, chunk);
  thrift.endStruct();
  thrift.endStruct();
}

function writeStatistics(thrift: ThriftWriter, { nulls, bounds }: PlacedChunk): void {
  if (nulls === undefined) return;
  thrift.structField(12);
  thrift.i64Field(3, nulls);
  if (bounds) {
    thrift.binaryField(5, bounds.max);
    thrift.binaryField(6, bounds.min);
  }
  thrift.endStruct();
}
