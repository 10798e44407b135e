// Owns looking at what a reader gave: a digest of each column's bits, and whether the column is what its type says.
import { createHash } from 'node:crypto';
import type { Column } from '../../src/core/column.ts';
import { concatColumns } from '../../src/core/column.ts';
import { allocate, bytesOf } from '../../src/core/dtype.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import type { ColumnType, Field } from '../../src/core/schema.ts';
import { openSource } from '../../src/source/registry.ts';

/** What reading a file gave: for each column a digest, or the code of an error; for a file that does not open, its code. */
export interface Reading {
  readonly error?: string;
  /** Of the file that was opened: several formats begin with the same bytes. */
  readonly format?: string;
  readonly columns: ReadonlyMap<string, string>;
  readonly errors: readonly string[];
  /** Named as unreadable by the reader itself. */
  readonly refused: readonly string[];
}

/** A reader that broke its word: no coded error, or columns that are not what they say. */
export class Broken extends Error {}

/** Columns read one by one after the read of all has failed. */
const SINGLE_COLUMNS_MAX = 6;

function codeOf(error: unknown): string {
  if (error instanceof ColweaveError && error.code.startsWith('source/')) return error.code;
  throw error;
}

/** Reads all columns, in one go or in two; those of a file with a damaged column one by one. */
export async function readFile(path: string, halves: boolean): Promise<Reading> {
  let file: Awaited<ReturnType<typeof openSource>>;
  try {
    file = await openSource(path, {});
  } catch (error) {
    return { error: codeOf(error), columns: new Map(), errors: [], refused: [] };
  }
  try {
    const { rows, schema } = file.descriptor;
    const { fields } = schema;
    const columns = new Map<string, string>();
    const errors: string[] = [];
    const refused = file.unreadable.map(({ name }) => name);
    const read = async (wanted: readonly Field[]) => {
      const names = wanted.map(({ name }) => name);
      const middle = halves ? Math.floor(rows / 3) : rows;
      const parts = [await file.read(names, 0, middle)];
      if (middle < rows) parts.push(await file.read(names, middle, rows));
      wanted.forEach((field, i) => {
        const column = concatColumns(
          field.type,
          parts.map((part) => part[i]!),
        );
        checkColumn(column, field.type, rows, field.name);
        if (column.valid !== undefined && !field.nullable) throw new Broken(`${field.name}: nulls where none may be`);
        columns.set(field.name, digestOf(column));
      });
    };
    try {
      await read(fields);
    } catch (error) {
      errors.push(codeOf(error));
      for (const field of evenly(fields)) {
        try {
          await read([field]);
        } catch (single) {
          errors.push(codeOf(single));
        }
      }
    }
    return { format: file.descriptor.format, columns, errors, refused };
  } finally {
    await file.close();
  }
}

function evenly(fields: readonly Field[]): readonly Field[] {
  const step = Math.max(1, Math.ceil(fields.length / SINGLE_COLUMNS_MAX));
  return fields.filter((_, i) => i % step === 0);
}

/** Lengths, offsets and kinds, all the way down. Throws Broken. */
function checkColumn(column: Column, type: ColumnType, rows: number, name: string): void {
  const broken = (what: string) => new Broken(`${name}: ${what}`);
  if (column.kind !== type.kind) throw broken(`a column of kind ${column.kind} for ${type.kind}`);
  if (column.length !== rows) throw broken(`${column.length} rows of ${rows}`);
  if (column.valid !== undefined && column.valid.length !== rows) throw broken('validity is of another length');
  if (column.kind === 'flat') {
    if (type.kind !== 'flat' || column.dtype !== type.dtype) throw broken(`values are ${column.dtype}`);
    const kind = allocate(type.dtype, 0).constructor;
    if (column.values.constructor !== kind || column.values.length !== rows) throw broken('values are of another kind');
    return;
  }
  const { offsets } = column;
  if (offsets.length !== rows + 1 || offsets[0] !== 0) throw broken('offsets are of another length');
  for (let i = 0; i < rows; i++) if (offsets[i + 1]! < offsets[i]!) throw broken('offsets fall');
  const end = offsets[rows]!;
  if (column.kind === 'utf8') {
    if (end > column.bytes.length) throw broken('offsets lead out of the text');
    return;
  }
  if (type.kind === 'list') checkColumn(column.items, type.item, end, name);
}

/** Of everything that makes the column: values as bits, offsets, validity. */
function digestOf(column: Column): string {
  const hash = createHash('sha1');
  const add = (part: Column): void => {
    hash.update(`${part.kind} ${part.length} `);
    if (part.valid?.includes(0)) hash.update(part.valid);
    if (part.kind === 'flat') {
      hash.update(part.dtype).update(bytesOf(part.values));
      return;
    }
    hash.update(bytesOf(part.offsets));
    if (part.kind === 'utf8') hash.update(part.bytes.subarray(0, part.offsets[part.length]));
    else add(part.items);
  };
  add(column);
  return hash.digest('hex');
}
