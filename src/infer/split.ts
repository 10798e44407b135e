// Owns cutting a request by rows and putting the answers together again.
import { invariant } from '../core/check.ts';
import { rowsOf } from './tensor.ts';
import type { InferRequest, InferResponse, Tensor } from './types.ts';

/** Rows start .. end of a tensor, as a view. */
export function tensorRows(tensor: Tensor, { start, end }: { readonly start: number; readonly end: number }): Tensor {
  const [rows = 0, ...rest] = tensor.shape;
  const rowBytes = rows === 0 ? 0 : tensor.bytes.length / rows;
  return {
    ...tensor,
    shape: [end - start, ...rest],
    bytes: tensor.bytes.subarray(start * rowBytes, end * rowBytes),
  };
}

/** Two requests that ask for the same together. */
export function halves(request: InferRequest): readonly [InferRequest, InferRequest] {
  const rows = rowsOf(request.inputs);
  invariant(rows > 1, 'one row cannot be halved');
  const middle = Math.ceil(rows / 2);
  const part = (name: string, range: { readonly start: number; readonly end: number }): InferRequest => ({
    ...request,
    id: `${request.id}${name}`,
    inputs: request.inputs.map((tensor) => tensorRows(tensor, range)),
  });
  return [part('a', { start: 0, end: middle }), part('b', { start: middle, end: rows })];
}

/** The answer to a whole request from those to its parts, in their order. */
export function together(request: InferRequest, parts: readonly InferResponse[]): InferResponse {
  const [first] = parts;
  invariant(first !== undefined, 'no parts to put together');
  const outputs = first.outputs.map(({ name, type, shape }, at): Tensor => {
    const each = parts.map(({ outputs }) => outputs[at]!);
    const [, ...rest] = shape;
    // a model may give rows of another width from batch to batch: such cannot be put together
    invariant(
      each.every((tensor) => tensor.type === type && tensor.shape.slice(1).join() === rest.join()),
      'parts of one answer differ in shape',
    );
    const rows = each.reduce((sum, tensor) => sum + tensor.shape[0]!, 0);
    return { name, type, shape: [rows, ...rest], bytes: joined(each) };
  });
  return { id: request.id, model: first.model, version: first.version, outputs };
}

/** The bytes of tensors one after the other, in memory of their own. */
export function joined(tensors: readonly Tensor[]): Uint8Array {
  const bytes = new Uint8Array(tensors.reduce((sum, tensor) => sum + tensor.bytes.length, 0));
  let at = 0;
  for (const tensor of tensors) {
    bytes.set(tensor.bytes, at);
    at += tensor.bytes.length;
  }
  return bytes;
}
