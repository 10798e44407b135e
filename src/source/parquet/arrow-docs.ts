// Owns the titles of columns that an Arrow schema inside a Parquet file carries (metadata `title` or `doc` of its fields).
// Layout: https://github.com/apache/arrow/blob/main/format/Schema.fbs and Message.fbs, as FlatBuffers.
import { ARROW_SCHEMA_KEY } from '../../core/parquet-format.ts';
import { byteAt, rootTable, type Table, tableAt, tablesAt, textAt } from '../arrow/flatbuffer.ts';

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
    const message = rootTable(bytes.subarray(start));
    const schema = tableAt(message, 2);
    if (schema === undefined) return docs;
    const found: Found = { docs, fields: 0 };
    for (const field of tablesAt(schema, 1)) collect(field, '', found, 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return docs;
}

interface Found {
  readonly docs: Map<string, string>;
  fields: number;
}

function collect(field: Table, above: string, found: Found, depth: number): void {
  if (depth > DEPTH_MAX || ++found.fields > FIELDS_MAX) throw new RangeError('schema without end');
  const { docs } = found;
  const path = depth === 0 ? textAt(field, 0) : `${above}.${textAt(field, 0)}`;
  for (const pair of tablesAt(field, 6)) {
    if (TITLE_KEYS.includes(textAt(pair, 0)) && !docs.has(path)) docs.set(path, textAt(pair, 1));
  }
  // a list's only child is its item, which has no name of its own in ours
  const isList = LIST_TYPES.includes(byteAt(field, 2));
  for (const child of tablesAt(field, 5)) {
    if (isList) for (const member of tablesAt(child, 5)) collect(member, path, found, depth + 1);
    else collect(child, path, found, depth + 1);
  }
}

/** Type.List, Type.FixedSizeList, Type.LargeList of Schema.fbs. */
const LIST_TYPES: readonly number[] = [12, 16, 21];
