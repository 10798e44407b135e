// Owns the answers to one block's batches: each checked and put into its rows just once, then made columns.
import { invariant } from '../core/check.ts';
import { type Column, flatColumn } from '../core/column.ts';
import { allocate, type Values, viewAs } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { type ColumnType, type Field, flat, list } from '../core/schema.ts';
import type { RowSpan } from './fill.ts';
import { halfValue } from './half.ts';
import type { Model, ModelOutput, NanPolicy } from './model.ts';
import { elementBytes } from './tensor.ts';
import { columnDtype, isFloatTensor } from './tensor-types.ts';
import type { InferResponse, Tensor } from './types.ts';

/** The columns that the answers become: by the model file alone, never by what a server says. */
export function outputFields({ outputs, per, onNan }: Model): readonly Field[] {
  return outputs.flatMap(({ columns, type, width, index, name }) =>
    columns.map((column): Field => {
      const item: ColumnType = flat(columnDtype(type));
      const fixed = columns.length === 1 && index === undefined && width > 1 ? list(item, width) : item;
      const nullable = onNan === 'null' && isFloatTensor(type) && per === '' && fixed === item;
      return { name: column, type: per === '' ? fixed : list(fixed), nullable, doc: `${name} of the model` };
    }),
  );
}

export interface Answers {
  /** The answer to rows start .. end. Errors: infer/bad-answer, also when the same rows are answered again. */
  place(span: RowSpan, response: InferResponse): void;
  /** When all rows are answered: the output columns, and how many of their values are not finite. */
  finish(): { readonly columns: readonly Column[]; readonly nonFinite: readonly number[] };
}

/** `objects`: where each event's rows begin; absent = rows are events. */
export function awaitAnswers(model: Model, rows: number, objects: Int32Array | undefined): Answers {
  const room = model.outputs.map(({ type, width }) => new Uint8Array(rows * width * elementBytes(type)));
  const seen = new Uint8Array(rows);
  let placed = 0;
  return {
    place(span, response) {
      model.outputs.forEach((output, i) => {
        const tensor = response.outputs.find(({ name }) => name === output.name);
        checkOutput(output, tensor, span.end - span.start);
        room[i]!.set(tensor.bytes, span.start * output.width * elementBytes(output.type));
      });
      for (let row = span.start; row < span.end; row++) {
        invariant(seen[row] === 0, 'a row is answered once');
        seen[row] = 1;
      }
      placed += span.end - span.start;
    },
    finish() {
      invariant(placed === rows && !seen.includes(0), 'every row is answered');
      const made = model.outputs.flatMap((output, i) => columnsOf(output, room[i]!, rows, model.onNan));
      const nonFinite = made.map(({ notFinite }) => notFinite);
      return {
        columns: made.map(({ column }) => (objects === undefined ? column : listed(column, objects))),
        nonFinite,
      };
    },
  };
}

/** Servers do not check what their models return: rows, type and bytes are checked here. Errors: infer/bad-answer. */
export function checkOutput(output: ModelOutput, tensor: Tensor | undefined, rows: number): asserts tensor is Tensor {
  const bad = (what: string) =>
    new ColweaveError('infer/bad-answer', `output "${output.name}": ${what}`, {
      hint: 'the model, or something between it and here, lost the order of rows: nothing of it is used',
    });
  if (tensor === undefined) throw bad('it is not in the answer');
  const { type, shape, bytes } = tensor;
  if (type !== output.type) throw bad(`${type} came where the model file says ${output.type}`);
  const values = shape.slice(1).reduce((product, length) => product * length, 1);
  if (shape[0] !== rows) throw bad(`${shape[0]} rows came back for ${rows} rows`);
  if (values !== output.width) throw bad(`${values} values a row came where the model file says ${output.width}`);
  if (bytes.length !== rows * output.width * elementBytes(type))
    throw bad(`${bytes.length} bytes came for ${rows} rows of ${output.width} ${type}`);
}

interface Made {
  readonly column: Column;
  readonly notFinite: number;
}

function columnsOf(output: ModelOutput, bytes: Uint8Array, rows: number, onNan: NanPolicy): readonly Made[] {
  const { columns, width, index, softmax } = output;
  let values = valuesOf(output, bytes, rows);
  if (softmax) values = softmaxed(values as Float32Array, width);
  if (columns.length === 1 && index === undefined && width > 1) {
    const items = settled(output, values, onNan);
    const offsets = Int32Array.from({ length: rows + 1 }, (_, row) => row * width);
    return [{ column: { kind: 'list', length: rows, offsets, items: items.column }, notFinite: items.notFinite }];
  }
  return columns.map((_, c) => settled(output, picked(output, values, rows, index ?? c), onNan));
}

function valuesOf({ type, width }: ModelOutput, bytes: Uint8Array, rows: number): Values {
  if (type !== 'FP16') return viewAs(columnDtype(type), bytes.buffer, bytes.byteOffset, rows * width);
  return Float32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, rows * width), halfValue);
}

function picked({ width, type }: ModelOutput, values: Values, rows: number, at: number): Values {
  if (width === 1) return values;
  const out = allocate(columnDtype(type), rows);
  for (let row = 0, from = at; row < rows; row++, from += width) out[row] = values[from]!;
  return out;
}

/** Over the values of each row; the largest is taken off first, so that nothing overflows. */
function softmaxed(values: Float32Array | Float64Array, width: number): Float32Array | Float64Array {
  const out = values.slice();
  for (let from = 0; from < out.length; from += width) {
    let top = Number.NEGATIVE_INFINITY;
    for (let i = from; i < from + width; i++) top = Math.max(top, values[i]!);
    let sum = 0;
    for (let i = from; i < from + width; i++) sum += Math.exp(values[i]! - top);
    for (let i = from; i < from + width; i++) out[i] = Math.exp(values[i]! - top) / sum;
  }
  return out;
}

/** NaN and infinity are counted; what becomes of them is the user's choice. Errors: infer/not-finite. */
function settled({ name, type }: ModelOutput, values: Values, onNan: NanPolicy): Made {
  const dtype = columnDtype(type);
  if (!isFloatTensor(type)) return { column: flatColumn(dtype, boolean(type, values)), notFinite: 0 };
  const floats = values as Float32Array;
  let notFinite = 0;
  for (let i = 0; i < floats.length; i++) if (!Number.isFinite(floats[i]!)) notFinite++;
  if (notFinite === 0 || onNan === 'keep') return { column: flatColumn(dtype, values), notFinite };
  if (onNan === 'fail')
    throw new ColweaveError('infer/not-finite', `output "${name}" holds ${notFinite} values that are NaN or infinite`);
  const valid = new Uint8Array(floats.length);
  const kept = floats.slice();
  for (let i = 0; i < kept.length; i++) {
    valid[i] = Number(Number.isFinite(kept[i]!));
    if (valid[i] === 0) kept[i] = 0;
  }
  return { column: flatColumn(dtype, kept, valid), notFinite };
}

/** A column of bool holds 0 and 1 and nothing else. */
function boolean(type: ModelOutput['type'], values: Values): Values {
  return type === 'BOOL' ? (values as Uint8Array).map((value) => Number(value !== 0)) : values;
}

function listed(items: Column, offsets: Int32Array): Column {
  return { kind: 'list', length: offsets.length - 1, offsets, items };
}
