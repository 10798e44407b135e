// Owns what a column is called and holds: names, types, nullability, titles.
import type { Dtype } from './dtype.ts';

export type ColumnType = FlatType | Utf8Type | ListType;
export interface FlatType {
  readonly kind: 'flat';
  readonly dtype: Dtype;
}
export interface Utf8Type {
  readonly kind: 'utf8';
}
/** `size`: every list has just this many items (a ROOT fixed array, an Arrow fixed-size list). */
export interface ListType {
  readonly kind: 'list';
  readonly item: ColumnType;
  readonly size?: number;
}

export interface Field {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** The branch title: NanoAOD documents itself there. */
  readonly doc?: string;
  /** The column of the same source that counts this list's items (`nJet` of `Jet_pt`). */
  readonly counter?: string;
}

export interface Schema {
  readonly fields: readonly Field[];
}

export const flat = (dtype: Dtype): FlatType => ({ kind: 'flat', dtype });
export const list = (item: ColumnType, size?: number): ListType =>
  size === undefined ? { kind: 'list', item } : { kind: 'list', item, size };
export const utf8: Utf8Type = { kind: 'utf8' };

/** `u64`, `utf8`, `list<f32>`, `f32[3]`: how plans, receipts and messages spell a type. */
export function typeName(type: ColumnType): string {
  if (type.kind === 'flat') return type.dtype;
  if (type.kind === 'utf8') return 'utf8';
  return type.size === undefined ? `list<${typeName(type.item)}>` : `${typeName(type.item)}[${type.size}]`;
}

export function sameType(left: ColumnType, right: ColumnType): boolean {
  return typeName(left) === typeName(right);
}

export function fieldNamed(schema: Schema, name: string): Field | undefined {
  return schema.fields.find((field) => field.name === name);
}
