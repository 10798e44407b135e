// Owns the way from an Arrow schema to columns: one column a leaf, structs flattened with dots, as the Parquet reader does.
import type { Field as ArrowField, DataType } from 'apache-arrow';
import type { Dtype } from '../../core/dtype.ts';
import { type ColumnType, type Field, flat, list, utf8 } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';

/** Which child to take at each struct on the way from a field of the schema down to the leaf. */
export interface ArrowLeaf {
  readonly field: Field;
  readonly root: number;
  readonly steps: readonly number[];
}

export interface ArrowLeaves {
  readonly leaves: readonly ArrowLeaf[];
  readonly unreadable: readonly UnreadableColumn[];
}

/** Type ids of Arrow's Schema.fbs (and -1 for dictionaries, apache-arrow's own). */
export const ArrowType = {
  INT: 2,
  FLOAT: 3,
  UTF8: 5,
  BOOL: 6,
  LIST: 12,
  STRUCT: 13,
  FIXED_SIZE_LIST: 16,
  LARGE_UTF8: 20,
  LARGE_LIST: 21,
  UTF8_VIEW: 24,
  DICTIONARY: -1,
} as const;

/** Parts of apache-arrow's types that differ by type id. */
export interface TypeParts {
  readonly typeId: number;
  readonly bitWidth?: number;
  readonly isSigned?: boolean;
  readonly precision?: number;
  readonly dictionary?: DataType;
  readonly listSize?: number;
}

const DEPTH_MAX = 64;

interface Trail {
  readonly name: string;
  readonly root: number;
  readonly steps: readonly number[];
  /** Lists so far. */
  readonly lists: number;
  /** A row, not an item, can be null. */
  readonly nullable: boolean;
  readonly doc: string | undefined;
}

export function arrowLeaves(fields: readonly ArrowField[]): ArrowLeaves {
  const leaves: ArrowLeaf[] = [];
  const unreadable: UnreadableColumn[] = [];
  const seen = new Set<string>();
  const refuse = (name: string, type: string, reason: string) => unreadable.push({ name, type, reason });
  const visit = (field: ArrowField, above: Trail, depth: number): void => {
    const parts = field.type as unknown as TypeParts;
    const trail = {
      ...above,
      nullable: above.nullable || (above.lists === 0 && field.nullable),
      doc: above.doc ?? field.metadata.get('title') ?? field.metadata.get('doc'),
    };
    const children: readonly ArrowField[] = field.type.children ?? [];
    if (depth > DEPTH_MAX) refuse(trail.name, `${field.type}`, 'it nests too deeply');
    else if (parts.typeId === ArrowType.STRUCT) {
      children.forEach((child, i) => {
        visit(child, { ...trail, name: `${trail.name}.${child.name}`, steps: [...trail.steps, i] }, depth + 1);
      });
    } else if (isListType(parts.typeId)) visit(children[0]!, { ...trail, lists: trail.lists + 1 }, depth + 1);
    else {
      const item = itemType(parts);
      if (item === undefined) refuse(trail.name, `${field.type}`.toLowerCase(), 'this type has no column form');
      else if (seen.has(trail.name)) refuse(trail.name, `${field.type}`.toLowerCase(), 'another column has this name');
      else leaves.push(leafOf(trail, item));
      seen.add(trail.name);
    }
  };
  fields.forEach((field, root) => {
    visit(field, { name: field.name, root, steps: [], lists: 0, nullable: false, doc: undefined }, 0);
  });
  return { leaves, unreadable };
}

function leafOf({ name, root, steps, lists, nullable, doc }: Trail, item: ColumnType): ArrowLeaf {
  let type = item;
  for (let i = 0; i < lists; i++) type = list(type);
  return { field: doc === undefined ? { name, type, nullable } : { name, type, nullable, doc }, root, steps };
}

export function isListType(typeId: number): boolean {
  return typeId === ArrowType.LIST || typeId === ArrowType.LARGE_LIST || typeId === ArrowType.FIXED_SIZE_LIST;
}

function itemType(parts: TypeParts): ColumnType | undefined {
  switch (parts.typeId) {
    case ArrowType.BOOL:
      return flat('bool');
    case ArrowType.INT:
      return flat(`${parts.isSigned ? 'i' : 'u'}${parts.bitWidth}` as Dtype);
    case ArrowType.FLOAT:
      return parts.precision === 1 ? flat('f32') : parts.precision === 2 ? flat('f64') : undefined;
    case ArrowType.UTF8:
    case ArrowType.LARGE_UTF8:
    case ArrowType.UTF8_VIEW:
      return utf8;
    case ArrowType.DICTIONARY: {
      const value = parts.dictionary as unknown as TypeParts;
      return value.typeId === ArrowType.DICTIONARY ? undefined : itemType(value);
    }
    default:
      return undefined;
  }
}
