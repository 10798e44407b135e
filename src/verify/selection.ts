// Owns evaluating a receipt's --where again: event by event, with none of the code by which the join selected.
import type { Column, FlatColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import type { ReceiptSelection } from '../core/receipt.ts';
import { type Checked, floatOp, integerOp } from '../core/where/check.ts';
import { compileWhere } from '../core/where/where.ts';
import { readRows } from '../source/dataset.ts';
import type { GivenSource } from './find-sources.ts';
import { type Finding, finding } from './findings.ts';

/** Rows read at a time. */
const CHUNK_ROWS = 1 << 16;

export interface SelectedAgain {
  /** One byte a row of the primary; absent where the primary was not given, or the expression means nothing there. */
  readonly selected?: Uint8Array;
  readonly findings: readonly Finding[];
}

/** The selection, and what differs from the receipt's cut flow. */
export async function selectAgain(
  { where, terms }: ReceiptSelection,
  sources: readonly GivenSource[],
  signal: AbortSignal,
): Promise<SelectedAgain> {
  const primary = sources.find(({ index }) => index === 0);
  if (primary === undefined) return { findings: [] };
  const { dataset } = primary;
  let nodes: readonly Checked[];
  try {
    nodes = compileWhere(where, dataset.descriptor.schema).terms.map(({ node }) => node);
  } catch (error) {
    if (!(error instanceof ColweaveError)) throw error;
    return { findings: [finding('verify/selection-differs', `the selection cannot be repeated: ${error.message}`)] };
  }
  const names = [...new Set(nodes.flatMap(namesIn))];
  const selected = new Uint8Array(dataset.descriptor.rows).fill(1);
  const left = nodes.map(() => 0);
  for (let start = 0; start < selected.length; start += CHUNK_ROWS) {
    const end = Math.min(selected.length, start + CHUNK_ROWS);
    const columns = await readRows(dataset, names, start, end, signal);
    const byName = new Map(names.map((name, i) => [name, columns[i]!]));
    for (let i = 0; i < end - start; i++) {
      for (let t = 0; t < nodes.length && selected[start + i] === 1; t++) {
        if (valueAt(nodes[t]!, byName, i) === true) left[t] = left[t]! + 1;
        else selected[start + i] = 0;
      }
    }
  }
  const wrong = terms.findIndex(({ rows }, t) => rows !== left[t]);
  if (wrong < 0 && terms.length === nodes.length) return { selected, findings: [] };
  const text = `"${terms[wrong]?.term ?? where}" leaves ${left[wrong] ?? 0} events of the primary, the receipt says ${terms[wrong]?.rows ?? 0}`;
  return { selected, findings: [finding('verify/selection-differs', text)] };
}

function namesIn(node: Checked): string[] {
  if (node.kind === 'constant') return [];
  if (node.kind === 'column') return [node.name];
  if ('of' in node) return namesIn(node.of);
  return [...namesIn(node.left), ...namesIn(node.right)];
}

/** Integers are bigint, floats number; null = missing. A list is an array. */
type One = bigint | number | boolean | null;
type Value = One | readonly One[];

export function valueAt(node: Checked, columns: ReadonlyMap<string, Column>, row: number): Value {
  switch (node.kind) {
    case 'constant':
      return node.value;
    case 'column':
      return read(columns.get(node.name)!, row, node.type.kind === 'int');
    case 'not':
      return each(valueAt(node.of, columns, row), (value) => value !== true);
    case 'minus':
      return each(valueAt(node.of, columns, row), (value) => -(value as number));
    case 'call':
      return call(node, valueAt(node.of, columns, row));
    case 'logic': {
      const [left, right] = [valueAt(node.left, columns, row), valueAt(node.right, columns, row)];
      const decides = node.op === 'or';
      if (node.type.list === undefined && (left === decides || right === decides)) return decides;
      return pairs(left, right, (a, b) => (node.op === 'and' ? a === true && b === true : a === true || b === true));
    }
    case 'compare':
      return pairs(valueAt(node.left, columns, row), valueAt(node.right, columns, row), (a, b) => compare(node, a, b));
    case 'arithmetic':
      return pairs(valueAt(node.left, columns, row), valueAt(node.right, columns, row), (a, b) => compute(node, a, b));
  }
}

function read(column: Column, row: number, integer: boolean): Value {
  if (column.valid?.[row] === 0) return null;
  if (column.kind === 'flat') return single(column, row, integer);
  if (column.kind !== 'list') throw new Error('a column of strings in an expression');
  const items: One[] = [];
  for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
    items.push(single(column.items as FlatColumn, i, integer));
  return items;
}

function single({ dtype, values }: FlatColumn, at: number, integer: boolean): One {
  const value = values[at]!;
  if (dtype === 'bool') return integer ? BigInt(value !== 0) : value !== 0;
  return dtype.startsWith('f') ? value : BigInt(value);
}

function each(value: Value, map: (value: One) => One): Value {
  if (value === null) return null;
  return Array.isArray(value) ? value.map(map) : map(value as One);
}

function pairs(left: Value, right: Value, map: (left: One, right: One) => One): Value {
  if (left === null || right === null) return null;
  if (Array.isArray(left)) return left.map((item, i) => map(item, Array.isArray(right) ? right[i] : (right as One)));
  if (Array.isArray(right)) return right.map((item) => map(left as One, item));
  return map(left as One, right as One);
}

type Pair = Checked & { readonly left: Checked; readonly right: Checked };

/** A number as written beside f32 is the nearest f32. */
function asDouble(value: One, own: Checked, single: boolean): number {
  const double = Number(value);
  return own.type.weak && single ? Math.fround(double) : double;
}

function isSingle({ type }: Checked): boolean {
  return type.kind === 'float' && type.bits === 32 && !type.weak;
}

function compare(node: Pair & { readonly kind: 'compare' }, left: One, right: One): boolean {
  const floats = node.left.type.kind === 'float' || node.right.type.kind === 'float';
  const a = floats ? asDouble(left, node.left, isSingle(node.right)) : BigInt(left as bigint);
  const b = floats ? asDouble(right, node.right, isSingle(node.left)) : BigInt(right as bigint);
  switch (node.op) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '==':
      return a === b;
    case '!=':
      return a !== b;
  }
}

function compute(node: Pair & { readonly kind: 'arithmetic' }, left: One, right: One): One {
  const { op, type } = node;
  if (type.kind === 'int' && op !== '/') return integerOp(op, BigInt(left as bigint), BigInt(right as bigint));
  const narrow = type.kind === 'float' && type.bits === 32;
  const value = floatOp(op, asDouble(left, node.left, narrow), asDouble(right, node.right, narrow));
  return narrow ? Math.fround(value) : value;
}

function call({ name, of: { type } }: Checked & { readonly kind: 'call' }, value: Value): Value {
  if (name === 'abs')
    return each(value, (one) => (typeof one === 'bigint' ? (one < 0n ? -one : one) : Math.abs(one as number)));
  if (value === null) return null;
  const items = value as readonly One[];
  const trues = items.filter((item) => item === true).length;
  switch (name) {
    case 'any':
      return trues > 0;
    case 'all':
      return trues === items.length;
    case 'count':
      return BigInt(trues);
    case 'len':
    case 'n':
      return BigInt(items.length);
    case 'sum':
      if (type.kind === 'bool') return BigInt(trues);
      if (type.kind === 'int') return (items as readonly bigint[]).reduce((sum, item) => sum + item, 0n);
      return (items as readonly number[]).reduce(
        (sum, item) => (type.bits === 32 ? Math.fround(sum + item) : sum + item),
        0,
      );
    case 'min':
    case 'max': {
      if (items.length === 0) return null;
      if (type.kind !== 'int') return Math[name](...(items as readonly number[]));
      return (items as readonly bigint[]).reduce((best, item) =>
        (name === 'max' ? item > best : item < best) ? item : best,
      );
    }
  }
}
