// Owns the titles of columns that an Arrow schema inside a Parquet file carries (metadata `title` or `doc` of its fields).
// Layout: https://github.com/apache/arrow/blob/main/format/Schema.fbs and Message.fbs, as FlatBuffers.
import { ARROW_SCHEMA_KEY } from '../../core/parquet-format.ts';

/** Arrow types nest a few deep; more is a file that means harm. */
const DEPTH_MAX = 32;
/** Offsets may lead back to the same field: this many are enough for any real file. */
const FIELDS_MAX = 1 << 17;
const CONTINUATION = 0xffffffff;
const TITLE_KEYS: readonly string[] = ['title', 'doc'];

/** By column name; empty where there is no Arrow schema or it cannot be read: titles are never worth an error. */
export function arrowDocs(metadata: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  const docs = new Map<string, string>();
  const encoded = metadata.find(([key]) => key === ARROW_SCHEMA_KEY)?.[1];
  if (encoded === undefined) return docs;
  try {
    const bytes = Buffer.from(encoded, 'base64');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const start = view.getUint32(0, true) === CONTINUATION ? 8 : 4;
    const message = table(view, start + view.getUint32(start, true));
    const schema = tableAt(message, 2);
    if (schema === undefined) return docs;
    const found: Found = { docs, fields: 0 };
    for (const field of tables(schema, 1)) collect(field, '', found, 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return docs;
}

interface Found {
  readonly docs: Map<string, string>;
  fields: number;
}

interface Table {
  readonly view: DataView;
  readonly at: number;
}

function collect(field: Table, above: string, found: Found, depth: number): void {
  if (depth > DEPTH_MAX || ++found.fields > FIELDS_MAX) throw new RangeError('schema without end');
  const { docs } = found;
  const path = depth === 0 ? textAt(field, 0) : `${above}.${textAt(field, 0)}`;
  for (const pair of tables(field, 6)) {
    if (TITLE_KEYS.includes(textAt(pair, 0)) && !docs.has(path)) docs.set(path, textAt(pair, 1));
  }
  // a list's only child is its item, which has no name of its own in ours
  const isList = LIST_TYPES.includes(byteAt(field, 2));
  for (const child of tables(field, 5)) {
    if (isList) for (const member of tables(child, 5)) collect(member, path, found, depth + 1);
    else collect(child, path, found, depth + 1);
  }
}

/** Type.List, Type.FixedSizeList, Type.LargeList of Schema.fbs. */
const LIST_TYPES: readonly number[] = [12, 16, 21];

function table(view: DataView, at: number): Table {
  return { view, at };
}

/** Where a field's value lies, or undefined where it has its default. */
function slot({ view, at }: Table, field: number): number | undefined {
  const vtable = at - view.getInt32(at, true);
  const entry = 4 + 2 * field;
  if (entry + 2 > view.getUint16(vtable, true)) return undefined;
  const offset = view.getUint16(vtable + entry, true);
  return offset === 0 ? undefined : at + offset;
}

function follow(view: DataView, at: number): number {
  return at + view.getUint32(at, true);
}

function tableAt(parent: Table, field: number): Table | undefined {
  const at = slot(parent, field);
  return at === undefined ? undefined : table(parent.view, follow(parent.view, at));
}

function tables(parent: Table, field: number): Table[] {
  const at = slot(parent, field);
  if (at === undefined) return [];
  const vector = follow(parent.view, at);
  const count = parent.view.getUint32(vector, true);
  if (count * 4 > parent.view.byteLength) throw new RangeError('vector runs over the end');
  return Array.from({ length: count }, (_, i) => table(parent.view, follow(parent.view, vector + 4 + 4 * i)));
}

function byteAt(parent: Table, field: number): number {
  const at = slot(parent, field);
  return at === undefined ? 0 : parent.view.getUint8(at);
}

function textAt(parent: Table, field: number): string {
  const { view } = parent;
  const at = slot(parent, field);
  if (at === undefined) return '';
  const start = follow(view, at);
  const length = view.getUint32(start, true);
  if (start + 4 + length > view.byteLength) throw new RangeError('string runs over the end');
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + start + 4, length));
}
