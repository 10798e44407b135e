// Owns the check of every answer against what was asked: id, model, version, outputs, type, rows, shape, bytes.
import { badAnswer, ServerError } from './server-error.ts';
import { isTensorType, rowsOf, tensorBytes } from './tensor.ts';
import type { InferRequest, InferResponse, ModelInfo, Tensor } from './types.ts';

/** Returns the outputs in the order asked for. Errors: infer/bad-answer, infer/version-differs. */
export function checkAnswer(
  request: InferRequest,
  answer: InferResponse,
  { url, info }: { readonly url: string; readonly info?: ModelInfo | undefined },
): InferResponse {
  const { id, model, version } = request;
  if (answer.model !== model) throw badAnswer(url, `asked of model ${model}, answered by ${answer.model || 'none'}`);
  if (version !== '' && answer.version !== version) {
    throw new ServerError(
      'infer/version-differs',
      `version ${answer.version || 'none'} of ${model} answered, not ${version}`,
      {
        where: [url],
        retry: 'never',
      },
    );
  }
  if (answer.id !== id) throw badAnswer(url, `the answer is to request ${answer.id || 'none'}, not to ${id}`);
  const rows = rowsOf(request.inputs);
  const outputs = request.outputs.map((name) => {
    const found = answer.outputs.filter((output) => output.name === name);
    if (found.length !== 1) throw badAnswer(url, `output ${name} is there ${found.length} times in the answer`);
    checkOutput(found[0]!, { url, rows, info });
    return found[0]!;
  });
  return { ...answer, outputs };
}

function checkOutput(
  { name, type, shape, bytes }: Tensor,
  { url, rows, info }: { readonly url: string; readonly rows: number; readonly info?: ModelInfo | undefined },
): void {
  if (!isTensorType(type)) throw badAnswer(url, `output ${name} is of type ${type}, which has no fixed size`);
  if (shape[0] !== rows) {
    throw badAnswer(
      url,
      `output ${name} has ${shape[0] ?? 'no'} rows for ${rows} that were sent`,
      'the model or its server loses rows: tell who keeps it',
    );
  }
  if (tensorBytes({ type, shape }) !== bytes.length) {
    throw badAnswer(url, `output ${name} has ${bytes.length} bytes, not those of ${type} [${shape.join(', ')}]`);
  }
  const spec = info?.outputs.find((output) => output.name === name);
  if (spec === undefined) return;
  if (spec.type !== type) throw badAnswer(url, `output ${name} is ${type}, where the model says ${spec.type}`);
  const fits =
    spec.shape.length === shape.length && spec.shape.every((length, at) => length === -1 || length === shape[at]);
  if (!fits) {
    throw badAnswer(
      url,
      `output ${name} has shape [${shape.join(', ')}], where the model says [${spec.shape.join(', ')}]`,
    );
  }
}
