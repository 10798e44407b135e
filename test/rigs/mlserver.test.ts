// Against a server that is not Triton: JSON tensors over HTTP, raw ones over gRPC, no metadata to lean on.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MlServer, startMlServer } from './mlserver.ts';
import { CASES, expectNear, failureOf, MLP, never, predict, truthOf, withServers } from './predict.ts';
import { tritonModels, tritonPython } from './triton.ts';

const MODELS = ['mlp', 'jettag'];
let server: MlServer;

beforeAll(async () => {
  const folder = tritonModels(tritonPython());
  server = await startMlServer(Object.fromEntries(MODELS.map((name) => [name, join(folder, name, '1', 'model.onnx')])));
});
afterAll(() => server?.stop());

describe.each(['http', 'grpc'] as const)('%s', (protocol) => {
  test.each(CASES.filter(({ model, version }) => MODELS.includes(model) && version === '1'))(
    '$model equals onnxruntime, with the version of the index',
    async (each) => {
      const found = await withServers([server[protocol]], each.model, { version: '' }, async (balance) => {
        const scores = await predict(balance, { ...each, version: balance.info.version }, { batchRows: 250 });
        expect([balance.info.version, balance.info.maxBatchSize]).toEqual(['1', undefined]);
        await balance.finish({ outputs: [each.output] }, never);
        return scores;
      });
      expectNear(found, truthOf(each));
    },
  );

  test('a model or version that is not there, and a wrong input', async () => {
    const missing = await failureOf(withServers([server[protocol]], 'mpl', MLP, (balance) => predict(balance, MLP)));
    expect([missing.code, missing.near]).toEqual(['infer/no-model', ['mlp']]);
    const other = await failureOf(withServers([server[protocol]], 'mlp', { version: '7' }, async () => {}));
    expect(other.code).toBe('infer/version-differs');
    const wrong = { ...MLP, inputs: { X: [10] }, rows: 10 };
    const failure = await failureOf(withServers([server[protocol]], 'mlp', MLP, (balance) => predict(balance, wrong)));
    expect(failure.code).toBe('infer/model-failed');
  });
});
