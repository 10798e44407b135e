// Owns taking a thrift compact structure apart and putting it together again, so that one value of it can be a lie.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

export interface Struct {
  fields: { readonly id: number; readonly type: number; readonly value: Value }[];
}

/** Integers are as stored: zigzag, not decoded. */
export type Value =
  | { readonly kind: 'bool'; value: number }
  | { readonly kind: 'byte'; value: number }
  | { readonly kind: 'integer'; value: bigint }
  | { readonly kind: 'bytes'; value: Buffer }
  | { readonly kind: 'list'; readonly itemType: number; readonly items: Value[] }
  | { readonly kind: 'struct'; readonly struct: Struct };

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

export function parseStruct(bytes: Buffer, at: number): { readonly struct: Struct; readonly end: number } {
  const cursor = { bytes, at };
  const struct = readStruct(cursor);
  return { struct, end: cursor.at };
}

function varint(cursor: Cursor): bigint {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = cursor.bytes.readUInt8(cursor.at++);
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return value;
  }
}

function readStruct(cursor: Cursor): Struct {
  const fields: Struct['fields'] = [];
  let id = 0;
  for (;;) {
    const head = cursor.bytes.readUInt8(cursor.at++);
    if (head === 0) return { fields };
    const type = head & 15;
    if (head >> 4 === 0) {
      const zigzag = Number(varint(cursor));
      id = (zigzag >>> 1) ^ -(zigzag & 1);
    } else id += head >> 4;
    fields.push({ id, type, value: readValue(cursor, type) });
  }
}

function readValue(cursor: Cursor, type: number): Value {
  switch (type) {
    case 1:
    case 2:
      return { kind: 'bool', value: type };
    case 3:
      return { kind: 'byte', value: cursor.bytes.readUInt8(cursor.at++) };
    case 4:
    case 5:
    case 6:
      return { kind: 'integer', value: varint(cursor) };
    case 8: {
      const length = Number(varint(cursor));
      cursor.at += length;
      return { kind: 'bytes', value: Buffer.from(cursor.bytes.subarray(cursor.at - length, cursor.at)) };
    }
    case 9: {
      const head = cursor.bytes.readUInt8(cursor.at++);
      const count = head >> 4 === 15 ? Number(varint(cursor)) : head >> 4;
      const itemType = head & 15;
      return { kind: 'list', itemType, items: Array.from({ length: count }, () => readItem(cursor, itemType)) };
    }
    default:
      return { kind: 'struct', struct: readStruct(cursor) };
  }
}

/** In a list, booleans take a byte each. */
function readItem(cursor: Cursor, type: number): Value {
  return type === 1 || type === 2 ? readValue(cursor, 3) : readValue(cursor, type);
}

function number(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

export function dumpStruct({ fields }: Struct): Buffer {
  const parts: Buffer[] = [];
  let last = 0;
  for (const { id, type, value } of fields) {
    const kind = value.kind === 'bool' ? (value.value % 2 === 1 ? 1 : 2) : type;
    const step = id - last;
    if (step > 0 && step < 16) parts.push(Buffer.of((step << 4) | kind));
    else parts.push(Buffer.of(kind), number(BigInt(id) << 1n));
    parts.push(dumpValue(value));
    last = id;
  }
  return Buffer.concat([...parts, Buffer.of(0)]);
}

function dumpValue(value: Value): Buffer {
  switch (value.kind) {
    case 'bool':
      return Buffer.alloc(0);
    case 'byte':
      return Buffer.of(value.value);
    case 'integer':
      return number(value.value);
    case 'bytes':
      return Buffer.concat([number(BigInt(value.value.length)), value.value]);
    case 'list':
      return Buffer.concat([
        Buffer.of(240 | value.itemType),
        number(BigInt(value.items.length)),
        ...value.items.map(dumpValue),
      ]);
    default:
      return dumpStruct(value.struct);
  }
}

export function field(struct: Struct, id: number): Value | undefined {
  return struct.fields.find((other) => other.id === id)?.value;
}

/** Every value of a structure, the nested ones too. */
export function valuesOf(struct: Struct): Value[] {
  return struct.fields.flatMap(({ value }) => nested(value));
}

function nested(value: Value): Value[] {
  if (value.kind === 'struct') return [value, ...valuesOf(value.struct)];
  if (value.kind === 'list') return [value, ...value.items.flatMap(nested)];
  return [value];
}
