// Owns one source of a join: several files as one run of rows under one schema.
import { inParallel } from '../bytes/parallel.ts';
import { isRemote } from '../bytes/remote.ts';
import type { CacheAccess } from '../cache/place.ts';
import type { Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type Column, concatColumns, nullColumn } from '../core/column.ts';
import { bytesOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { type Field, fieldNamed, type Schema, sameType, typeName } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';
import { castColumn, commonType } from './casts.ts';
import type { Input } from './inputs.ts';
import { partitionTypes } from './partition.ts';
import { openInput, reopenSource } from './registry.ts';
import type { FileDescriptor, SourceFile, UnreadableColumn } from './types.ts';

/** Row numbers must fit a row map of Int32Array with -1 for absent. */
export const SOURCE_ROWS_MAX = 2 ** 31 - 2;

export type SchemaPolicy = 'strict' | 'union' | 'intersect';
export type AbsentTrigger = 'false' | 'drop' | 'null';

/** Plain data: what a worker thread needs to read the same rows. */
export interface DatasetDescriptor {
  readonly label: string;
  readonly schema: Schema;
  readonly rows: number;
  readonly files: readonly { readonly descriptor: FileDescriptor; readonly firstRow: number }[];
  /** Trigger bits that a file lacks are false there, because the user said so. */
  readonly absentFalse: readonly string[];
}

export interface Dataset {
  readonly descriptor: DatasetDescriptor;
  readonly files: readonly SourceFile[];
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

export interface DatasetOptions {
  readonly label: string;
  readonly tree?: string;
  readonly schema: SchemaPolicy;
  readonly absentTrigger?: AbsentTrigger;
  readonly cache?: CacheAccess;
}

/** Trigger paths come and go inside one dataset of real data. */
const TRIGGER = /^(HLT|L1|DST)_/;

/** Files on servers: each costs a few journeys before its columns are known. */
const OPEN_AT_ONCE = 8;

/** Opens every file and settles one schema. Errors: those of the formats, source/schema-differs, source/too-many-rows. */
export async function openDataset(
  inputs: readonly Input[],
  options: DatasetOptions,
  signal?: AbortSignal,
): Promise<Dataset> {
  if (inputs.length === 0) throw new ColweaveError('source/not-found', `source "${options.label}" names no file`);
  const files: SourceFile[] = [];
  try {
    const types = partitionTypes(inputs);
    const { tree, cache } = options;
    const open = { types, ...(tree === undefined ? {} : { tree }), ...(cache === undefined ? {} : { cache }) };
    const width = inputs.some(({ uri }) => isRemote(uri)) ? OPEN_AT_ONCE : 1;
    await inParallel([...inputs.entries()], width, async ([i, input]) => {
      files[i] = await openInput(input, open, signal);
    });
    return settleDataset(files, options);
  } catch (error) {
    await Promise.all(files.map((file) => file?.close()));
    throw error;
  }
}

/** One schema and one run of rows over open files. */
export function settleDataset(files: readonly SourceFile[], options: DatasetOptions): Dataset {
  const settled = settleSchema(files, options);
  let rows = 0;
  const placed = files.map(({ descriptor }) => {
    const firstRow = rows;
    rows += descriptor.rows;
    return { descriptor, firstRow };
  });
  if (rows > SOURCE_ROWS_MAX) {
    throw new ColweaveError('source/too-many-rows', `source "${options.label}" has ${rows} rows`);
  }
  refuseTwins(files);
  const seen = new Map<string, UnreadableColumn>();
  for (const column of files.flatMap((file) => file.unreadable)) seen.set(column.name, column);
  return {
    descriptor: { label: options.label, rows, files: placed, ...settled },
    files,
    unreadable: [...seen.values()],
    redundant: [...new Set(files.flatMap((file) => file.redundant))],
  };
}

/** A file given twice under two names (a copy) doubles its events; the identity tells. */
function refuseTwins(files: readonly SourceFile[]): void {
  const seen = new Map<string, string>();
  for (const { descriptor } of files) {
    const { identity, uri } = descriptor;
    const id = `${identity.id} ${identity.size} ${identity.tree ?? ''} ${identity.entries}`;
    const twin = seen.get(id);
    if (twin !== undefined && identity.entries > 0) {
      throw new ColweaveError(
        'source/duplicate-file',
        `the file is a copy of another one in the same source, ${twin}`,
        {
          where: [uri],
        },
      );
    }
    seen.set(id, uri);
  }
}

/** Opens the files of a descriptor again, without reading metadata. */
export async function reopenDataset(descriptor: DatasetDescriptor): Promise<Dataset> {
  const files = await Promise.all(descriptor.files.map((file) => reopenSource(file.descriptor)));
  return { descriptor, files, unreadable: [], redundant: [] };
}

/** Gives up what its files kept for a read that goes on where the last one ended. */
export function forgetRead({ files }: Dataset): void {
  for (const file of files) file.forget?.();
}

export async function closeDataset(dataset: Dataset): Promise<void> {
  await Promise.all(dataset.files.map((file) => file.close()));
}

function settleSchema(
  files: readonly SourceFile[],
  options: DatasetOptions,
): { readonly schema: Schema; readonly absentFalse: readonly string[] } {
  const first = files[0];
  invariant(first !== undefined, 'a dataset has a file');
  if (files.every((file) => sameSchema(file.descriptor.schema, first.descriptor.schema))) {
    return { schema: first.descriptor.schema, absentFalse: [] };
  }
  const names = [...new Set(files.flatMap((file) => file.descriptor.schema.fields.map((field) => field.name)))];
  const fields: Field[] = [];
  const absentFalse: string[] = [];
  for (const name of names) {
    const settled = settleField(name, files, options);
    if (settled === undefined) continue;
    fields.push(settled.field);
    if (settled.absentFalse) absentFalse.push(name);
  }
  return { schema: { fields }, absentFalse };
}

function sameSchema(left: Schema, right: Schema): boolean {
  if (left.fields.length !== right.fields.length) return false;
  return left.fields.every((field, i) => {
    const other = right.fields[i]!;
    return field.name === other.name && sameType(field.type, other.type) && field.nullable === other.nullable;
  });
}

function settleField(
  name: string,
  files: readonly SourceFile[],
  options: DatasetOptions,
): { readonly field: Field; readonly absentFalse: boolean } | undefined {
  const found = files.map((file) => fieldNamed(file.descriptor.schema, name));
  const have = found.filter((field) => field !== undefined);
  const lacking = found.length - have.length;
  const field = settleType(name, files, found, options);
  if (lacking === 0) return { field, absentFalse: false };
  if (TRIGGER.test(name) && options.absentTrigger !== undefined) {
    if (options.absentTrigger === 'drop') return undefined;
    const asFalse = options.absentTrigger === 'false';
    return { field: asFalse ? field : { ...field, nullable: true }, absentFalse: asFalse };
  }
  if (options.schema === 'intersect') return undefined;
  if (options.schema === 'union' && !TRIGGER.test(name))
    return { field: { ...field, nullable: true }, absentFalse: false };
  const without = files[found.indexOf(undefined)]!;
  throw new ColweaveError(
    'source/schema-differs',
    `column "${name}" is not in every file of source "${options.label}"`,
    {
      where: [without.descriptor.uri],
      details: [`it is in ${files[found.findIndex((item) => item !== undefined)]!.descriptor.uri}`],
      ...(TRIGGER.test(name)
        ? { hint: 'trigger paths come and go: say what an absent one means, --absent-trigger false, drop or null' }
        : {}),
    },
  );
}

function settleType(
  name: string,
  files: readonly SourceFile[],
  found: readonly (Field | undefined)[],
  options: DatasetOptions,
): Field {
  let field: Field | undefined;
  found.forEach((other, i) => {
    if (other === undefined) return;
    if (field === undefined) {
      field = other;
      return;
    }
    const type = options.schema === 'strict' ? undefined : commonType(field.type, other.type);
    if (!sameType(field.type, other.type) && type === undefined) {
      throw new ColweaveError(
        'source/schema-differs',
        `column "${name}" is ${typeName(other.type)} here and ${typeName(field.type)} in the files before`,
        {
          where: [files[i]!.descriptor.uri],
          ...(commonType(field.type, other.type) === undefined
            ? {
                hint: `no type holds both exactly: produce the files with one type, or leave the column out with -c '!${name}'`,
              }
            : {}),
        },
      );
    }
    field = { ...field, type: type ?? field.type, nullable: field.nullable || other.nullable };
  });
  invariant(field !== undefined, `a file has column ${name}`);
  return field;
}

/**
 * Rows rowStart .. rowEnd of the named columns, over file boundaries, as the settled types; absent columns are null there.
 * With `take`, columns last as its arena says; with `needed`, one byte a row, values of rows that are 0 there may be anything.
 */
export async function readRows(
  dataset: Dataset,
  names: readonly string[],
  rowStart: number,
  rowEnd: number,
  signal?: AbortSignal,
  take?: Take,
  needed?: Uint8Array,
): Promise<readonly Column[]> {
  const { descriptor } = dataset;
  const fields = names.map((name) => requireField(descriptor, name));
  if (needed === undefined) askAhead(dataset, names, rowStart, rowEnd);
  const parts: (readonly Column[])[] = [];
  for (const [i, { firstRow, descriptor: file }] of descriptor.files.entries()) {
    const start = Math.max(rowStart, firstRow);
    const end = Math.min(rowEnd, firstRow + file.rows);
    if (start >= end) continue;
    signal?.throwIfAborted();
    const own = needed?.subarray(start - rowStart, end - rowStart);
    const span = { start: start - firstRow, end: end - firstRow };
    parts.push(await readPart(dataset, i, fields, { ...span, signal, take, needed: own }));
  }
  if (parts.length === 1) return parts[0]!;
  return concatAll(fields, parts, take);
}

/** Has servers asked for rows that will be read soon, all files of them at once; columns that a file lacks cost nothing. */
export function askAhead(dataset: Dataset, names: readonly string[], rowStart: number, rowEnd: number): void {
  for (const [i, { firstRow, descriptor: file }] of dataset.descriptor.files.entries()) {
    const start = Math.max(rowStart, firstRow);
    const end = Math.min(rowEnd, firstRow + file.rows);
    const source = dataset.files[i]!;
    if (start >= end || source.askAhead === undefined) continue;
    const present = names.filter((name) => fieldNamed(file.schema, name) !== undefined);
    source.askAhead(present, start - firstRow, end - firstRow);
  }
}

/** One list of offsets stays one: columns of a collection still share them after the parts are put together. */
function concatAll(
  fields: readonly Field[],
  parts: readonly (readonly Column[])[],
  take: Take | undefined,
): readonly Column[] {
  const shared = new Map<Int32Array, Int32Array>();
  return fields.map((field, c) => {
    const column = concatColumns(
      field.type,
      parts.map((part) => part[c]!),
      take,
    );
    const firstPart = parts[0]?.[c];
    if (column.kind !== 'list' || firstPart?.kind !== 'list' || firstPart === column) return column;
    const known = shared.get(firstPart.offsets);
    if (known !== undefined && Buffer.compare(bytesOf(known), bytesOf(column.offsets)) === 0)
      return { ...column, offsets: known };
    shared.set(firstPart.offsets, column.offsets);
    return column;
  });
}

interface PartRead {
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
  readonly take: Take | undefined;
  readonly needed: Uint8Array | undefined;
}

async function readPart(
  dataset: Dataset,
  index: number,
  fields: readonly Field[],
  { start, end, signal, take, needed }: PartRead,
): Promise<readonly Column[]> {
  const file = dataset.files[index]!;
  const has = new Set(file.descriptor.schema.fields.map((field) => field.name));
  const present = fields.filter((field) => has.has(field.name));
  const columns = await file.read(
    present.map((field) => field.name),
    start,
    end,
    signal,
    take,
    needed,
  );
  const read = new Map(present.map((field, i) => [field.name, columns[i]!]));
  return fields.map((field) => {
    const column = read.get(field.name);
    if (column !== undefined) return castColumn(column, field.type);
    const absent = nullColumn(field.type, end - start);
    return dataset.descriptor.absentFalse.includes(field.name) ? { ...absent, valid: undefined } : absent;
  });
}

/** What the named columns weigh, by metadata: bytes to read, and bytes when decompressed. */
export function datasetBytes(
  { files }: Dataset,
  names: readonly string[],
): { readonly stored: number; readonly raw: number } {
  let stored = 0;
  let raw = 0;
  for (const file of files) {
    const present = names.filter((name) => fieldNamed(file.descriptor.schema, name) !== undefined);
    stored += file.bytesOf(present);
    raw += file.rawBytesOf(present);
  }
  return { stored, raw };
}

/** Errors: source/no-column with the nearest names. */
export function requireField(descriptor: DatasetDescriptor, name: string): Field {
  const field = fieldNamed(descriptor.schema, name);
  if (field !== undefined) return field;
  const names = descriptor.schema.fields.map((other) => other.name);
  const first = descriptor.files[0]!.descriptor;
  throw new ColweaveError('source/no-column', `no column "${name}"`, {
    where: [first.uri, ...(first.identity.tree === undefined ? [] : [first.identity.tree])],
    near: nearestNames(name, names),
  });
}

/** The file and the entry in it of a row of the dataset: how messages point at an event. */
export function locateRow(
  descriptor: DatasetDescriptor,
  row: number,
): { readonly uri: string; readonly entry: number } {
  const at = descriptor.files.findLast(({ firstRow, descriptor: file }) => firstRow <= row && file.rows > 0);
  invariant(at !== undefined, 'a row lies in a file');
  return { uri: at.descriptor.uri, entry: row - at.firstRow };
}
