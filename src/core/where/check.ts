// Owns what the parts of a --where expression are: one value an event or a list, truth or number, how wide; nonsense is refused here.
import { fieldNamed, type Schema, typeName } from '../schema.ts';
import { nearestNames } from '../text.ts';
import type { Arithmetic, Comparison, FunctionName, Logic, Node } from './parse.ts';
import { badExpression, type Place } from './tokens.ts';
import {
  arithmeticType,
  asInteger,
  type Collection,
  columnValueType,
  literalInteger,
  sameCollection,
  TRUTH,
  type ValueType,
} from './value-type.ts';

/** A checked expression: every part knows its type; constants are worked out. */
export type Checked = Place & { readonly type: ValueType } & (
    | { readonly kind: 'constant'; readonly value: bigint | number | boolean }
    | { readonly kind: 'column'; readonly name: string }
    | { readonly kind: 'not' | 'minus'; readonly of: Checked }
    | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Checked; readonly right: Checked }
    | { readonly kind: 'arithmetic'; readonly op: Arithmetic; readonly left: Checked; readonly right: Checked }
    | { readonly kind: 'logic'; readonly op: Logic; readonly left: Checked; readonly right: Checked }
    | { readonly kind: 'call'; readonly name: FunctionName; readonly of: Checked }
  );

interface Checker {
  readonly text: string;
  readonly schema: Schema;
  /** Columns that are there and cannot be read. */
  readonly unreadable: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
}

/** Items of one list: a sum of 32-bit numbers stays exact in a double up to here. */
export const SUM_ITEMS_MAX = 2 ** 21;
const LENGTH_MAX = 2n ** 31n;

/**
 * A term of a selection: truth, one an event. Errors: where/expression with the place; for an unknown column the nearest names.
 */
export function checkTerm(node: Node, checker: Checker): Checked {
  const term = check(node, checker);
  const { type } = term;
  const hint = (text: string) => ({ hint: text });
  if (type.kind !== 'bool') {
    throw bad(checker, node, `this is ${a(type)}, not a condition`, hint('compare it, such as with > 0'));
  }
  if (type.list !== undefined) {
    throw bad(
      checker,
      node,
      'this is a condition for each object of a list, not one for the event',
      hint('say any(...), all(...), or count(...) >= 2'),
    );
  }
  if (type.constant) throw bad(checker, node, 'this is the same for every event');
  return term;
}

function bad(
  { text }: Checker,
  place: Place,
  message: string,
  detail: { hint?: string; near?: readonly string[] } = {},
) {
  return badExpression(text, place, message, detail);
}

/** `a number`, `a list of conditions`: how messages name a type. */
function a({ kind, list }: ValueType): string {
  const one = kind === 'bool' ? 'condition' : 'number';
  return list === undefined ? `a ${one}` : `a list of ${one}s`;
}

function check(node: Node, checker: Checker): Checked {
  const { at, end } = node;
  switch (node.kind) {
    case 'integer':
      return { kind: 'constant', value: node.value, type: literalInteger(node.value), at, end };
    case 'float':
      return {
        kind: 'constant',
        value: node.value,
        type: { kind: 'float', bits: 64, weak: true, constant: true },
        at,
        end,
      };
    case 'truth':
      return { kind: 'constant', value: node.value, type: { ...TRUTH, constant: true }, at, end };
    case 'column':
      return checkColumn(node, checker);
    case 'not':
      return checkNot(node, checker);
    case 'minus':
      return checkMinus(node, checker);
    case 'compare':
      return checkComparison(node, checker);
    case 'arithmetic':
      return checkArithmetic(node, checker);
    case 'logic':
      return checkLogic(node, checker);
    case 'call':
      return checkCall(node, checker);
  }
}

type NodeOf<Kind extends Node['kind']> = Node & { readonly kind: Kind };

function checkColumn({ name, at, end }: NodeOf<'column'>, checker: Checker): Checked {
  const field = fieldNamed(checker.schema, name);
  const place = { at, end };
  if (field === undefined) {
    const known = checker.unreadable.find((column) => column.name === name);
    if (known !== undefined)
      throw bad(checker, place, `column "${name}" (${known.type}) cannot be read: ${known.reason}`);
    const names = checker.schema.fields.map((other) => other.name);
    throw bad(checker, place, `the primary has no column "${name}"`, {
      near: nearestNames(name, names),
      hint: 'columns of friends cannot be asked: they are read for the events that are left',
    });
  }
  const type = columnValueType(field);
  if (type === undefined) {
    throw bad(
      checker,
      place,
      `column "${name}" is ${typeName(field.type)}: only numbers, bools and lists of them can be asked`,
    );
  }
  return { kind: 'column', name, type, at, end };
}

function checkNot(node: NodeOf<'not'>, checker: Checker): Checked {
  const of = condition(node.of, checker, 'not');
  return { kind: 'not', of, type: of.type, at: node.at, end: node.end };
}

/** An operand of and, or, not. */
function condition(node: Node, checker: Checker, what: string): Checked {
  const of = check(node, checker);
  if (of.type.kind !== 'bool') {
    throw bad(checker, node, `"${what}" takes conditions, this is ${a(of.type)}`, {
      hint: 'compare it, such as with > 0',
    });
  }
  if (of.type.constant) throw bad(checker, node, 'this is the same for every event');
  return of;
}

function checkMinus(node: NodeOf<'minus'>, checker: Checker): Checked {
  const of = number(node.of, checker, '-');
  const { at, end } = node;
  const { type } = of;
  if (type.kind === 'int') {
    const turned: ValueType = { ...type, low: -type.high, high: -type.low, signed: true };
    if (of.kind === 'constant') return { kind: 'constant', value: -(of.value as bigint), type: turned, at, end };
    return { kind: 'minus', of, type: turned, at, end };
  }
  if (of.kind === 'constant') return { kind: 'constant', value: -(of.value as number), type, at, end };
  return { kind: 'minus', of, type, at, end };
}

/** An operand of arithmetic: a bool counts as 0 or 1. */
function number(node: Node, checker: Checker, what: string): Checked {
  const of = check(node, checker);
  if (of.type.kind !== 'bool') return of;
  if (of.kind !== 'column') {
    throw bad(checker, node, `"${what}" takes numbers, this is ${a(of.type)}`, {
      hint: 'count(...) counts, any(...) asks',
    });
  }
  return { ...of, type: asInteger(of.type) };
}

function checkComparison(node: NodeOf<'compare'>, checker: Checker): Checked {
  const [left, right] = [check(node.left, checker), check(node.right, checker)];
  if (left.type.constant && right.type.constant) throw bad(checker, node, 'both sides are the same for every event');
  for (const [side, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const truth = side.kind === 'constant' && side.type.kind === 'bool';
    if (truth && (other.type.kind !== 'bool' || (node.op !== '==' && node.op !== '!='))) {
      throw bad(checker, side, 'true and false are compared with conditions, by == and !=');
    }
  }
  const list = commonList(node, left.type, right.type, checker);
  return { kind: 'compare', op: node.op, left, right, type: { ...TRUTH, ...list }, at: node.at, end: node.end };
}

/** Lists meet lists of their own collection, item by item; what there is once an event meets every item. */
function commonList(place: Place, left: ValueType, right: ValueType, checker: Checker): { readonly list?: Collection } {
  const lists = [left.list, right.list].filter((list) => list !== undefined);
  if (lists.length === 0) return {};
  if (lists.length === 2 && !sameCollection(lists[0]!, lists[1]!)) {
    const [one, other] = lists.map(({ of }) => of);
    throw bad(checker, place, `lists of different collections, ${one} and ${other}, have no items in common`, {
      hint: 'ask each on its own: any(...) and any(...)',
    });
  }
  return { list: lists[0]! };
}

function checkArithmetic(node: NodeOf<'arithmetic'>, checker: Checker): Checked {
  const { op, at, end } = node;
  const [left, right] = [number(node.left, checker, op), number(node.right, checker, op)];
  if (op === '%') {
    if (left.type.kind !== 'int') throw bad(checker, node.left, '% takes integers');
    if (right.kind !== 'constant' || typeof right.value !== 'bigint' || right.value < 1n) {
      throw bad(checker, node.right, 'what stands behind % is a whole number from 1');
    }
  }
  if (op === '/' && right.kind === 'constant' && Number(right.value) === 0)
    throw bad(checker, node, 'this divides by zero');
  const type: ValueType = {
    ...arithmeticType(op, left.type, right.type),
    ...commonList(node, left.type, right.type, checker),
  };
  if (left.kind === 'constant' && right.kind === 'constant') {
    return { kind: 'constant', value: folded(op, left.value, right.value), type, at, end };
  }
  return { kind: 'arithmetic', op, left, right, type, at, end };
}

function folded(op: Arithmetic, left: bigint | number | boolean, right: bigint | number | boolean): bigint | number {
  if (typeof left === 'bigint' && typeof right === 'bigint' && op !== '/') return integerOp(op, left, right);
  return floatOp(op, Number(left), Number(right));
}

/** Exact; % has the sign of the divisor, as in Python. */
export function integerOp(op: Exclude<Arithmetic, '/'>, left: bigint, right: bigint): bigint {
  switch (op) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '%':
      return ((left % right) + right) % right;
  }
}

/** IEEE. */
export function floatOp(op: Arithmetic, left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return ((left % right) + right) % right;
  }
}

function checkLogic(node: NodeOf<'logic'>, checker: Checker): Checked {
  const { op, at, end } = node;
  const [left, right] = [condition(node.left, checker, op), condition(node.right, checker, op)];
  return {
    kind: 'logic',
    op,
    left,
    right,
    type: { ...TRUTH, ...commonList(node, left.type, right.type, checker) },
    at,
    end,
  };
}

function checkCall(node: NodeOf<'call'>, checker: Checker): Checked {
  const { name, at, end } = node;
  const of = name === 'abs' ? number(node.of, checker, 'abs') : check(node.of, checker);
  if (name === 'abs') {
    if (of.type.constant) throw bad(checker, node, 'this is the same for every event');
    return { kind: 'call', name, of, type: absolute(of.type), at, end };
  }
  if (of.type.list === undefined) {
    throw bad(
      checker,
      node.of,
      `${name}() takes a list, this is one ${of.type.kind === 'bool' ? 'condition' : 'number'} an event`,
    );
  }
  const truth = of.type.kind === 'bool';
  if (['any', 'all', 'count'].includes(name) && !truth) {
    throw bad(checker, node.of, `${name}() takes conditions, this is a list of numbers`, {
      hint:
        name === 'count'
          ? 'len(...) is the number of items; count(... > 30) counts some'
          : 'compare them, such as with > 30',
    });
  }
  if ((name === 'min' || name === 'max') && truth)
    throw bad(checker, node.of, `${name}() takes numbers: say any() or all()`);
  return { kind: 'call', name, of, type: resultOf(name, of.type), at, end };
}

function absolute(type: ValueType): ValueType {
  if (type.kind !== 'int') return type;
  const [low, high] = [type.low < 0n ? -type.low : type.low, type.high < 0n ? -type.high : type.high];
  return { ...type, low: 0n, high: low > high ? low : high };
}

function resultOf(name: FunctionName, { list: _list, ...item }: ValueType): ValueType {
  if (name === 'any' || name === 'all') return TRUTH;
  const count: ValueType = {
    kind: 'int',
    bits: 64,
    signed: true,
    low: 0n,
    high: LENGTH_MAX,
    weak: false,
    constant: false,
  };
  if (name === 'count' || name === 'len' || name === 'n') return count;
  if (name !== 'sum' || item.kind === 'float') return item;
  if (item.kind === 'bool') return count;
  const items = BigInt(SUM_ITEMS_MAX);
  return { ...item, bits: 64, low: item.low < 0n ? item.low * items : 0n, high: item.high * items };
}
