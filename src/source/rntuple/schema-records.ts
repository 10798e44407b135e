// Owns the records that describe fields and columns, in the header and, for those added while writing, in the footer.
import { type Cursor, damaged, f64, i64, records, text, u16, u32, u64 } from './cursor.ts';

export const Role = { leaf: 0, collection: 1, record: 2, variant: 3, streamer: 4 } as const;

const REPETITIVE = 1;
const PROJECTED = 2;
const DEFERRED = 1;
const RANGED = 2;
/** Parsing takes a stack frame a level; nobody nests deeper, so that a loop in a damaged file ends. */
export const DEPTH_MAX = 64;

/** Fields are numbered in the order of their records, and so are columns. */
export interface FieldRecord {
  readonly id: number;
  /** A field of the top level is its own parent. */
  readonly parent: number;
  readonly role: number;
  readonly name: string;
  readonly type: string;
  readonly doc: string;
  /** Copies a row (a fixed array, a bitset); 0: no repetition. */
  readonly repetition: number;
  /** The field whose data this one shows under another name. */
  readonly source?: number;
}

export interface ColumnRecord {
  readonly id: number;
  readonly field: number;
  readonly type: number;
  readonly bits: number;
  /** A field may be stored in several ways, one a cluster. */
  readonly representation: number;
  /** Rows before it were written when the column was not there yet: zeros. Negative: and not used until then. */
  readonly firstElement: number;
  readonly min: number;
  readonly max: number;
}

export interface Alias {
  readonly column: number;
  readonly field: number;
}

export interface SchemaRecords {
  readonly fields: FieldRecord[];
  readonly columns: ColumnRecord[];
  readonly aliases: Alias[];
}

/** Adds what stands at the cursor to what is there already. */
export function readSchema(cursor: Cursor, known: SchemaRecords): SchemaRecords {
  let fieldId = known.fields.length;
  const fields = records(cursor, (item) => readField(item, fieldId++));
  let columnId = known.columns.length;
  const columns = records(cursor, (item) => readColumn(item, columnId++));
  const aliases = records(cursor, (item): Alias => ({ column: u32(item), field: u32(item) }));
  records(cursor, () => undefined); // streamer infos
  const all = {
    fields: [...known.fields, ...fields],
    columns: [...known.columns, ...columns],
    aliases: [...known.aliases, ...aliases],
  };
  checkReferences(all);
  return all;
}

function readField(cursor: Cursor, id: number): FieldRecord {
  u32(cursor); // version of the field
  u32(cursor); // version of the type
  const parent = u32(cursor);
  const role = u16(cursor);
  const flags = u16(cursor);
  const name = text(cursor);
  const type = text(cursor);
  text(cursor); // alias of the type
  const doc = text(cursor);
  const repetition = flags & REPETITIVE ? u64(cursor) : 0;
  const source = flags & PROJECTED ? u32(cursor) : undefined;
  return { id, parent, role, name, type, doc, repetition, ...(source === undefined ? {} : { source }) };
}

function readColumn(cursor: Cursor, id: number): ColumnRecord {
  const type = u16(cursor);
  const bits = u16(cursor);
  const field = u32(cursor);
  const flags = u16(cursor);
  const representation = u16(cursor);
  const firstElement = flags & DEFERRED ? i64(cursor) : 0;
  const [min, max] = flags & RANGED ? [f64(cursor), f64(cursor)] : [0, 0];
  return { id, type, bits, field, representation, firstElement, min, max };
}

function checkReferences({ fields, columns, aliases }: SchemaRecords): void {
  const isField = (id: number) => id < fields.length;
  const sound =
    fields.every(({ id, parent, source }) => parent <= id && (source === undefined || isField(source))) &&
    columns.every(({ field }) => isField(field)) &&
    aliases.every(({ column, field }) => isField(field) && column < columns.length);
  if (!sound) throw damaged('fields and columns of the RNTuple do not fit together');
  if (fields.some(({ name }) => name === '')) throw damaged('a field has no name');
}
