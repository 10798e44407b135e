// Owns the check that rows sent again in another batch get the same scores: it finds exchanged rows and sick servers.
import { ColweaveError } from '../core/errors.ts';
import type { Policy } from './policy.ts';
import { joined, tensorRows } from './split.ts';
import { elementBytes, rowsOf } from './tensor.ts';
import type { InferRequest, InferResponse, Tensor } from './types.ts';

/** Rows wait for each other up to here, so that a check is one request for many batches. */
const CHECK_ROWS = 256;

/** Rows that were answered, to be asked again. */
export interface SpotRows {
  readonly request: InferRequest;
  readonly expected: readonly Tensor[];
  /** Of which request and row each one is. */
  readonly origins: readonly string[];
}

interface Row {
  readonly origin: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

export class SpotSampler {
  readonly #fraction: number;
  #owed = 0;
  #checks = 0;
  #rows: Row[] = [];

  constructor(fraction: number) {
    this.#fraction = fraction;
  }

  /** Takes its part of the rows of an answered request; returns rows to ask again when there are enough. */
  take(request: InferRequest, answer: InferResponse): SpotRows | undefined {
    const rows = rowsOf(request.inputs);
    this.#owed += this.#fraction * rows;
    const count = Math.min(rows, Math.floor(this.#owed));
    this.#owed -= count;
    for (let n = 0; n < count; n++) {
      // spread over the batch, at places that nobody can arrange for
      const row = Math.min(rows - 1, Math.floor(((n + Math.random()) * rows) / count));
      const range = { start: row, end: row + 1 };
      const copy = (tensor: Tensor): Tensor => {
        const part = tensorRows(tensor, range);
        return { ...part, bytes: new Uint8Array(part.bytes) };
      };
      this.#rows.push({
        origin: `row ${row} of request ${request.id}`,
        inputs: request.inputs.map(copy),
        outputs: answer.outputs.map(copy),
      });
    }
    return this.#rows.length >= CHECK_ROWS ? this.flush(request) : undefined;
  }

  /** What is left, at the end. */
  flush({ model, version, outputs }: Pick<InferRequest, 'model' | 'version' | 'outputs'>): SpotRows | undefined {
    if (this.#rows.length === 0) return undefined;
    const rows = this.#rows;
    this.#rows = [];
    this.#checks += 1;
    const stack = (tensors: readonly Tensor[]): Tensor => ({
      ...tensors[0]!,
      shape: [tensors.length, ...tensors[0]!.shape.slice(1)],
      bytes: joined(tensors),
    });
    const columns = (of: (row: Row) => readonly Tensor[]): Tensor[] =>
      of(rows[0]!).map((_, at) => stack(rows.map((row) => of(row)[at]!)));
    return {
      request: { id: `spot-${this.#checks}`, model, version, outputs, inputs: columns((row) => row.inputs) },
      expected: columns((row) => row.outputs),
      origins: rows.map(({ origin }) => origin),
    };
  }
}

/** Errors: infer/spot-check, with the first rows that differ. */
export function checkSpot(spot: SpotRows, answer: InferResponse, policy: Policy, urls: readonly string[]): void {
  const details = spot.expected.flatMap((expected, at) =>
    differences(expected, answer.outputs[at]!, policy).map(
      ({ row, text }) => `${spot.origins[row]}: ${expected.name} ${text}`,
    ),
  );
  if (details.length === 0) return;
  throw new ColweaveError(
    'infer/spot-check',
    `${details.length} values of ${spot.origins.length} rows differ when they are asked again`,
    {
      where: urls,
      details: details.slice(0, 5),
    },
  );
}

interface Difference {
  readonly row: number;
  readonly text: string;
}

function differences(expected: Tensor, found: Tensor, policy: Policy): Difference[] {
  const rows = expected.shape[0] ?? 0;
  if (expected.shape.join() !== found.shape.join() || expected.type !== found.type) {
    return [{ row: 0, text: `has shape [${found.shape.join(', ')}], not [${expected.shape.join(', ')}]` }];
  }
  const step = elementBytes(expected.type);
  const perRow = expected.bytes.length / step / Math.max(1, rows);
  const floats = expected.type.startsWith('FP');
  const list: Difference[] = [];
  const [before, after] = [readerOf(expected), readerOf(found)];
  for (let i = 0; i < expected.bytes.length / step; i++) {
    const [a, b] = [before(i), after(i)];
    const row = Math.floor(i / perRow);
    if (!(floats ? near(a, b, policy) : a === b)) list.push({ row, text: `was ${a}, is ${b}` });
  }
  return list;
}

/** The same infinity, or NaN both times, is the same score. */
function near(x: number | bigint, y: number | bigint, { spotAbsolute, spotRelative }: Policy): boolean {
  const [a, b] = [Number(x), Number(y)];
  if (Object.is(a, b)) return true;
  return Math.abs(a - b) <= spotAbsolute + spotRelative * Math.max(Math.abs(a), Math.abs(b));
}

function readerOf({ type, bytes }: Tensor): (i: number) => number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'FP32':
      return (i) => view.getFloat32(4 * i, true);
    case 'FP64':
      return (i) => view.getFloat64(8 * i, true);
    case 'FP16':
      return (i) => halfOf(view.getUint16(2 * i, true));
    case 'INT64':
      return (i) => view.getBigInt64(8 * i, true);
    case 'UINT64':
      return (i) => view.getBigUint64(8 * i, true);
    case 'INT32':
      return (i) => view.getInt32(4 * i, true);
    case 'UINT32':
      return (i) => view.getUint32(4 * i, true);
    case 'INT16':
      return (i) => view.getInt16(2 * i, true);
    case 'UINT16':
      return (i) => view.getUint16(2 * i, true);
    case 'INT8':
      return (i) => view.getInt8(i);
    case 'BOOL':
    case 'UINT8':
      return (i) => view.getUint8(i);
  }
}

function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
