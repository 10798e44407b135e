// The model in this process, where onnxruntime-node is installed: elsewhere only that its absence is told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/infer/connect.ts';
import { ONNX } from '../../src/infer/onnx.ts';
import type { InferRequest } from '../../src/infer/types.ts';
import { fakeHttp, scoreOf } from './fake-kserve.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();
const installed = (() => {
  try {
    createRequire(join(process.cwd(), 'package.json')).resolve('onnxruntime-node');
    return true;
  } catch {
    return false;
  }
})();

/** Y[N,1] = sum over X[N,2], in the few messages of protobuf that it takes. */
function sumModel(): Uint8Array {
  const field = (number: number, bytes: Uint8Array | string): number[] => {
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    return [(number << 3) | 2, body.length, ...body];
  };
  const varint = (number: number, value: number): number[] => [number << 3, value];
  const message = (...parts: readonly number[][]) => Uint8Array.from(parts.flat());
  const named = (name: string, width: number) => {
    const rows = field(1, message(field(2, 'N')));
    const columns = field(1, message(varint(1, width)));
    const tensor = message(varint(1, 1), field(2, message(rows, columns)));
    return message(field(1, name), field(2, message(field(1, tensor))));
  };
  const axes = message(varint(1, 1), varint(2, 7), field(9, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)), field(8, 'axes'));
  const node = message(field(1, 'X'), field(1, 'axes'), field(2, 'Y'), field(4, 'ReduceSum'));
  const graph = message(
    field(1, node),
    field(2, 'g'),
    field(5, axes),
    field(11, named('X', 2)),
    field(12, named('Y', 1)),
  );
  return message(varint(1, 8), field(7, graph), field(8, message(varint(2, 13))));
}

const request = (values: readonly number[]): InferRequest => ({
  id: '1',
  model: 'sum',
  version: '',
  inputs: [
    { name: 'X', type: 'FP32', shape: [values.length / 2, 2], bytes: new Uint8Array(Float32Array.from(values).buffer) },
  ],
  outputs: ['Y'],
});

describe('onnx', () => {
  it.skipIf(installed)('says that the runtime is not installed, and how to install it', async () => {
    await expect(ONNX.connect('model.onnx', {}).model('sum', '', signal)).rejects.toMatchObject({
      code: 'infer/no-runtime',
      hint: expect.stringContaining('npm install --ignore-scripts onnxruntime-node'),
    });
  });

  it.skipIf(!installed)('computes in this process (skipped where onnxruntime-node is not installed)', async () => {
    const path = join(folder, 'sum.onnx');
    writeFileSync(path, sumModel());
    const endpoint = ONNX.connect(path, {});
    try {
      expect(await endpoint.model('sum', '', signal)).toMatchObject({
        inputs: [{ name: 'X', type: 'FP32', shape: [-1, 2] }],
        outputs: [{ name: 'Y', type: 'FP32', shape: [-1, 1] }],
        configHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      const { outputs } = await endpoint.infer(request([1, 2, 3, 4, 5, 6]), signal);
      expect(outputs[0]).toMatchObject({ name: 'Y', type: 'FP32', shape: [3, 1] });
      expect([...new Float32Array(outputs[0]!.bytes.slice().buffer)]).toEqual([3, 7, 11]);
      await expect(endpoint.infer({ ...request([1, 2]), outputs: ['Z'] }, signal)).rejects.toMatchObject({
        code: expect.stringMatching(/^infer\//),
      });
    } finally {
      await endpoint.close();
    }
  });

  it.skipIf(!installed)('stands in when the last server dies, and the report says for how many rows', async () => {
    const path = join(folder, 'stand-in.onnx');
    writeFileSync(path, sumModel());
    const server = await fakeHttp();
    server.fault = (n) => {
      if (n === 3) void server.kill().catch(() => {});
      return n >= 3 ? 'reset' : undefined;
    };
    const wanted = {
      model: 'double',
      version: '',
      urls: [server.url],
      protocol: 'http',
      connect: {},
      onnx: path,
      fallback: true,
      policy: { budgetMs: 300, pauseMs: 10, pauseMaxMs: 40, concurrencyMax: 1 },
      emit: () => {},
    };
    const connected = await connect(wanted, signal);
    try {
      const rows: number[] = [];
      for (let n = 0; n < 6; n++) {
        const asked = { ...request([n, 100]), id: String(n), model: 'double', version: connected.info.version };
        await connected.room(signal);
        const { outputs } = await connected.ask(asked, signal);
        rows.push(new Float32Array(outputs[0]!.bytes.slice().buffer)[0]!);
      }
      expect(rows).toEqual([0, 1, 2].map((n) => scoreOf(n, '1')).concat([103, 104, 105]));
      expect(await connected.finish(['Y'], signal)).toMatchObject({ fallbackRows: 3 });
    } finally {
      await connected.close();
    }
  });
});
