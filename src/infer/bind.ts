// Owns turning a block of columns into tensors: levels are settled once a block, then any rows of it are written.
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { bytesOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Bound, BoundColumn, BoundInput } from './bind-plan.ts';
import { fillItems, fillMask, fillRows, type ItemLayout, type RowSpan } from './fill.ts';
import { halfBits } from './half.ts';
import { type Flattened, flatten, type Numbers } from './numbers.ts';
import { gathered, ordered, type Slots } from './slots.ts';
import { elementsOf } from './tensor.ts';
import { FRESH_ROOM, type TensorRoom } from './tensor-room.ts';
import type { Tensor, TensorType } from './types.ts';

/** Columns of a run of events, ready to be sent. */
export interface BoundBlock {
  readonly events: number;
  /** Of the tensors: events, or objects. */
  readonly rows: number;
  /** Where each event's objects begin; absent = rows are events. */
  readonly objects?: Int32Array;
  /** All tensors for these rows, in arrays of the room. */
  tensors(span: RowSpan, room?: TensorRoom): readonly Tensor[];
}

/** `columns` are those of `bound.read`, in its order. Errors: infer/null-input, infer/lists-differ, infer/bad-index. */
export function bindBlock(bound: Bound, columns: readonly Column[]): BoundBlock {
  const events = columns[0]!.length;
  const byName = new Map(bound.read.map((name, i) => [name, columns[i]!]));
  const objects = bound.objects === undefined ? undefined : objectOffsets(bound.objects, byName);
  const rows = objects === undefined ? events : objects[events]!;
  const work: BlockWork = { byName, objects, eventOf: undefined, events };
  const writers = bound.inputs.map((input) => writerOf(input, work));
  return {
    events,
    rows,
    ...(objects === undefined ? {} : { objects }),
    tensors: (span, room = FRESH_ROOM) => writers.flatMap((write) => write(span, room)),
  };
}

interface BlockWork {
  readonly byName: ReadonlyMap<string, Column>;
  readonly objects: Int32Array | undefined;
  /** By object, made when a column asks for it. */
  eventOf: Int32Array | undefined;
  readonly events: number;
}

type Write = (span: RowSpan, room: TensorRoom) => readonly Tensor[];

function objectOffsets({ column, counter }: NonNullable<Bound['objects']>, byName: BlockWork['byName']): Int32Array {
  const found = byName.get(column)!;
  if (found.kind === 'list') {
    if (found.valid?.includes(0))
      throw new ColweaveError('infer/null-input', `column "${column}" holds a list that is missing`);
    return found.offsets;
  }
  invariant(counter, 'a counter or a list');
  const { values } = flatten(found, { name: column }, undefined);
  const out = new Int32Array(values.length + 1);
  for (let i = 0; i < values.length; i++) out[i + 1] = out[i]! + values[i]!;
  return out;
}

function writerOf(bound: BoundInput, work: BlockWork): Write {
  const { input } = bound;
  if (input.gather !== undefined) return gatherWriter(bound, work);
  return input.pad === undefined ? rowWriter(bound, work) : itemWriter(bound, work);
}

function valuesOf({ byName }: BlockWork, column: BoundColumn, { input }: BoundInput): Flattened {
  return flatten(byName.get(column.name)!, column, input.nulls);
}

function rowWriter(bound: BoundInput, work: BlockWork): Write {
  const columns = bound.columns.map((column) => {
    const { values, offsets } = valuesOf(work, column, bound);
    if (column.level === 'event') return { values, index: eventOfObjects(work) };
    if (offsets[0] !== undefined) sameLists(work.objects!, offsets[0], column.name);
    return { values };
  });
  return (span, room) => {
    const out = staging(bound.input.type, room, (span.end - span.start) * columns.length);
    fillRows(out, columns, span);
    return [tensorOf(bound.input.name, bound.input.type, [span.end - span.start, ...bound.dims], out)];
  };
}

function eventOfObjects(work: BlockWork): Int32Array {
  if (work.eventOf !== undefined) return work.eventOf;
  const offsets = work.objects!;
  const out = new Int32Array(offsets[work.events]!);
  for (let event = 0; event < work.events; event++) out.fill(event, offsets[event]!, offsets[event + 1]!);
  work.eventOf = out;
  return out;
}

/** Lists of each row in place: of events, or a list of lists of objects. */
function itemWriter(bound: BoundInput, work: BlockWork): Write {
  const { input } = bound;
  const columns = bound.columns.map((column) => ({ name: column.name, ...valuesOf(work, column, bound) }));
  const depth = work.objects === undefined ? 0 : 1;
  for (const { name, offsets } of columns) {
    if (depth === 1) sameLists(work.objects!, offsets[0]!, name);
    sameLists(columns[0]!.offsets[depth]!, offsets[depth]!, name);
  }
  const starts = columns[0]!.offsets[depth]!;
  let slots: Slots = { starts };
  if (input.order !== undefined) {
    const { offsets, values } = flatten(work.byName.get(input.order.by)!, { name: input.order.by }, input.nulls);
    sameLists(starts, offsets[depth]!, input.order.by);
    slots = ordered(slots, values, input.order);
  }
  return paddedWriter(bound, slots, columns);
}

function gatherWriter(bound: BoundInput, work: BlockWork): Write {
  const { input, columns, orderLevel } = bound;
  const { index, group } = input.gather!;
  const plain = (name: string) => flatten(work.byName.get(name)!, { name }, input.nulls);
  const [indices, groups] = [plain(index), plain(group)];
  const pairs = indices.offsets[0]!;
  sameLists(pairs, groups.offsets[0]!, group);
  const read = columns.map((column) => ({ ...column, ...valuesOf(work, column, bound) }));
  const by =
    input.order === undefined ? undefined : { name: input.order.by, level: orderLevel!, ...plain(input.order.by) };
  const all = by === undefined ? read : [...read, by];
  const lead = all.find(({ level }) => level === 'from')?.offsets[0];
  for (const { name, level, offsets } of all) sameLists(level === 'pair' ? pairs : lead!, offsets[0]!, name);
  const found = gathered({
    pairs,
    from: lead,
    objects: work.objects!,
    group: groups.values,
    index: indices.values,
    names: { index, group },
  });
  const through = (level: BoundColumn['level']) => (level === 'from' ? { through: found.fromOf } : {});
  let { slots } = found;
  if (by !== undefined) {
    const byPair = by.level === 'pair' ? by.values : Float64Array.from(found.fromOf, (item) => by.values[item]!);
    slots = ordered(slots, byPair, input.order!);
  }
  return paddedWriter(
    bound,
    slots,
    read.map(({ values, level }) => ({ values, ...through(level) })),
  );
}

function paddedWriter(
  { input, dims, maskDims }: BoundInput,
  slots: Slots,
  columns: readonly { readonly values: Numbers; readonly through?: Int32Array }[],
): Write {
  const pad = input.pad!;
  const { fill, columnsFirst, name, type, mask } = input;
  const width = columns.length;
  const layouts = columns.map((_, c): ItemLayout => {
    const place = columnsFirst ? { base: c * pad, step: 1 } : { base: c, step: width };
    return { pad, fill, rowValues: pad * width, ...place };
  });
  return (span, room) => {
    const rows = span.end - span.start;
    const out = staging(type, room, rows * pad * width);
    columns.forEach((column, c) => {
      fillItems(out, column, slots, layouts[c]!, span);
    });
    const tensor = tensorOf(name, type, [rows, ...dims], out);
    if (mask === undefined) return [tensor];
    const ones = staging(mask.type, room, rows * pad);
    fillMask(ones, slots, pad, span);
    return [tensor, tensorOf(mask.name, mask.type, [rows, ...maskDims!], ones)];
  };
}

/** Columns read together mostly share one array of offsets. Errors: infer/lists-differ. */
function sameLists(left: Int32Array, right: Int32Array, name: string): void {
  if (left === right) return;
  const event = left.findIndex((offset, i) => offset !== right[i]);
  if (event < 0 && left.length === right.length) return;
  throw new ColweaveError('infer/lists-differ', `the lists of column "${name}" differ in length from those beside it`, {
    hint: 'columns of one input belong to one collection',
  });
}

/** What values are written to first: f32 for floats up to that width, else f64, which holds what integers there may be. */
function staging(type: TensorType, room: TensorRoom, length: number): Numbers {
  if (type === 'FP32') return new Float32Array(room.take(4 * length), 0, length);
  return type === 'FP16' ? new Float32Array(length) : new Float64Array(length);
}

function tensorOf(name: string, type: TensorType, shape: readonly number[], values: Numbers): Tensor {
  invariant(values.length === elementsOf(shape), 'as many values as the shape says');
  return { name, type, shape, bytes: bytesOf(converted(type, values, name)) };
}

const INTEGERS = {
  BOOL: [Uint8Array, 0, 1],
  UINT8: [Uint8Array, 0, 2 ** 8 - 1],
  INT8: [Int8Array, -(2 ** 7), 2 ** 7 - 1],
  UINT16: [Uint16Array, 0, 2 ** 16 - 1],
  INT16: [Int16Array, -(2 ** 15), 2 ** 15 - 1],
  UINT32: [Uint32Array, 0, 2 ** 32 - 1],
  INT32: [Int32Array, -(2 ** 31), 2 ** 31 - 1],
  UINT64: [BigUint64Array, 0, 2 ** 53],
  INT64: [BigInt64Array, -(2 ** 53), 2 ** 53],
} as const;

function converted(type: TensorType, values: Numbers, name: string): ArrayBufferView {
  if (type === 'FP32' || type === 'FP64') return values;
  if (type === 'FP16') return Uint16Array.from(values, halfBits);
  const [make, low, high] = INTEGERS[type];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= low && value <= high && Number.isInteger(value)))
      throw new ColweaveError('infer/inexact', `input "${name}" is ${type}, which does not hold ${value}`);
  }
  if (make === BigInt64Array || make === BigUint64Array) return wide(values);
  const out = new (make as Uint8ArrayConstructor)(values.length);
  out.set(values);
  return out;
}

/** Two words a value; below zero, the high one borrows. */
function wide(values: Numbers): Uint32Array {
  const out = new Uint32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    const high = Math.floor(values[i]! / 2 ** 32);
    out[2 * i] = values[i]! - high * 2 ** 32;
    out[2 * i + 1] = high;
  }
  return out;
}
