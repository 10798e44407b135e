// Owns the Arrow schema as an IPC message, for the metadata of Parquet files: field titles and exact types for Arrow readers.
// Built by hand (a flatbuffer of a few tables), so that writing Parquet does not load the Arrow library.
// https://github.com/apache/arrow/blob/main/format/Schema.fbs and Message.fbs
import type { Dtype } from '../core/dtype.ts';
import type { ColumnType, Schema } from '../core/schema.ts';

/** Field metadata key that coffea shows as the column's documentation. */
export const TITLE_KEY = 'title';

const METADATA_V5 = 4;
const HEADER_SCHEMA = 1;
const TYPE = { int: 2, float: 3, utf8: 5, bool: 6, list: 12 } as const;
const SINGLE = 1;
const DOUBLE = 2;
const CONTINUATION = 0xffffffff;
const ALIGN = 8;

type Node = Table | Vector | string;
interface Table {
  readonly kind: 'table';
  /** By slot; absent = the default. */
  readonly slots: readonly (Slot | undefined)[];
}
type Slot = { readonly bytes: 1 | 2 | 4 | 8; readonly value: number } | { readonly node: Node };
interface Vector {
  readonly kind: 'vector';
  readonly items: readonly Node[];
}

const number = (bytes: 1 | 2 | 4 | 8, value: number): Slot => ({ bytes, value });
const child = (node: Node): Slot => ({ node });
const table = (...slots: (Slot | undefined)[]): Table => ({ kind: 'table', slots });
const vector = (items: readonly Node[]): Vector => ({ kind: 'vector', items });

/** The encapsulated message, base64: the value of ARROW:schema. */
export function arrowSchemaBase64(schema: Schema): string {
  const fields = schema.fields.map((field) => fieldTable(field.name, field.type, field.nullable, field.doc));
  const header = table(undefined, child(vector(fields)));
  const message = table(number(2, METADATA_V5), number(1, HEADER_SCHEMA), child(header), number(8, 0));
  const body = new FlatWriter().finish(message);
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt32LE(CONTINUATION, 0);
  bytes.writeInt32LE(body.length, 4);
  bytes.set(body, 8);
  return bytes.toString('base64');
}

function fieldTable(name: string, type: ColumnType, nullable: boolean, doc?: string): Table {
  const children = type.kind === 'list' ? [fieldTable('element', type.item, false)] : [];
  const title = table(child(TITLE_KEY), child(doc ?? ''));
  return table(
    child(name),
    number(1, nullable ? 1 : 0),
    number(1, typeId(type)),
    child(typeTable(type)),
    undefined,
    child(vector(children)),
    doc === undefined || doc === '' ? undefined : child(vector([title])),
  );
}

function typeId(type: ColumnType): number {
  if (type.kind === 'list') return TYPE.list;
  if (type.kind === 'utf8') return TYPE.utf8;
  if (type.dtype === 'bool') return TYPE.bool;
  return type.dtype === 'f32' || type.dtype === 'f64' ? TYPE.float : TYPE.int;
}

function typeTable(type: ColumnType): Table {
  if (type.kind !== 'flat' || type.dtype === 'bool') return table();
  if (type.dtype === 'f32') return table(number(2, SINGLE));
  if (type.dtype === 'f64') return table(number(2, DOUBLE));
  const [bits, signed] = integerOf(type.dtype);
  return table(number(4, bits), number(1, signed ? 1 : 0));
}

function integerOf(dtype: Dtype): [number, boolean] {
  return [Number(dtype.slice(1)), dtype.startsWith('i')];
}

/** Writes forward: a table, then what it points to; every offset is from where it stands to where its target starts. */
class FlatWriter {
  #bytes = Buffer.alloc(1024);
  #length = 0;

  finish(root: Table): Uint8Array {
    const at = this.#take(4, 4);
    this.#point(at, root);
    this.#take(0, ALIGN);
    return this.#bytes.subarray(0, this.#length);
  }

  #node(node: Node): number {
    if (typeof node === 'string') return this.#string(node);
    return node.kind === 'table' ? this.#table(node) : this.#vector(node);
  }

  #string(text: string): number {
    const bytes = Buffer.from(text, 'utf8');
    const at = this.#take(4 + bytes.length + 1, 4);
    this.#bytes.writeUInt32LE(bytes.length, at);
    this.#bytes.set(bytes, at + 4);
    return at;
  }

  #vector({ items }: Vector): number {
    const at = this.#take(4 + 4 * items.length, 4);
    this.#bytes.writeUInt32LE(items.length, at);
    items.forEach((item, index) => {
      this.#point(at + 4 + 4 * index, item);
    });
    return at;
  }

  /** The table's own layout (vtable) stands in front of it. */
  #table({ slots }: Table): number {
    const places: number[] = [];
    let size = 4;
    for (const slot of slots) {
      const bytes = slot === undefined ? 0 : 'node' in slot ? 4 : slot.bytes;
      if (bytes > 0) size = Math.ceil(size / bytes) * bytes;
      places.push(bytes === 0 ? 0 : size);
      size += bytes;
    }
    const layoutBytes = Math.ceil((4 + 2 * slots.length) / ALIGN) * ALIGN;
    const start = this.#take(layoutBytes + size, ALIGN);
    const at = start + layoutBytes;
    this.#bytes.writeUInt16LE(4 + 2 * slots.length, start);
    this.#bytes.writeUInt16LE(size, start + 2);
    this.#bytes.writeInt32LE(layoutBytes, at);
    places.forEach((place, index) => {
      this.#bytes.writeUInt16LE(place, start + 4 + 2 * index);
    });
    slots.forEach((slot, index) => {
      if (slot === undefined) return;
      const place = at + places[index]!;
      if ('node' in slot) this.#point(place, slot.node);
      else this.#bytes.writeUIntLE(slot.value, place, Math.min(slot.bytes, 6));
    });
    return at;
  }

  #point(at: number, node: Node): void {
    const target = this.#node(node);
    this.#bytes.writeUInt32LE(target - at, at);
  }

  /** `count` zeroed bytes from a multiple of `align`. */
  #take(count: number, align: number): number {
    const at = Math.ceil(this.#length / align) * align;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#length));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    return at;
  }
}
