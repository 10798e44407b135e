// Owns the step from fields and columns of the file to our schema: which columns there are, and what each is made of.
import type { Dtype } from '../../core/dtype.ts';
import { type ColumnType, type Field, flat, list, type Schema, utf8 } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';
import { damaged } from './cursor.ts';
import { ENCODINGS, encodingName, gives } from './encodings.ts';
import type { Node } from './layout.ts';
import { type ColumnRecord, DEPTH_MAX, type FieldRecord, Role, type SchemaRecords } from './schema-records.ts';

export interface Described {
  readonly schema: Schema;
  readonly nodes: readonly (readonly [name: string, node: Node])[];
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

const DTYPES: Readonly<Record<string, Dtype>> = {
  bool: 'bool',
  char: 'i8',
  'std::byte': 'u8',
  'std::int8_t': 'i8',
  'std::uint8_t': 'u8',
  'std::int16_t': 'i16',
  'std::uint16_t': 'u16',
  'std::int32_t': 'i32',
  'std::uint32_t': 'u32',
  'std::int64_t': 'i64',
  'std::uint64_t': 'u64',
  float: 'f32',
  double: 'f64',
};
const OPTIONAL = /^std::(optional|unique_ptr)</;
const CARDINALITY = /^ROOT::RNTupleCardinality<(?:std::)?uint(32|64)_t>$/;
/** How a record names the members of a class that it inherits from: they are members like its own. */
const BASE_CLASS = /^:_\d+$/;
const ARRAY_ITEMS_MAX = 2 ** 31 - 1;

interface Build {
  readonly fields: readonly FieldRecord[];
  readonly columns: readonly ColumnRecord[];
  readonly children: readonly (readonly FieldRecord[])[];
  /** Per field and representation, its columns, physical or lent by another field. */
  readonly columnsOf: readonly (readonly (readonly number[])[])[];
  readonly unreadable: UnreadableColumn[];
}

/** A part of a field that becomes a column: `name` is what is appended to the names around it. */
interface Part {
  readonly name: string;
  /** The same with the classes that members are inherited from: what tells members of one name apart. */
  readonly full: string;
  readonly node: Node;
  readonly type: ColumnType;
}

/** What is around a field. */
interface Around {
  /** The name so far. */
  readonly name: string;
  readonly depth: number;
  readonly inList: boolean;
}

export function describeFields(records: SchemaRecords): Described {
  const { fields, columns } = records;
  const children: FieldRecord[][] = fields.map(() => []);
  for (const field of fields) if (field.parent !== field.id) children[field.parent]!.push(field);
  const build: Build = { fields, columns, children, columnsOf: groupColumns(records), unreadable: [] };
  const redundant = shownElsewhere(build, records);
  const nodes = new Map<string, Node>();
  const out: Field[] = [];
  for (const field of fields) {
    if (field.parent !== field.id || redundant.has(field.id)) continue;
    for (const { name, node, type } of named(partsOf(field, { name: field.name, depth: 0, inList: false }, build))) {
      const full = field.name + name;
      if (nodes.has(full)) {
        build.unreadable.push({ name: full, type: field.type, reason: 'an earlier column has the same name' });
        continue;
      }
      nodes.set(full, node);
      out.push(fieldOf({ name: full, node, type, doc: field.doc }));
    }
  }
  return {
    schema: { fields: withCounters(out, nodes) },
    nodes: [...nodes],
    unreadable: build.unreadable,
    redundant: [...redundant].map((id) => fields[id]!.name),
  };
}

/** A class's own member keeps its name; inherited ones that share it are called by their class, as `x.Base::y`. */
function named(parts: readonly Part[]): Part[] {
  const counts = new Map<string, number>();
  for (const { name } of parts) counts.set(name, (counts.get(name) ?? 0) + 1);
  return parts.map((part) => (counts.get(part.name)! > 1 ? { ...part, name: part.full } : part));
}

function fieldOf({ name, node, type, doc }: Omit<Part, 'full'> & { readonly doc: string }): Field {
  const nullable = node.kind === 'optional';
  return doc === '' ? { name, type, nullable } : { name, type, nullable, doc };
}

/** The counter of a list is the column that counts by the same index column. */
function withCounters(fields: readonly Field[], nodes: ReadonlyMap<string, Node>): Field[] {
  const counters = new Map<number, string>();
  for (const [name, node] of nodes) {
    if (node.kind === 'count' && !counters.has(node.index[0]!)) counters.set(node.index[0]!, name);
  }
  return fields.map((field) => {
    const node = nodes.get(field.name)!;
    const counter = node.kind === 'list' ? counters.get(node.index[0]!) : undefined;
    return counter === undefined ? field : { ...field, counter };
  });
}

function groupColumns({ fields, columns, aliases }: SchemaRecords): number[][][] {
  const grouped: number[][][] = fields.map(() => []);
  const add = (field: number, { id, representation }: ColumnRecord) => {
    const group = grouped[field]!;
    if (representation > group.length) throw damaged('representations of a field do not follow each other');
    if (representation === group.length) group.push([]);
    group[representation]!.push(id);
  };
  for (const column of columns) add(column.field, column);
  for (const { field, column } of aliases) add(field, columns[column]!);
  return grouped;
}

/**
 * RNTupleImporter puts lists with one counter into a collection without a type, and shows each under its own name: the
 * collection says nothing more then.
 */
function shownElsewhere(build: Build, { aliases }: SchemaRecords): Set<number> {
  const lent = new Set(aliases.map(({ column }) => column));
  const ids = build.fields
    .filter(({ id, parent, role, type }) => parent === id && role === Role.collection && type === '')
    .map(({ id }) => id)
    .filter((id) => {
      const own = columnsBelow(id, build, 0);
      return own.length > 0 && own.every((column) => lent.has(column));
    });
  return new Set(ids);
}

function columnsBelow(id: number, build: Build, depth: number): number[] {
  if (depth > DEPTH_MAX) throw damaged('fields are nested too deep');
  return [
    ...build.columnsOf[id]!.flat(),
    ...build.children[id]!.flatMap((child) => columnsBelow(child.id, build, depth + 1)),
  ];
}

/** The columns that a field gives, without those that cannot be read, which go to the list of them. */
function partsOf(field: FieldRecord, around: Around, build: Build): Part[] {
  if (around.depth > DEPTH_MAX) throw damaged('fields are nested too deep');
  switch (field.role) {
    case Role.leaf:
      return leafParts(field, around, build);
    case Role.collection:
      return collectionParts(field, around, build);
    case Role.record:
      return build.children[field.id]!.flatMap((member) => memberParts(member, around, build));
    case Role.variant:
      return refuse(field, around, build, 'values of several types in one field have no column form');
    case Role.streamer:
      return refuse(field, around, build, 'it holds objects written by the ROOT streamer');
    default:
      return refuse(field, around, build, `its structure (${field.role}) is not known`);
  }
}

function memberParts(member: FieldRecord, around: Around, build: Build): Part[] {
  const inherited = BASE_CLASS.test(member.name);
  const suffix = inherited ? '' : `.${member.name}`;
  const inside = { ...around, name: around.name + suffix, depth: around.depth + 1 };
  return partsOf(member, inside, build).map((part) => ({
    ...part,
    name: suffix + part.name,
    full: inherited ? `.${member.type}::${part.full.slice(1)}` : suffix + part.full,
  }));
}

function refuse(field: FieldRecord, { name }: Around, build: Build, reason: string): Part[] {
  build.unreadable.push({ name, type: field.type === '' ? 'untyped' : field.type, reason });
  return [];
}

function leafParts(field: FieldRecord, around: Around, build: Build): Part[] {
  const { repetition } = field;
  const below = build.children[field.id]!;
  const inside = { ...around, depth: around.depth + 1, inList: around.inList || repetition > 0 };
  if (repetition > ARRAY_ITEMS_MAX) return refuse(field, around, build, `it has ${repetition} items`);
  // an array of anything, an atomic, an enum: what there is, is in the only field below
  const parts = below.length === 1 ? partsOf(below[0]!, inside, build) : valueParts(field, around, build);
  if (repetition === 0) return parts;
  return parts.map(({ name, full, node, type }) => ({
    name,
    full,
    node: { kind: 'array', size: repetition, item: node },
    type: list(type, repetition),
  }));
}

function valueParts(field: FieldRecord, around: Around, build: Build): Part[] {
  const columns = build.columnsOf[field.id]!;
  if (columns.length === 0) return refuse(field, around, build, 'it has no column');
  const wrong = (reason: string) => refuse(field, around, build, reason);
  const cardinality = CARDINALITY.exec(field.type);
  const text = field.type === 'std::string';
  if (columns.some((group) => group.length !== (text ? 2 : 1))) return wrong('its columns are not what its type has');
  const first = columns.map((group) => group[0]!);
  if (text) {
    const bytes = columns.map((group) => group[1]!);
    const problem = unfit(first, isIndex, build) ?? unfit(bytes, (type) => ENCODINGS[type]?.name === 'Char', build);
    if (problem !== undefined) return wrong(problem);
    return [{ name: '', full: '', node: { kind: 'text', index: first, bytes }, type: utf8 }];
  }
  if (cardinality) {
    const problem = unfit(first, isIndex, build);
    if (problem !== undefined) return wrong(problem);
    const dtype = cardinality[1] === '64' ? 'u64' : 'u32';
    return [{ name: '', full: '', node: { kind: 'count', index: first, dtype }, type: flat(dtype) }];
  }
  const dtype = /^std::bitset</.test(field.type) ? 'bool' : DTYPES[field.type];
  if (dtype === undefined) return wrong('values of this type cannot be decoded');
  const problem = unfit(first, (type) => ENCODINGS[type] !== undefined && gives(ENCODINGS[type], dtype), build);
  if (problem !== undefined) return wrong(problem);
  return [{ name: '', full: '', node: { kind: 'leaf', dtype, columns: first }, type: flat(dtype) }];
}

const isIndex = (type: number) => ENCODINGS[type]?.element === 'index';

/** Why a column is not what is wanted of it. */
function unfit(ids: readonly number[], fits: (type: number) => boolean, { columns }: Build): string | undefined {
  for (const id of ids) {
    const { type, bits } = columns[id]!;
    if (!fits(type)) return `it is stored as ${encodingName(type)}`;
    const [least, most] = ENCODINGS[type]!.bits;
    if (bits < least || bits > most) return `it is stored as ${encodingName(type)} of ${bits} bits`;
  }
  return undefined;
}

function collectionParts(field: FieldRecord, around: Around, build: Build): Part[] {
  const columns = build.columnsOf[field.id]!;
  const below = build.children[field.id]!;
  if (below.length !== 1 || columns.length === 0 || columns.some((group) => group.length !== 1)) {
    return refuse(field, around, build, 'it is not a collection of one kind of item');
  }
  const index = columns.map((group) => group[0]!);
  const problem = unfit(index, isIndex, build);
  if (problem !== undefined) return refuse(field, around, build, problem);
  const optional = OPTIONAL.test(field.type);
  if (optional && around.inList)
    return refuse(field, around, build, 'a list of values that can miss has no column form');
  const inside = { ...around, depth: around.depth + 1, inList: !optional || around.inList };
  return partsOf(below[0]!, inside, build).flatMap(({ name, full, node, type }): Part[] => {
    if (!optional) return [{ name, full, node: { kind: 'list', index, item: node }, type: list(type) }];
    if (node.kind === 'optional' || (type.kind === 'list' && type.size !== undefined)) {
      const inner = { ...around, name: around.name + name };
      return refuse(field, inner, build, 'an array or an optional that can miss has no column form');
    }
    return [{ name, full, node: { kind: 'optional', index, item: node }, type }];
  });
}
