// Owns the way from a Parquet schema tree to columns: one column a leaf, lists nested, structs flattened with dots.
// List rules: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
import type { Dtype } from '../../core/dtype.ts';
import { ConvertedType, LogicalType, PhysicalType, Repetition } from '../../core/parquet-format.ts';
import { type ColumnType, flat, list, utf8 } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';
import type { SchemaElement } from './footer.ts';
import { damaged } from './thrift.ts';

/** How stored values become column values; `decimal` are big-endian two's complement integers of scale 0. */
export type LeafStorage = 'same' | 'narrow' | 'decimal';

export interface Leaf {
  /** Place among the file's leaves: which chunk of a row group is its. */
  readonly index: number;
  readonly name: string;
  readonly path: readonly string[];
  readonly physical: number;
  /** Bytes of a FIXED_LEN_BYTE_ARRAY value. */
  readonly typeBytes: number;
  readonly storage: LeafStorage;
  /** Type of the innermost items. */
  readonly item: ColumnType;
  readonly type: ColumnType;
  readonly nullable: boolean;
  readonly defMax: number;
  /** Per list level from the outside, the definition level from which on an item is there. */
  readonly repeatedDefs: readonly number[];
}

export interface LeafSchema {
  /** The path of every leaf of the file, readable or not. */
  readonly paths: readonly (readonly string[])[];
  readonly leaves: readonly Leaf[];
  readonly unreadable: readonly UnreadableColumn[];
}

/** Levels are kept in a byte each; real schemas stay below ten. */
const DEPTH_MAX = 64;

interface Node {
  readonly element: SchemaElement;
  readonly children: readonly Node[];
}

/** What is known on the way down to a leaf. */
interface Trail {
  readonly path: readonly string[];
  /** The parts of the column's name: the path without the wrappers of lists. */
  readonly names: readonly string[];
  readonly def: number;
  readonly repeatedDefs: readonly number[];
  /** Set below a map or another thing that has no column form. */
  readonly refused?: { readonly type: string; readonly reason: string } | undefined;
}

interface Build {
  readonly paths: (readonly string[])[];
  readonly leaves: Leaf[];
  readonly unreadable: UnreadableColumn[];
  readonly seen: Set<string>;
}

export function leavesOf(elements: readonly SchemaElement[]): LeafSchema {
  const root = buildTree(elements);
  const build: Build = { paths: [], leaves: [], unreadable: [], seen: new Set() };
  for (const child of root.children) {
    visit(child, { path: [], names: [], def: 0, repeatedDefs: [] }, true, build);
  }
  return { paths: build.paths, leaves: build.leaves, unreadable: build.unreadable };
}

function buildTree(elements: readonly SchemaElement[]): Node {
  let next = 0;
  const take = (depth: number): Node => {
    const element = elements[next++];
    if (element === undefined) throw damaged('the schema ends too early');
    if (depth > DEPTH_MAX) throw damaged(`the schema nests more than ${DEPTH_MAX} deep`);
    if (element.children > elements.length - next) throw damaged('the schema ends too early');
    return { element, children: Array.from({ length: element.children }, () => take(depth + 1)) };
  };
  const root = take(0);
  if (next !== elements.length) throw damaged(`the schema has ${elements.length - next} elements too many`);
  return root;
}

/** `named`: the element gives its name to the columns below (list wrappers do not). */
function visit(node: Node, above: Trail, named: boolean, build: Build): void {
  const { element } = node;
  const optional = element.repetition === Repetition.OPTIONAL;
  const repeated = element.repetition === Repetition.REPEATED;
  const def = above.def + (optional || repeated ? 1 : 0);
  const trail: Trail = {
    path: [...above.path, element.name],
    names: named ? [...above.names, element.name] : above.names,
    def,
    repeatedDefs: repeated ? [...above.repeatedDefs, def] : above.repeatedDefs,
    refused: above.refused ?? refusedGroup(node),
  };
  if (element.type !== undefined) addLeaf(element, trail, build);
  else if (isList(element) && node.children.length === 1) visitList(node.children[0]!, trail, build);
  else for (const child of node.children) visit(child, trail, true, build);
}

/** The repeated child of a LIST group: the item itself (2-level, as old writers did) or a wrapper around it (3-level). */
function visitList(repeated: Node, above: Trail, build: Build): void {
  const only = repeated.children.length === 1 ? repeated.children[0]! : undefined;
  if (repeated.element.repetition !== Repetition.REPEATED) {
    visit(repeated, above, true, build);
    return;
  }
  const listName = above.path.at(-1)!;
  const { name } = repeated.element;
  const isItem =
    only === undefined ||
    only.element.repetition === Repetition.REPEATED ||
    isList(repeated.element) ||
    isMap(repeated.element) ||
    ((name === 'array' || name === `${listName}_tuple`) && !usualItemName(only));
  if (isItem) {
    visit(repeated, above, false, build);
    return;
  }
  const def = above.def + 1;
  const trail = {
    ...above,
    path: [...above.path, name],
    def,
    repeatedDefs: [...above.repeatedDefs, def],
  };
  visit(only, trail, false, build);
}

/** The rule for `array` is about structs of one field; a field called as list items are is no struct. */
function usualItemName(node: Node): boolean {
  return ['element', 'item', 'array', 'array_element'].includes(node.element.name);
}

function isList(element: SchemaElement): boolean {
  return element.converted === ConvertedType.LIST || element.logical?.id === LogicalType.LIST;
}

function isMap(element: SchemaElement): boolean {
  return (
    element.converted === ConvertedType.MAP ||
    element.converted === ConvertedType.MAP_KEY_VALUE ||
    element.logical?.id === LogicalType.MAP
  );
}

const GROUP_TYPES_READ: readonly number[] = [0, LogicalType.LIST];
const LOGICAL_NAMES: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(LogicalType).map(([name, id]) => [id, name.toLowerCase()])),
  16: 'variant',
  17: 'geometry',
  18: 'geography',
};

function refusedGroup({ element }: Node): Trail['refused'] {
  if (element.type !== undefined) return undefined;
  if (isMap(element)) return { type: 'map', reason: 'maps have no column form' };
  const id = element.logical?.id ?? 0;
  if (GROUP_TYPES_READ.includes(id)) return undefined;
  return { type: LOGICAL_NAMES[id] ?? `logical type ${id}`, reason: 'this logical type has no column form' };
}

function addLeaf(element: SchemaElement, trail: Trail, build: Build): void {
  const index = build.paths.length;
  build.paths.push(trail.path);
  const name = trail.names.join('.');
  const value = trail.refused ?? valueType(element);
  if ('reason' in value) {
    build.unreadable.push({ name, type: value.type, reason: value.reason });
    return;
  }
  if (build.seen.has(name)) {
    build.unreadable.push({ name, type: physicalName(element), reason: 'another column has this name' });
    return;
  }
  build.seen.add(name);
  const { repeatedDefs, def } = trail;
  build.leaves.push({
    index,
    name,
    path: trail.path,
    physical: element.type!,
    typeBytes: element.typeBytes,
    storage: value.storage,
    item: value.item,
    type: repeatedDefs.reduce<ColumnType>((item) => list(item), value.item),
    nullable: repeatedDefs.length > 0 ? repeatedDefs[0]! > 1 : def > 0,
    defMax: def,
    repeatedDefs,
  });
}

type ValueType =
  | { readonly item: ColumnType; readonly storage: LeafStorage }
  | { readonly type: string; readonly reason: string };

const same = (item: ColumnType): ValueType => ({ item, storage: 'same' });

function valueType(element: SchemaElement): ValueType {
  const decimal = decimalOf(element);
  if (decimal !== undefined) return decimalType(element, decimal.scale, decimal.precision);
  const refused = refusedValue(element);
  if (refused !== undefined) return refused;
  switch (element.type) {
    case PhysicalType.BOOLEAN:
      return same(flat('bool'));
    case PhysicalType.INT32:
      return integerType(element, 32);
    case PhysicalType.INT64:
      return integerType(element, 64);
    case PhysicalType.FLOAT:
      return same(flat('f32'));
    case PhysicalType.DOUBLE:
      return same(flat('f64'));
    case PhysicalType.BYTE_ARRAY:
      return isText(element) ? same(utf8) : { type: 'binary', reason: 'it has no string annotation' };
    case PhysicalType.FIXED_LEN_BYTE_ARRAY:
      return { type: `binary[${element.typeBytes}]`, reason: 'bytes of fixed length have no column form' };
    case PhysicalType.INT96:
      return { type: 'int96', reason: 'it is a time stamp of old writers' };
    default:
      return { type: `physical type ${element.type}`, reason: 'it is not part of the format' };
  }
}

const REFUSED_LOGICAL: readonly number[] = [
  LogicalType.DATE,
  LogicalType.TIME,
  LogicalType.TIMESTAMP,
  LogicalType.UNKNOWN,
  LogicalType.BSON,
  LogicalType.UUID,
  LogicalType.FLOAT16,
];
const REFUSED_CONVERTED: Readonly<Record<number, string>> = {
  [ConvertedType.DATE]: 'date',
  [ConvertedType.TIME_MILLIS]: 'time',
  [ConvertedType.TIME_MICROS]: 'time',
  [ConvertedType.TIMESTAMP_MILLIS]: 'timestamp',
  [ConvertedType.TIMESTAMP_MICROS]: 'timestamp',
  [ConvertedType.BSON]: 'bson',
  [ConvertedType.INTERVAL]: 'interval',
};

function refusedValue({ logical, converted }: SchemaElement): ValueType | undefined {
  const reason = 'this logical type has no column form';
  if (logical !== undefined && logical.id !== 0) {
    const id = logical.id;
    const known = id <= LogicalType.FLOAT16 && !REFUSED_LOGICAL.includes(id);
    return known ? undefined : { type: LOGICAL_NAMES[id] ?? `logical type ${id}`, reason };
  }
  const name = converted === undefined ? undefined : REFUSED_CONVERTED[converted];
  return name === undefined ? undefined : { type: name, reason };
}

function isText({ logical, converted }: SchemaElement): boolean {
  const textLogical: readonly number[] = [LogicalType.STRING, LogicalType.ENUM, LogicalType.JSON];
  const textConverted: readonly number[] = [ConvertedType.UTF8, ConvertedType.ENUM, ConvertedType.JSON];
  if (logical !== undefined && textLogical.includes(logical.id)) return true;
  return converted !== undefined && textConverted.includes(converted);
}

const CONVERTED_INTEGERS: Readonly<Record<number, Dtype>> = {
  [ConvertedType.UINT_8]: 'u8',
  [ConvertedType.UINT_16]: 'u16',
  [ConvertedType.UINT_32]: 'u32',
  [ConvertedType.UINT_64]: 'u64',
  [ConvertedType.INT_8]: 'i8',
  [ConvertedType.INT_16]: 'i16',
  [ConvertedType.INT_32]: 'i32',
  [ConvertedType.INT_64]: 'i64',
};

function integerType({ logical, converted }: SchemaElement, bits: 32 | 64): ValueType {
  let dtype: Dtype | undefined = bits === 32 ? 'i32' : 'i64';
  if (logical?.id === LogicalType.INTEGER) dtype = integerDtype(logical.bits, logical.signed);
  else if (converted !== undefined) dtype = CONVERTED_INTEGERS[converted] ?? dtype;
  const stored = dtype === undefined ? 0 : dtype.endsWith('64') ? 64 : 32;
  if (dtype === undefined || stored !== bits) {
    return { type: dtype ?? `integer of ${logical?.bits} bits`, reason: `it is stored in ${bits} bits` };
  }
  const narrow = !dtype.endsWith('32') && !dtype.endsWith('64');
  return { item: flat(dtype), storage: narrow ? 'narrow' : 'same' };
}

function integerDtype(bits: number, signed: boolean): Dtype | undefined {
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64) return undefined;
  return `${signed ? 'i' : 'u'}${bits}`;
}

function decimalOf(element: SchemaElement): { readonly scale: number; readonly precision: number } | undefined {
  if (element.logical?.id === LogicalType.DECIMAL) return element.logical;
  return element.converted === ConvertedType.DECIMAL ? element : undefined;
}

/** The type follows from the precision alone: 18 digits fit i64, and 20 are what Spark makes of an unsigned 64-bit integer. */
function decimalType(element: SchemaElement, scale: number, precision: number): ValueType {
  const type = `decimal(${precision},${scale})`;
  if (scale !== 0) return { type, reason: 'only decimals without a fraction are integers' };
  if (element.type === PhysicalType.INT32) return same(flat('i32'));
  if (element.type === PhysicalType.INT64) return same(flat('i64'));
  if (element.type !== PhysicalType.BYTE_ARRAY && element.type !== PhysicalType.FIXED_LEN_BYTE_ARRAY) {
    return { type, reason: `it is stored as physical type ${element.type}` };
  }
  if (precision > 20) return { type, reason: 'it has more than 20 digits' };
  return { item: flat(precision <= 18 ? 'i64' : 'u64'), storage: 'decimal' };
}

function physicalName({ type }: SchemaElement): string {
  const found = Object.entries(PhysicalType).find(([, id]) => id === type);
  return found === undefined ? `physical type ${type}` : found[0].toLowerCase();
}
