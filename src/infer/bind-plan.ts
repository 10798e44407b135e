// Owns matching a model file with a schema: which columns are read, at which level each one is, and what shape each tensor has.
import { ColweaveError } from '../core/errors.ts';
import { type Field, fieldNamed, type Schema, typeName } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';
import type { Mask, Model, ModelColumn, ModelInput } from './model.ts';
import { elementsOf, tensorBytes } from './tensor.ts';
import { isFloatTensor } from './tensor-types.ts';
import type { TensorType } from './types.ts';

/**
 * Where a column's values are, seen from a row of the tensor:
 * row = one each; event = one each event, the same for its objects; items = a list each row;
 * pair and from = by the pairs of a gather, directly or by their index.
 */
export type Level = 'row' | 'event' | 'items' | 'pair' | 'from';

export interface BoundColumn extends ModelColumn {
  readonly level: Level;
}

export interface BoundInput {
  readonly input: ModelInput;
  readonly columns: readonly BoundColumn[];
  /** Of the item order's column. */
  readonly orderLevel?: Level;
  /** Lengths after the rows. */
  readonly dims: readonly number[];
  readonly maskDims?: readonly number[];
}

export interface Bound {
  readonly model: Model;
  readonly inputs: readonly BoundInput[];
  /** Every column that must be read, once. */
  readonly read: readonly string[];
  /** A list, or the counter, that says how many objects an event has; absent = rows are events. */
  readonly objects?: { readonly column: string; readonly counter: boolean };
  /** Bytes of all tensors of one row. */
  readonly rowBytes: number;
}

export interface TensorShape {
  readonly name: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
}

/** Errors: source/no-column, usage/bad-model. */
export function bindModel(model: Model, schema: Schema, where: readonly string[]): Bound {
  const scope: Scope = { model, schema, where };
  const inputs = model.inputs.map((input) => bindInput(scope, input));
  const objects = model.per === '' ? undefined : objectsOf(scope, inputs);
  const names = inputs.flatMap(({ input, columns }) => [
    ...columns.map(({ name }) => name),
    ...(input.order === undefined ? [] : [input.order.by]),
    ...(input.gather === undefined ? [] : [input.gather.index, input.gather.group]),
  ]);
  const read = [...new Set([...names, ...(objects === undefined ? [] : [objects.column])])];
  const rowBytes = shapesOf(inputs).reduce((sum, { type, dims }) => sum + tensorBytes({ type, shape: dims }), 0);
  return { model, inputs, read, rowBytes, ...(objects === undefined ? {} : { objects }) };
}

/** Of all tensors, in the order in which they are sent. */
export function shapesOf(inputs: readonly BoundInput[]): readonly TensorShape[] {
  return inputs.flatMap(({ input, dims, maskDims }) => [
    { name: input.name, type: input.type, dims },
    ...(input.mask === undefined ? [] : [{ name: input.mask.name, type: input.mask.type, dims: maskDims! }]),
  ]);
}

interface Scope {
  readonly model: Model;
  readonly schema: Schema;
  readonly where: readonly string[];
}

function wrong(message: string, hint?: string): ColweaveError {
  return new ColweaveError('usage/bad-model', message, hint === undefined ? {} : { hint });
}

function field({ schema, where }: Scope, name: string): Field {
  const found = fieldNamed(schema, name);
  if (found !== undefined) return found;
  const names = schema.fields.map((other) => other.name);
  throw new ColweaveError('source/no-column', `no column "${name}"`, { where, near: nearestNames(name, names) });
}

/** Is it a column of this collection by its name: Jet_pt, AnalysisJetsAuxDyn.pt, AnalysisJetsAuxDyn:pt? */
function isOf(name: string, collection: string): boolean {
  return name.startsWith(collection) && /^[_.:]/.test(name.slice(collection.length));
}

function bindInput(scope: Scope, input: ModelInput): BoundInput {
  const { name, pad, order, mask } = input;
  if (input.gather !== undefined) checkGather(scope, input);
  const columns = input.columns.map((column): BoundColumn => {
    const bound = { ...column, level: levelOf(scope, input, column.name) };
    checkType(scope, input, bound);
    return bound;
  });
  const padded = columns.some(({ level }) => level === 'items' || level === 'pair' || level === 'from');
  if (padded && pad === undefined)
    throw wrong(
      `input "${name}" is made of lists and has no padding`,
      'pad: N, the length that lists are cut or filled to',
    );
  if (!padded && pad !== undefined) throw wrong(`input "${name}" has a padding and no column that is a list`);
  if (padded && columns.some(({ level }) => level === 'row' || level === 'event'))
    throw wrong(`input "${name}" mixes lists and single values`, 'give them an input each');
  const dims = pad === undefined ? [columns.length] : itemDims(pad, columns.length, input.columnsFirst);
  return {
    input,
    columns,
    ...(order === undefined ? {} : { orderLevel: itemLevel(scope, input, order.by) }),
    dims: reshaped(`input "${name}"`, dims, input.shape),
    ...(mask === undefined ? {} : { maskDims: maskDims(mask, pad!) }),
  };
}

const itemDims = (pad: number, columns: number, columnsFirst: boolean): readonly number[] =>
  columnsFirst ? [columns, pad] : [pad, columns];

function maskDims(mask: Mask, pad: number): readonly number[] {
  return reshaped(`mask "${mask.name}"`, [pad], mask.shape);
}

function reshaped(what: string, dims: readonly number[], shape: readonly number[] | undefined): readonly number[] {
  if (shape === undefined) return dims;
  if (elementsOf(shape) === elementsOf(dims)) return shape;
  throw wrong(
    `${what} has ${elementsOf(dims)} values a row (${dims.join(' x ')}), and its shape [${shape.join(', ')}] has others`,
  );
}

function levelOf(scope: Scope, input: ModelInput, name: string): Level {
  const { type } = field(scope, name);
  const { per } = scope.model;
  if (input.gather !== undefined) return gatherLevel(scope, input, name);
  if (type.kind === 'flat') return per === '' ? 'row' : 'event';
  if (type.kind === 'utf8') throw wrong(`column "${name}" is text and cannot go into a tensor`);
  if (per === '') return 'items';
  if (!isOf(name, per))
    throw wrong(
      `column "${name}" is no column of ${per}, whose objects are the rows`,
      `name columns ${per}_*, single values of events, or constituents with gather`,
    );
  return type.item.kind === 'list' ? 'items' : 'row';
}

function itemLevel(scope: Scope, input: ModelInput, name: string): Level {
  const level = levelOf(scope, input, name);
  if (level === 'items' || level === 'pair' || level === 'from') return level;
  throw wrong(`input "${input.name}" is ordered by "${name}", which is no list of its items`);
}

function checkGather(scope: Scope, { name, gather, pad }: ModelInput): void {
  const { index, group, of } = gather!;
  if (pad === undefined)
    throw wrong(`input "${name}" gathers constituents and has no padding`, 'gather: {..., pad: N}');
  if (scope.model.per !== of)
    throw wrong(`input "${name}" gathers constituents of ${of}, which are not the rows`, `per: ${of}`);
  for (const column of [index, group]) {
    const { type } = field(scope, column);
    const whole = type.kind === 'list' && type.item.kind === 'flat' && !type.item.dtype.startsWith('f');
    if (!whole) throw wrong(`column "${column}" is ${typeName(type)}, no list of indices`);
  }
}

function gatherLevel(scope: Scope, { name: input, gather }: ModelInput, name: string): Level {
  const { from, index } = gather!;
  const { type } = field(scope, name);
  if (type.kind !== 'list' || type.item.kind !== 'flat')
    throw wrong(`column "${name}" of input "${input}" is ${typeName(type)}, no list of constituents`);
  if (isOf(name, from)) return 'from';
  // the pairs' own columns have the prefix that the index has
  const pairs = /^(.+?)[_.:]/.exec(index)?.[1] ?? index;
  if (isOf(name, pairs)) return 'pair';
  throw wrong(`column "${name}" of input "${input}" is neither of ${from} nor of ${pairs}`);
}

function checkType(scope: Scope, input: ModelInput, { name, log, scale, shift, clip }: BoundColumn): void {
  let { type } = field(scope, name);
  while (type.kind === 'list') type = type.item;
  if (type.kind !== 'flat') throw wrong(`column "${name}" is text and cannot go into a tensor`);
  if (isFloatTensor(input.type)) return;
  const changed = log !== undefined || scale !== undefined || shift !== undefined || clip !== undefined;
  if (type.dtype === 'f32' || type.dtype === 'f64' || changed)
    throw wrong(
      `input "${input.name}" is ${input.type}, and column "${name}" ${changed ? 'is changed on the way' : `is ${type.dtype}`}`,
      'integers are made of integers as they are',
    );
}

/** The first list of the collection that is read anyway, else its counter, else any list of it. */
function objectsOf(scope: Scope, inputs: readonly BoundInput[]): NonNullable<Bound['objects']> {
  const { per } = scope.model;
  const own = inputs.flatMap(({ input, columns }) =>
    input.gather === undefined ? columns.filter(({ name }) => isOf(name, per)) : [],
  );
  if (own[0] !== undefined) return { column: own[0].name, counter: false };
  const counter = fieldNamed(scope.schema, `n${per}`);
  if (counter?.type.kind === 'flat') return { column: counter.name, counter: true };
  const lists = scope.schema.fields.filter(({ name, type }) => type.kind === 'list' && isOf(name, per));
  if (lists[0] !== undefined) return { column: lists[0].name, counter: false };
  const names = scope.schema.fields.flatMap(({ counter }) =>
    counter === undefined ? [] : [counter.replace(/^n/, '')],
  );
  throw new ColweaveError('source/no-column', `no list of a collection "${per}"`, {
    where: scope.where,
    near: nearestNames(per, new Set(names)),
    hint: 'per: names the collection whose objects are the rows, such as Jet',
  });
}
