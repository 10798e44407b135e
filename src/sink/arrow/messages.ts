// Owns the messages of an Arrow stream, made by apache-arrow: the schema with its metadata, and record batches.
import type * as Arrow from 'apache-arrow';
import { invariant } from '../../core/check.ts';
import type { Dtype } from '../../core/dtype.ts';
import type { ColumnType, Schema } from '../../core/schema.ts';
import { TITLE_KEY } from '../arrow-schema.ts';
import type { EncodedArrow } from './columns.ts';

type Library = typeof Arrow;

export const END_OF_STREAM = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
/** In front of a message's metadata: a mark of four bytes, then the length. */
const PREFIX_BYTES = 8;

export function schemaBytes(library: Library, schema: Schema, metadata: Readonly<Record<string, string>>): Uint8Array {
  const stream = streamOf(library, arrowSchema(library, schema, metadata), []);
  return stream.subarray(0, stream.length - END_OF_STREAM.length);
}

/** One record batch, as it stands in the stream. */
export function batchBytes(
  library: Library,
  schema: Schema,
  rows: number,
  columns: readonly EncodedArrow[],
): Uint8Array {
  const described = arrowSchema(library, schema, {});
  const children = schema.fields.map(({ type }, index) => dataOf(library, type, columns[index]!));
  const rowType = new library.Struct(described.fields);
  const data = library.makeData({ type: rowType, length: rows, nullCount: 0, children });
  const stream = streamOf(library, described, [new library.RecordBatch(described, data)]);
  return stream.subarray(schemaLength(stream), stream.length - END_OF_STREAM.length);
}

function streamOf(library: Library, schema: Arrow.Schema, batches: readonly Arrow.RecordBatch[]): Uint8Array {
  const writer = new library.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const batch of batches) writer.write(batch);
  writer.finish();
  return writer.toUint8Array(true);
}

/** The schema message has metadata and no body. */
function schemaLength(stream: Uint8Array): number {
  return PREFIX_BYTES + new DataView(stream.buffer, stream.byteOffset).getInt32(4, true);
}

function arrowSchema(library: Library, { fields }: Schema, metadata: Readonly<Record<string, string>>): Arrow.Schema {
  const described = fields.map(({ name, type, nullable, doc }) => {
    const titles = doc === undefined || doc === '' ? [] : [[TITLE_KEY, doc] as const];
    return new library.Field(name, arrowType(library, type), nullable, new Map(titles));
  });
  return new library.Schema(described, new Map(Object.entries(metadata)));
}

function arrowType(library: Library, type: ColumnType): Arrow.DataType {
  if (type.kind === 'utf8') return new library.Utf8();
  if (type.kind === 'list') return new library.List(new library.Field('element', arrowType(library, type.item), false));
  return flatType(library, type.dtype);
}

function flatType(library: Library, dtype: Dtype): Arrow.DataType {
  const types = {
    bool: library.Bool,
    i8: library.Int8,
    u8: library.Uint8,
    i16: library.Int16,
    u16: library.Uint16,
    i32: library.Int32,
    u32: library.Uint32,
    i64: library.Int64,
    u64: library.Uint64,
    f32: library.Float32,
    f64: library.Float64,
  } as const satisfies Record<Dtype, new () => Arrow.DataType>;
  return new types[dtype]();
}

function dataOf(library: Library, type: ColumnType, column: EncodedArrow): Arrow.Data {
  const { length, nulls, validity, offsets, values, items } = column;
  const shared = { length, nullCount: nulls, ...(validity ? { nullBitmap: validity } : {}) };
  if (type.kind === 'list') {
    invariant(offsets !== undefined && items !== undefined, 'a list has offsets and items');
    const list = arrowType(library, type) as Arrow.List;
    return library.makeData({ ...shared, type: list, valueOffsets: offsets, child: dataOf(library, type.item, items) });
  }
  if (type.kind === 'utf8') {
    invariant(offsets !== undefined, 'strings have offsets');
    return library.makeData({
      ...shared,
      type: new library.Utf8(),
      valueOffsets: offsets,
      data: values as Uint8Array,
    });
  }
  return library.makeData({
    ...shared,
    type: flatType(library, type.dtype) as Arrow.Float32,
    data: values as Float32Array,
  });
}
