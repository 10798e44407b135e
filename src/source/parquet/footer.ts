// Owns the footer of a Parquet file: FileMetaData of parquet.thrift as plain data, checked against the file's size.
import { MAGIC, ThriftType } from '../../core/parquet-format.ts';
import {
  damaged,
  expectStruct,
  readBool,
  readCount,
  readInteger,
  readList,
  readStruct,
  readText,
  type ThriftCursor,
  thriftCursor,
} from './thrift.ts';

export interface SchemaElement {
  readonly name: string;
  readonly type?: number | undefined;
  readonly typeBytes: number;
  readonly repetition: number;
  readonly children: number;
  readonly converted?: number | undefined;
  readonly scale: number;
  readonly precision: number;
  readonly logical?: Logical | undefined;
}

/** The logical type: the union's field id and what its struct holds. */
export interface Logical {
  readonly id: number;
  readonly bits: number;
  readonly signed: boolean;
  readonly scale: number;
  readonly precision: number;
}

/** Pages of one leaf in one row group: bytes start .. start + bytes of the file, page headers included. */
export interface ColumnChunk {
  readonly start: number;
  readonly bytes: number;
  /** After decompression, page headers included. */
  readonly rawBytes: number;
  /** Entries of the level streams: values, nulls, and empty lists. */
  readonly entries: number;
  readonly codec: number;
  readonly type: number;
  /** Why it cannot be read, if so. */
  readonly refused?: string | undefined;
}

export interface RowGroup {
  readonly rowStart: number;
  readonly rows: number;
  /** One a leaf, in schema order. */
  readonly chunks: readonly ColumnChunk[];
}

export interface Footer {
  readonly schema: readonly SchemaElement[];
  readonly rows: number;
  readonly rowGroups: readonly RowGroup[];
  readonly metadata: readonly (readonly [string, string])[];
  readonly createdBy: string;
}

/** Length of the footer (4 bytes) and the magic. */
export const TAIL_BYTES = 8;

export function readFooter(bytes: Uint8Array, fileBytes: number): Footer {
  const cursor = thriftCursor(bytes);
  const schema: SchemaElement[] = [];
  const groups: { readonly rows: number; readonly chunks: readonly ColumnChunk[] }[] = [];
  const metadata: (readonly [string, string])[] = [];
  let rows = -1;
  let createdBy = '';
  const dataEnd = fileBytes - TAIL_BYTES - bytes.length;
  readStruct(cursor, (id, type) => {
    if (id === 2) readList(cursor, type, (item) => schema.push(readSchemaElement(cursor, item)));
    else if (id === 3) rows = readCount(cursor, type);
    else if (id === 4) readList(cursor, type, (item) => groups.push(readRowGroup(cursor, item, dataEnd)));
    else if (id === 5) readList(cursor, type, (item) => metadata.push(readKeyValue(cursor, item)));
    else if (id === 6) createdBy = readText(cursor, type);
    else if (id === 8) throw damaged('the file is encrypted');
    else return false;
    return true;
  });
  return { schema, rows, rowGroups: placeRowGroups(groups, rows), metadata, createdBy };
}

function placeRowGroups(
  groups: readonly { readonly rows: number; readonly chunks: readonly ColumnChunk[] }[],
  rows: number,
): RowGroup[] {
  let rowStart = 0;
  const placed = groups.map((group) => {
    const at = rowStart;
    rowStart += group.rows;
    return { rowStart: at, ...group };
  });
  if (rowStart !== rows) throw damaged(`the row groups hold ${rowStart} rows, the footer says ${rows}`);
  return placed;
}

function readSchemaElement(cursor: ThriftCursor, itemType: number): SchemaElement {
  expectStruct(itemType);
  let name = '';
  let type: number | undefined;
  let converted: number | undefined;
  let logical: Logical | undefined;
  const numbers = { typeBytes: 0, repetition: 0, children: 0, scale: 0, precision: 0 };
  readStruct(cursor, (id, fieldType) => {
    if (id === 1) type = readInteger(cursor, fieldType);
    else if (id === 2) numbers.typeBytes = readCount(cursor, fieldType);
    else if (id === 3) numbers.repetition = readCount(cursor, fieldType);
    else if (id === 4) name = readText(cursor, fieldType);
    else if (id === 5) numbers.children = readCount(cursor, fieldType);
    else if (id === 6) converted = readInteger(cursor, fieldType);
    else if (id === 7) numbers.scale = readInteger(cursor, fieldType);
    else if (id === 8) numbers.precision = readInteger(cursor, fieldType);
    else if (id === 10) logical = readLogical(cursor, fieldType);
    else return false;
    return true;
  });
  return { name, type, converted, logical, ...numbers };
}

/** The union is a struct with one field; its field is a struct with numbers that matter for decimals and integers. */
function readLogical(cursor: ThriftCursor, unionType: number): Logical {
  expectStruct(unionType);
  const decimal = 5;
  const integer = 10;
  const logical = { id: 0, bits: 0, signed: true, scale: 0, precision: 0 };
  readStruct(cursor, (id, type) => {
    logical.id = id;
    if (type !== ThriftType.STRUCT || (id !== decimal && id !== integer)) return false;
    readStruct(cursor, (field, fieldType) => {
      if (id === decimal && field === 1) logical.scale = readInteger(cursor, fieldType);
      else if (id === decimal && field === 2) logical.precision = readInteger(cursor, fieldType);
      else if (id === integer && field === 1) logical.bits = readInteger(cursor, fieldType);
      else if (id === integer && field === 2) logical.signed = readBool(fieldType);
      else return false;
      return true;
    });
    return true;
  });
  return logical;
}

function readRowGroup(
  cursor: ThriftCursor,
  itemType: number,
  dataEnd: number,
): { readonly rows: number; readonly chunks: readonly ColumnChunk[] } {
  expectStruct(itemType);
  const chunks: ColumnChunk[] = [];
  let rows = 0;
  readStruct(cursor, (id, type) => {
    if (id === 1) readList(cursor, type, (item) => chunks.push(readColumnChunk(cursor, item, dataEnd)));
    else if (id === 3) rows = readCount(cursor, type);
    else return false;
    return true;
  });
  return { rows, chunks };
}

function readColumnChunk(cursor: ThriftCursor, itemType: number, dataEnd: number): ColumnChunk {
  expectStruct(itemType);
  let chunk: ColumnChunk | undefined;
  let refused: string | undefined;
  readStruct(cursor, (id, type) => {
    if (id === 1) refused = `its data lie in another file, ${readText(cursor, type)}`;
    else if (id === 3) chunk = readColumnMetadata(cursor, type);
    else if (id === 8) {
      refused = 'it is encrypted';
      return false;
    } else return false;
    return true;
  });
  if (chunk === undefined) {
    return {
      start: 0,
      bytes: 0,
      rawBytes: 0,
      entries: 0,
      codec: 0,
      type: -1,
      refused: refused ?? 'it has no metadata',
    };
  }
  if (refused !== undefined) return { ...chunk, refused };
  if (chunk.bytes > 0 && (chunk.start < MAGIC.length || chunk.start + chunk.bytes > dataEnd)) {
    throw damaged(`bytes ${chunk.start} .. ${chunk.start + chunk.bytes} of a column lie outside the data`);
  }
  return chunk;
}

function readColumnMetadata(cursor: ThriftCursor, structType: number): ColumnChunk {
  expectStruct(structType);
  const numbers = { type: -1, codec: -1, entries: 0, rawBytes: 0, bytes: 0 };
  let dataStart = 0;
  let dictionaryStart = 0;
  readStruct(cursor, (id, type) => {
    if (id === 1) numbers.type = readCount(cursor, type);
    else if (id === 4) numbers.codec = readCount(cursor, type);
    else if (id === 5) numbers.entries = readCount(cursor, type);
    else if (id === 6) numbers.rawBytes = readCount(cursor, type);
    else if (id === 7) numbers.bytes = readCount(cursor, type);
    else if (id === 9) dataStart = readCount(cursor, type);
    else if (id === 11) dictionaryStart = readInteger(cursor, type);
    else return false;
    return true;
  });
  // some writers leave 0 where there is no dictionary, and pyarrow where there is no data page
  const hasDictionary = dictionaryStart > 0 && (dictionaryStart < dataStart || dataStart === 0);
  const start = hasDictionary ? dictionaryStart : dataStart;
  return { start, ...numbers };
}

function readKeyValue(cursor: ThriftCursor, itemType: number): readonly [string, string] {
  expectStruct(itemType);
  let key = '';
  let value = '';
  readStruct(cursor, (id, type) => {
    if (id === 1) key = readText(cursor, type);
    else if (id === 2) value = readText(cursor, type);
    else return false;
    return true;
  });
  return [key, value];
}
