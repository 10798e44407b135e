// Owns the comparison of a model file with the model that is served: names, types and shapes of all tensors.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { type Bound, shapesOf } from './bind-plan.ts';
import type { ModelOutput } from './model.ts';
import type { ModelInfo, TensorSpec } from './types.ts';

/** Errors: infer/model-differs. A server that says nothing of a model is believed. */
export function checkModel(bound: Bound, info: ModelInfo): void {
  const { model } = bound;
  if (model.configHash !== undefined && info.configHash !== undefined && model.configHash !== info.configHash)
    throw differs(info, `its configuration is ${info.configHash}, and the model file says ${model.configHash}`);
  if (info.inputs.length === 0 && info.outputs.length === 0) return;
  const shapes = shapesOf(bound.inputs);
  for (const { name, type, dims } of shapes) {
    const spec = specNamed(info, info.inputs, name, 'input');
    if (spec.type !== type) throw differs(info, `input "${name}" is ${spec.type}, and the model file says ${type}`);
    if (!fits(spec.shape, dims))
      throw differs(
        info,
        `input "${name}" is ${shapeText(spec.shape)}, and its columns make ${shapeText([-1, ...dims])}`,
      );
  }
  const left = info.inputs.find(({ name }) => !shapes.some((shape) => shape.name === name));
  if (left !== undefined) throw differs(info, `its input "${left.name}" is not in the model file`);
  for (const output of model.outputs) checkOutputSpec(info, output);
}

function checkOutputSpec(info: ModelInfo, { name, type, width }: ModelOutput): void {
  const spec = specNamed(info, info.outputs, name, 'output');
  if (spec.type !== type) throw differs(info, `output "${name}" is ${spec.type}, and the model file says ${type}`);
  const lengths = spec.shape.slice(1);
  const values = lengths.reduce((product, length) => product * length, 1);
  if (!lengths.includes(-1) && values !== width)
    throw differs(
      info,
      `output "${name}" is ${shapeText(spec.shape)}, and the model file makes columns of ${width} values a row`,
      'columns: one name a value; or column, with width and index',
    );
}

function specNamed(info: ModelInfo, specs: readonly TensorSpec[], name: string, what: string): TensorSpec {
  const spec = specs.find((each) => each.name === name);
  if (spec !== undefined) return spec;
  const names = specs.map((each) => each.name);
  throw new ColweaveError('infer/model-differs', `the model ${info.name} has no ${what} "${name}"`, {
    near: nearestNames(name, names),
    hint: `its ${what}s are ${names.join(', ')}`,
  });
}

function differs({ name }: ModelInfo, what: string, hint?: string): ColweaveError {
  return new ColweaveError(
    'infer/model-differs',
    `the model ${name} differs: ${what}`,
    hint === undefined ? {} : { hint },
  );
}

/** -1 = any length; the first is the batch. */
function fits(shape: readonly number[], dims: readonly number[]): boolean {
  return shape.length === dims.length + 1 && dims.every((length, i) => shape[i + 1] === -1 || shape[i + 1] === length);
}

export const shapeText = (shape: readonly number[]): string =>
  `[${shape.map((length) => (length === -1 ? 'N' : String(length))).join(', ')}]`;
