// Owns how a schema is written: a flat list of elements, lists as three levels, integer widths as logical types.
import { unreachable } from '../../core/check.ts';
import type { Dtype } from '../../core/dtype.ts';
import { ConvertedType, LogicalType, PhysicalType, Repetition, ThriftType } from '../../core/parquet-format.ts';
import type { ColumnType, Field, Schema } from '../../core/schema.ts';
import type { ThriftWriter } from './thrift-writer.ts';

interface IntegerType {
  readonly bits: number;
  readonly signed: boolean;
  readonly converted: ConvertedType;
}

interface StoredType {
  readonly physical: PhysicalType;
  readonly integer?: IntegerType;
}

const integer = (physical: PhysicalType, bits: number, signed: boolean, converted: ConvertedType): StoredType => ({
  physical,
  integer: { bits, signed, converted },
});

/** i32 and i64 are what INT32 and INT64 mean without a logical type. */
const STORED: Readonly<Record<Dtype, StoredType>> = {
  bool: { physical: PhysicalType.BOOLEAN },
  i8: integer(PhysicalType.INT32, 8, true, ConvertedType.INT_8),
  u8: integer(PhysicalType.INT32, 8, false, ConvertedType.UINT_8),
  i16: integer(PhysicalType.INT32, 16, true, ConvertedType.INT_16),
  u16: integer(PhysicalType.INT32, 16, false, ConvertedType.UINT_16),
  i32: { physical: PhysicalType.INT32 },
  u32: integer(PhysicalType.INT32, 32, false, ConvertedType.UINT_32),
  i64: { physical: PhysicalType.INT64 },
  u64: integer(PhysicalType.INT64, 64, false, ConvertedType.UINT_64),
  f32: { physical: PhysicalType.FLOAT },
  f64: { physical: PhysicalType.DOUBLE },
};

/** A column's only leaf: its type, and the names on the way to it. */
export interface Leaf {
  readonly physical: PhysicalType;
  readonly path: readonly string[];
}

export function leafOf(field: Field): Leaf {
  const path = [field.name];
  let type = field.type;
  for (; type.kind === 'list'; type = type.item) path.push('list', 'element');
  return { physical: type.kind === 'utf8' ? PhysicalType.BYTE_ARRAY : STORED[type.dtype].physical, path };
}

/** The `schema` field of the footer. */
export function writeSchema(thrift: ThriftWriter, schema: Schema, fieldId: number): void {
  const count = 1 + schema.fields.reduce((sum, field) => sum + elementCount(field.type), 0);
  thrift.listField(fieldId, ThriftType.STRUCT, count);
  thrift.beginStruct();
  thrift.stringField(4, 'schema');
  thrift.i32Field(5, schema.fields.length);
  thrift.endStruct();
  for (const field of schema.fields) {
    writeElement(thrift, field.name, field.type, field.nullable ? Repetition.OPTIONAL : Repetition.REQUIRED);
  }
}

function elementCount(type: ColumnType): number {
  return type.kind === 'list' ? 2 + elementCount(type.item) : 1;
}

function writeElement(thrift: ThriftWriter, name: string, type: ColumnType, repetition: Repetition): void {
  switch (type.kind) {
    case 'flat':
      writeFlat(thrift, name, type.dtype, repetition);
      return;
    case 'utf8':
      thrift.beginStruct();
      thrift.i32Field(1, PhysicalType.BYTE_ARRAY);
      thrift.i32Field(3, repetition);
      thrift.stringField(4, name);
      thrift.i32Field(6, ConvertedType.UTF8);
      thrift.structField(10);
      thrift.emptyStructField(LogicalType.STRING);
      thrift.endStruct();
      thrift.endStruct();
      return;
    case 'list':
      thrift.beginStruct();
      thrift.i32Field(3, repetition);
      thrift.stringField(4, name);
      thrift.i32Field(5, 1);
      thrift.i32Field(6, ConvertedType.LIST);
      thrift.structField(10);
      thrift.emptyStructField(LogicalType.LIST);
      thrift.endStruct();
      thrift.endStruct();
      thrift.beginStruct();
      thrift.i32Field(3, Repetition.REPEATED);
      thrift.stringField(4, 'list');
      thrift.i32Field(5, 1);
      thrift.endStruct();
      writeElement(thrift, 'element', type.item, Repetition.REQUIRED);
      return;
    default:
      unreachable(type);
  }
}

function writeFlat(thrift: ThriftWriter, name: string, dtype: Dtype, repetition: Repetition): void {
  const { physical, integer } = STORED[dtype];
  thrift.beginStruct();
  thrift.i32Field(1, physical);
  thrift.i32Field(3, repetition);
  thrift.stringField(4, name);
  if (integer) {
    thrift.i32Field(6, integer.converted);
    thrift.structField(10);
    thrift.structField(LogicalType.INTEGER);
    thrift.byteField(1, integer.bits);
    thrift.boolField(2, integer.signed);
    thrift.endStruct();
    thrift.endStruct();
  }
  thrift.endStruct();
}
