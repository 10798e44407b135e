// Owns columns that the names of folders give to all rows of a file, beside those that are in the file.
import { createHash } from 'node:crypto';
import type { Take } from '../core/arena.ts';
import type { Column } from '../core/column.ts';
import { allocate, isInteger } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { type ColumnType, type Field, flat, typeName, utf8 } from '../core/schema.ts';
import type { Input } from './inputs.ts';
import type { PartitionKey } from './partition-name.ts';
import type { FileDescriptor, SourceFile } from './types.ts';

export const PARTITIONED = 'partitioned';

/** What a descriptor of a file in a partition holds. */
export interface PartitionLayout {
  readonly inner: FileDescriptor;
  readonly partition: readonly PartitionColumn[];
}

/** A partition key with the column that it becomes. */
export interface PartitionColumn extends PartitionKey {
  readonly type: ColumnType;
  /** Some folder of the source has no value. */
  readonly nullable: boolean;
}

const INTEGER = /^(0|-?[1-9]\d*)$/;
const I64_MAX = 2n ** 63n - 1n;
const U64_MAX = 2n ** 64n - 1n;

/**
 * Of each key over all files of a source, its type: i64 where every value is an integer as one writes it (no leading
 * zeros), u64 where one is larger, else text. So `day=01` stays text, and one folder never changes another's values.
 */
export function partitionTypes(inputs: readonly Input[]): ReadonlyMap<string, Omit<PartitionColumn, 'name' | 'value'>> {
  const values = new Map<string, (string | null)[]>();
  for (const { partition = [] } of inputs) {
    for (const { name, value } of partition) {
      const all = values.get(name);
      if (all === undefined) values.set(name, [value]);
      else all.push(value);
    }
  }
  return new Map([...values].map(([name, all]) => [name, { type: typeOf(all), nullable: all.includes(null) }]));
}

function typeOf(values: readonly (string | null)[]): ColumnType {
  const given = values.filter((value) => value !== null);
  if (given.length === 0 || !given.every((value) => INTEGER.test(value))) return utf8;
  const numbers = given.map(BigInt);
  if (numbers.every((value) => value >= -I64_MAX - 1n && value <= I64_MAX)) return flat('i64');
  return numbers.every((value) => value >= 0n && value <= U64_MAX) ? flat('u64') : utf8;
}

/**
 * The file with its partition's columns behind its own. A column that is in both is the file's, and each of its values
 * must be the folder's. Errors: source/schema-differs.
 */
export function withPartition(file: SourceFile, partition: readonly PartitionColumn[]): SourceFile {
  const { descriptor: inner } = file;
  const where = [inner.uri];
  const own = new Map(inner.schema.fields.map((field) => [field.name, field]));
  for (const key of partition) checkOwn(key, own.get(key.name), file);
  const added = partition.filter(({ name }) => !own.has(name));
  const fields = added.map(({ name, type, nullable }): Field => ({ name, type, nullable }));
  const layout: PartitionLayout = { inner, partition };
  const descriptor: FileDescriptor = {
    ...inner,
    format: PARTITIONED,
    schema: { fields: [...inner.schema.fields, ...fields] },
    identity: { ...inner.identity, id: identityIn(inner, partition) },
    layout,
  };
  const stored = (names: readonly string[]) => names.filter((name) => !added.some((key) => key.name === name));
  return {
    descriptor,
    unreadable: file.unreadable,
    redundant: file.redundant,
    bytesOf: (names) => file.bytesOf(stored(names)),
    rawBytesOf: (names) => file.rawBytesOf(stored(names)),
    async read(names, rowStart, rowEnd, signal, take) {
      const wanted = stored(names);
      const columns = await file.read(wanted, rowStart, rowEnd, signal, take);
      const read = new Map(wanted.map((name, i) => [name, columns[i]!]));
      return names.map((name) => {
        const key = partition.find((other) => other.name === name);
        const column = read.get(name);
        if (key === undefined) return column!;
        if (column === undefined) return repeated(key, rowEnd - rowStart, take);
        const row = firstOther(column, key);
        if (row < 0) return column;
        throw new ColweaveError(
          'source/schema-differs',
          `column "${name}" is not ${key.value ?? 'null'} in every row, as the folder's name says`,
          { where: [...where, `entry ${rowStart + row}`], hint: 'the file lies in the wrong folder' },
        );
      });
    },
    forget: () => file.forget?.(),
    close: () => file.close(),
  };
}

/** Two files may be alike but for the folder that they lie in. */
function identityIn(inner: FileDescriptor, partition: readonly PartitionColumn[]): string {
  const keys = partition.map(({ name, value }) => [name, value]);
  return createHash('sha256')
    .update(JSON.stringify([inner.identity.id, keys]))
    .digest('hex');
}

function checkOwn({ name, value }: PartitionColumn, field: Field | undefined, { unreadable, descriptor }: SourceFile) {
  const refused = unreadable.find((column) => column.name === name);
  const type = field === undefined ? refused?.type : comparable(field.type) ? undefined : typeName(field.type);
  if (type === undefined) return;
  throw new ColweaveError(
    'source/schema-differs',
    `column "${name}" (${type}) is in the file, and its folder says that it is ${value ?? 'null'}`,
    { where: [descriptor.uri], hint: 'write the file without the column' },
  );
}

function comparable(type: ColumnType): boolean {
  return type.kind === 'utf8' || (type.kind === 'flat' && isInteger(type.dtype));
}

function repeated({ type, value }: PartitionColumn, rows: number, take: Take = allocate): Column {
  const valid = value === null ? new Uint8Array(rows) : undefined;
  if (type.kind === 'flat') {
    const values = take(type.dtype, rows) as BigInt64Array;
    values.fill(value === null ? 0n : BigInt(value));
    return { kind: 'flat', dtype: type.dtype, length: rows, values, valid };
  }
  const text = Buffer.from(value ?? '');
  const offsets = take('i32', rows + 1) as Int32Array;
  for (let i = 0; i <= rows; i++) offsets[i] = i * text.length;
  return { kind: 'utf8', length: rows, offsets, bytes: Buffer.alloc(rows * text.length, text), valid };
}

/** The first row that is not the folder's value, or -1. */
function firstOther(column: Column, { value }: PartitionKey): number {
  const { valid, length } = column;
  const other = differs(column, value);
  for (let row = 0; row < length; row++) {
    const isNull = valid !== undefined && valid[row] === 0;
    if (isNull ? value !== null : value === null || other(row)) return row;
  }
  return -1;
}

function differs(column: Column, value: string | null): (row: number) => boolean {
  if (column.kind === 'flat') {
    const { values } = column;
    const wanted = value !== null && INTEGER.test(value) ? BigInt(value) : undefined;
    const narrow = values instanceof BigInt64Array || values instanceof BigUint64Array ? wanted : Number(wanted);
    return (row) => wanted === undefined || values[row] !== narrow;
  }
  if (column.kind === 'list') return () => true;
  const text = Buffer.from(value ?? '');
  const { bytes, offsets } = column;
  return (row) => text.compare(bytes, offsets[row]!, offsets[row + 1]!) !== 0;
}
