// Owns evaluating a checked --where expression over arrays of rows.
import type { Column } from '../../core/column.ts';
import type { Checked } from '../../core/where/check.ts';
import { isNarrow, type ValueType } from '../../core/where/value-type.ts';
import {
  absolute,
  COMPARE,
  COMPUTE,
  compareBig,
  computeBig,
  negate,
  noMinusZero,
  remainders,
  SMALL_DIVISOR,
  toSingle,
} from './loops.ts';
import { reduceLists } from './reduce.ts';
import {
  type BigArray,
  bigsOf,
  bothValid,
  doublesOf,
  firstUnlike,
  isBig,
  spreadOver,
  type Vector,
  vectorOf,
} from './vectors.ts';

export interface RowsAtHand {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
  /** Constants of the expression as they were spread over rows before. */
  readonly constants: Map<Checked, Vector['data']>;
  /** Lists of different lengths meet in a row: does not return. */
  readonly refuse: (row: number, left: string, right: string) => never;
}

/** 1 where the term is true: false and missing are both 0. */
export function evaluateTerm(term: Checked, at: RowsAtHand): Uint8Array {
  const { data, valid } = evaluate(term, at);
  const truth = data as Uint8Array;
  if (valid === undefined) return truth;
  const out = new Uint8Array(truth.length);
  for (let i = 0; i < out.length; i++) out[i] = truth[i]! & valid[i]!;
  return out;
}

function evaluate(node: Checked, at: RowsAtHand): Vector {
  switch (node.kind) {
    case 'constant':
      return { data: constantOf(node, at) };
    case 'column':
      return vectorOf(at.columns.get(node.name)!);
    case 'not': {
      const of = evaluate(node.of, at);
      return { ...of, data: not(of.data as Uint8Array) };
    }
    case 'minus': {
      const of = evaluate(node.of, at);
      if (isBig(of.data)) return { ...of, data: Array.from(of.data, (value) => -value) };
      const data = negate(doublesOf(of.data));
      if (node.type.kind === 'int') noMinusZero(data);
      return { ...of, data };
    }
    case 'compare':
      return compare(node, at);
    case 'arithmetic':
      return compute(node, at);
    case 'logic':
      return node.type.list === undefined ? logicOfRows(node, at) : logicOfItems(node, at);
    case 'call': {
      const of = evaluate(node.of, at);
      if (node.name !== 'abs') return reduceLists(node.name, of, node.of.type);
      const big = (values: BigArray) => Array.from(values, (value) => (value < 0n ? -value : value));
      return { ...of, data: isBig(of.data) ? big(of.data) : absolute(doublesOf(of.data)) };
    }
  }
}

/** As often as there are rows: of what was spread over more before, a part. */
function constantOf(
  node: Checked & { readonly kind: 'constant' },
  { rows, constants }: Pick<RowsAtHand, 'rows' | 'constants'>,
  single = false,
): Vector['data'] {
  const known = constants.get(node);
  if (known instanceof Float64Array && known.length >= rows) return known.subarray(0, rows);
  const { value } = node;
  const made = constant(single && typeof value !== 'boolean' ? Math.fround(Number(value)) : value, rows);
  constants.set(node, made);
  return made;
}

function constant(value: bigint | number | boolean, rows: number): Vector['data'] {
  if (typeof value === 'boolean') return new Uint8Array(rows).fill(value ? 1 : 0);
  const double = Number(value);
  if (typeof value === 'bigint' && !Number.isSafeInteger(double)) return new Array<bigint>(rows).fill(value);
  return new Float64Array(rows).fill(double);
}

function not(truth: Uint8Array): Uint8Array {
  const out = new Uint8Array(truth.length);
  for (let i = 0; i < out.length; i++) out[i] = truth[i]! ^ 1;
  return out;
}

type Pair = Checked & { readonly left: Checked; readonly right: Checked };

interface Met {
  readonly left: Vector['data'];
  readonly right: Vector['data'];
  readonly offsets: Int32Array | undefined;
  readonly valid: Uint8Array | undefined;
}

/** Which sides are wanted as an f32: those beside one. */
interface Singles {
  readonly left: boolean;
  readonly right: boolean;
}

/** Both sides with as many values: what there is once a row is put beside every item, and a constant beside everything. */
function meet({ left, right }: Pair, at: RowsAtHand, singles: Singles = { left: false, right: false }): Met {
  const [a, b] = [left, right].map((node) => (node.kind === 'constant' ? undefined : evaluate(node, at)));
  const valid = bothValid(a?.valid, b?.valid);
  const offsets = a?.offsets ?? b?.offsets;
  if (a?.offsets !== undefined && b?.offsets !== undefined) {
    const row = firstUnlike(a.offsets, b.offsets);
    if (row >= 0) at.refuse(row, left.type.list!.of, right.type.list!.of);
  }
  const values = (node: Checked, vector: Vector | undefined, single: boolean) => {
    if (node.kind === 'constant') return constantOf(node, { ...at, rows: offsets?.at(-1) ?? at.rows }, single);
    const { data, offsets: own } = vector!;
    return offsets === undefined || own !== undefined ? data : spreadOver(offsets, data);
  };
  return { left: values(left, a, singles.left), right: values(right, b, singles.right), offsets, valid };
}

/** A number as written beside f32 is an f32 (numpy 2): `pt > 30.1` compares with the f32 nearest to 30.1. */
function numbersOf(data: Vector['data'], { kind, type }: Checked, single: boolean): Float64Array {
  const doubles = doublesOf(data);
  if (!single || !type.weak || kind === 'constant') return doubles; // a constant was made as one
  const out = doubles.slice();
  toSingle(out);
  return out;
}

const isSingle = (type: ValueType): boolean => type.kind === 'float' && type.bits === 32 && !type.weak;
const isInteger = (type: ValueType): boolean => type.kind !== 'float';

function compare(node: Pair & { readonly kind: 'compare' }, at: RowsAtHand): Vector {
  const [own, other] = [node.left.type, node.right.type];
  const singles = { left: isSingle(other), right: isSingle(own) };
  const { left, right, offsets, valid } = meet(node, at, singles);
  const out = new Uint8Array(left.length);
  if (isInteger(own) && isInteger(other) && (isBig(left) || isBig(right))) {
    compareBig(node.op, bigsOf(left), bigsOf(right), out);
  } else {
    COMPARE[node.op](numbersOf(left, node.left, singles.left), numbersOf(right, node.right, singles.right), out);
  }
  return { data: out, offsets, valid };
}

function compute(node: Pair & { readonly kind: 'arithmetic' }, at: RowsAtHand): Vector {
  const { op, type } = node;
  const single = type.kind === 'float' && type.bits === 32;
  const { left, right, offsets, valid } = meet(node, at, { left: single, right: single });
  if (type.kind === 'int' && op !== '/' && (isBig(left) || isBig(right) || !isNarrow(type))) {
    const divisor = op === '%' && node.right.kind === 'constant' ? Number(node.right.value) : Number.POSITIVE_INFINITY;
    if (left instanceof BigUint64Array && divisor < SMALL_DIVISOR)
      return { data: remainders(left, divisor), offsets, valid };
    const exact = computeBig(op, bigsOf(left), bigsOf(right));
    return { data: isNarrow(type) ? doublesOf(exact) : exact, offsets, valid };
  }
  const out = new Float64Array(left.length);
  COMPUTE[op](numbersOf(left, node.left, single), numbersOf(right, node.right, single), out);
  if (single) toSingle(out);
  if (type.kind === 'int') noMinusZero(out);
  return { data: out, offsets, valid };
}

/** Three-valued, as in SQL: false and missing is false, true or missing is true, else missing is missing. */
function logicOfRows(node: Pair & { readonly kind: 'logic' }, at: RowsAtHand): Vector {
  const [left, right] = [evaluate(node.left, at), evaluate(node.right, at)];
  const [a, b] = [left.data as Uint8Array, right.data as Uint8Array];
  const data = node.op === 'and' ? both(a, b) : either(a, b);
  if (left.valid === undefined && right.valid === undefined) return { data };
  const decides = node.op === 'and' ? 0 : 1;
  const valid = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const here = left.valid?.[i] !== 0;
    const there = right.valid?.[i] !== 0;
    const decided = (here && a[i] === decides) || (there && b[i] === decides);
    valid[i] = decided || (here && there) ? 1 : 0;
    if (decided) data[i] = decides;
  }
  return { data, valid };
}

/** A row in which either list is missing is missing. */
function logicOfItems(node: Pair & { readonly kind: 'logic' }, at: RowsAtHand): Vector {
  const { left, right, offsets, valid } = meet(node, at);
  const [a, b] = [left as Uint8Array, right as Uint8Array];
  return { data: node.op === 'and' ? both(a, b) : either(a, b), offsets, valid };
}

function both(left: Uint8Array, right: Uint8Array): Uint8Array {
  const out = new Uint8Array(left.length);
  for (let i = 0; i < out.length; i++) out[i] = left[i]! & right[i]!;
  return out;
}

function either(left: Uint8Array, right: Uint8Array): Uint8Array {
  const out = new Uint8Array(left.length);
  for (let i = 0; i < out.length; i++) out[i] = left[i]! | right[i]!;
  return out;
}
