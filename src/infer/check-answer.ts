// Owns the check of every answer: against the request (id, model, version, outputs, rows, bytes) and against the model (types, shapes).
import { badAnswer } from './server-error.ts';
import { versionDiffers } from './survey.ts';
import { isTensorType, rowsOf, tensorBytes } from './tensor.ts';
import type { InferRequest, InferResponse, ModelInfo, Tensor } from './types.ts';

/** Returns the outputs in the order asked for. Errors: infer/bad-answer, infer/version-differs. */
export function checkAnswer(request: InferRequest, answer: InferResponse, url: string): InferResponse {
  const { id, model, version } = request;
  if (answer.model !== model) throw badAnswer(url, `asked of model ${model}, answered by ${answer.model || 'none'}`);
  if (version !== '' && answer.version !== version) {
    throw versionDiffers(url, { name: model, version }, answer.version);
  }
  if (answer.id !== id) throw badAnswer(url, `the answer is to request ${answer.id || 'none'}, not to ${id}`);
  const rows = rowsOf(request.inputs);
  const outputs = request.outputs.map((name) => {
    const found = answer.outputs.filter((output) => output.name === name);
    if (found.length !== 1) throw badAnswer(url, `output ${name} is there ${found.length} times in the answer`);
    checkOutput(found[0]!, rows, url);
    return found[0]!;
  });
  return { ...answer, outputs };
}

function checkOutput({ name, type, shape, bytes }: Tensor, rows: number, url: string): void {
  if (!isTensorType(type)) throw badAnswer(url, `output ${name} is of type ${type}, which has no fixed size`);
  if (shape[0] !== rows) {
    const hint = 'the model or its server loses rows: tell who keeps it';
    throw badAnswer(url, `output ${name} has ${shape[0] ?? 'no'} rows for ${rows} that were sent`, hint);
  }
  if (tensorBytes({ type, shape }) !== bytes.length) {
    throw badAnswer(url, `output ${name} has ${bytes.length} bytes, not those of ${type} [${shape.join(', ')}]`);
  }
}

/** Errors: infer/bad-answer. */
export function checkAgainstModel(info: ModelInfo, answer: InferResponse, url: string): void {
  for (const { name, type, shape } of answer.outputs) {
    const spec = info.outputs.find((output) => output.name === name);
    if (spec === undefined) continue; // servers without metadata
    if (spec.type !== type) throw badAnswer(url, `output ${name} is ${type}, where the model says ${spec.type}`);
    const fits =
      spec.shape.length === shape.length && spec.shape.every((length, at) => length === -1 || length === shape[at]);
    if (fits) continue;
    const said = `[${spec.shape.join(', ')}]`;
    throw badAnswer(url, `output ${name} has shape [${shape.join(', ')}], where the model says ${said}`);
  }
}
