// The parts below the balance: protobuf against Google's bytes, limits that adapt, deadlines, what statuses mean, rows cut and joined.
import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Concurrency } from '../../src/infer/concurrency.ts';
import {
  decodeConfig,
  decodeIndex,
  decodeInferResponse,
  decodeMetadata,
  decodeStatistics,
  encodeInferRequest,
  MalformedMessage,
} from '../../src/infer/grpc-messages.ts';
import { KSERVE_HTTP } from '../../src/infer/kserve-http.ts';
import { Latency } from '../../src/infer/latency.ts';
import { configOfJson, modelInfo } from '../../src/infer/model-info.ts';
import { POLICY, pauseOf } from '../../src/infer/policy.ts';
import { decodeFields, MessageWriter, numbersOf } from '../../src/infer/protobuf.ts';
import { protocolOf } from '../../src/infer/protocols.ts';
import { httpKind, refusalError, retryAfterMs, ServerError, shown } from '../../src/infer/server-error.ts';
import { halves, together } from '../../src/infer/split.ts';
import { bytesOfJson, jsonData } from '../../src/infer/tensor.ts';
import messages from './kserve-messages.json' with { type: 'json' };

const hex = (name: keyof typeof messages): Uint8Array => Uint8Array.from(Buffer.from(messages[name], 'hex'));
const bytesOf = (message: MessageWriter): Buffer => Buffer.concat(message.finish());

test('messages that Google wrote are read', () => {
  const answer = decodeInferResponse(hex('infer'));
  expect({ ...answer, outputs: answer.outputs.map(({ bytes, ...rest }) => ({ ...rest, bytes: [...bytes] })) }).toEqual({
    id: 'réponse-7',
    model: 'tagger',
    version: '3',
    outputs: [
      { name: 'probs', type: 'FP32', shape: [2, 3], bytes: [...Array(24).keys()] },
      { name: 'label', type: 'INT64', shape: [2], bytes: Array(16).fill(0) },
    ],
  });
  expect(decodeMetadata(hex('metadata'))).toEqual({
    name: 'tagger',
    versions: ['3', '12'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'jets', type: 'FP32', shape: [-1, 20, 6] }],
    outputs: [{ name: 'probs', type: 'FP32', shape: [-1, 3] }],
  });
  expect(decodeIndex(hex('index'))).toEqual([
    { name: 'tagger', version: '3', state: 'READY', reason: '' },
    { name: 'old', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' },
  ]);
  const part = (name: string) => ({ count: name.length, nanoseconds: 1e12 + name.length });
  expect(decodeStatistics(hex('statistics'))).toEqual({
    inferenceCount: 123456,
    executionCount: 99,
    success: part('success'),
    fail: part('fail'),
    queue: part('queue'),
    computeInput: part('compute_input'),
    computeInfer: part('compute_infer'),
    computeOutput: part('compute_output'),
  });
});

test('a request has the bytes that Google gives it', () => {
  const written = encodeInferRequest({
    id: 'b12',
    model: 'tagger',
    version: '3',
    inputs: [
      { name: 'jets', type: 'FP32', shape: [200, 20, 6], bytes: Buffer.from('jets'.repeat(300)) },
      { name: 'mask', type: 'BOOL', shape: [200, 1], bytes: new Uint8Array(0) },
    ],
    outputs: ['probs'],
  });
  expect(bytesOf(written).toString('hex')).toBe(messages.request);
  expect(written.length).toBe(messages.request.length / 2);
});

test('a configuration is the same by either protocol, and how many copies run does not count', () => {
  const json = {
    name: 'tagger',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    max_batch_size: 4096,
    input: [{ name: 'jets', data_type: 'TYPE_FP32', dims: ['20', '-1'] }],
    output: [{ name: 'probs', data_type: 'TYPE_FP64', dims: [3] }],
    parameters: { threads: { string_value: '2' } },
    ensemble_scheduling: { step: [{ model_name: 'first', model_version: -1 }] },
    model_transaction_policy: { decoupled: true },
    instance_group: [{ count: 1 }],
  };
  const config = decodeConfig(hex('config'));
  expect(configOfJson(json)).toEqual(config);
  const metadata = decodeMetadata(hex('metadata'));
  const info = modelInfo(metadata, '', config);
  expect([info.version, info.maxBatchSize, info.configHash?.length]).toEqual(['12', 4096, 64]);
  const other = modelInfo(metadata, '', configOfJson({ ...json, parameters: { threads: { string_value: '3' } } }));
  expect(other.configHash).not.toBe(info.configHash);
});

test('bytes that are no message are said to be so, whatever they are', () => {
  const decoders = [decodeInferResponse, decodeMetadata, decodeConfig, decodeIndex, decodeStatistics];
  const damaged = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .tuple(
        fc.constantFrom(...(Object.keys(messages) as (keyof typeof messages)[])),
        fc.nat(),
        fc.nat(255),
        fc.boolean(),
      )
      .map(([name, at, byte, cut]) => {
        const bytes = hex(name);
        bytes[at % bytes.length] = byte;
        return cut ? bytes.subarray(0, at % bytes.length) : bytes;
      }),
  );
  fc.assert(
    fc.property(damaged, fc.constantFrom(...decoders), (bytes, decode) => {
      try {
        decode(bytes);
      } catch (failure) {
        expect(failure).toBeInstanceOf(MalformedMessage);
      }
    }),
    { numRuns: 500 },
  );
});

test('numbers survive: counts up to 2^53, and lengths of -1', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat()), (values) => {
      const fields = decodeFields(bytesOf(new MessageWriter().packed(3, values)));
      expect(numbersOf(fields!, 3)).toEqual(values);
    }),
  );
  const minusOne = [24, ...Array(9).fill(255), 1];
  expect(numbersOf(decodeFields(Uint8Array.from(minusOne))!, 3)).toEqual([-1]);
  expect(decodeFields(Uint8Array.from([24, ...Array(11).fill(255)]))).toBeUndefined();
});

/** A server that does `most` requests at once, each in 10 ms; what is above waits. */
function limitAgainst(most: number, seconds: number): number {
  const limit = new Concurrency(16);
  let now = 0;
  while (now < 1000 * seconds) {
    const inFlight = limit.limit;
    now += (10 * Math.max(1, inFlight / most)) / inFlight;
    limit.answered({ rows: 100, inFlight, now });
  }
  return limit.limit;
}

test('more at once as long as it pays, found within a second', () => {
  for (const seconds of [0.5, 1, 60]) {
    expect(limitAgainst(1, seconds)).toBeLessThanOrEqual(4);
    expect(limitAgainst(6, seconds)).toBeGreaterThanOrEqual(6);
  }
  for (const seconds of [1, 60]) {
    expect(limitAgainst(1, seconds)).toBeLessThanOrEqual(3);
    expect(limitAgainst(6, seconds)).toBeLessThanOrEqual(9);
    expect(limitAgainst(16, seconds)).toBe(16);
  }
});

test('a busy server gets half at once, and a caller without work teaches nothing', () => {
  const limit = new Concurrency(16);
  for (let n = 0; n < 1000; n++) limit.answered({ rows: 1, inFlight: 1, now: n });
  expect(limit.limit).toBe(2);
  limit.busy();
  expect(limit.limit).toBe(1);
  limit.busy();
  expect(limit.limit).toBe(1);
});

test('a deadline follows the times that were measured, and doubles when it was too short', () => {
  const latency = new Latency();
  expect(latency.deadlineMs(POLICY)).toBe(POLICY.deadlineFirstMs);
  for (let n = 0; n < 50; n++) latency.answered({ ms: 8000, rows: 100 });
  expect(latency.deadlineMs(POLICY)).toBeGreaterThan(32_000);
  expect(latency.deadlineMs(POLICY)).toBeLessThan(33_000);
  for (let n = 0; n < 50; n++) latency.answered({ ms: 10, rows: 100 });
  expect(latency.msPerRow).toBeLessThan(0.5);
  for (let n = 0; n < 100; n++) latency.answered({ ms: 10, rows: 100 });
  expect(latency.deadlineMs(POLICY)).toBe(POLICY.deadlineMinMs);
  latency.gaveUp();
  latency.gaveUp();
  expect(latency.deadlineMs(POLICY)).toBe(4 * POLICY.deadlineMinMs);
  for (let n = 0; n < 9; n++) latency.gaveUp();
  expect(latency.deadlineMs(POLICY)).toBe(POLICY.deadlineMaxMs);
  latency.answered({ ms: 10, rows: 100 });
  expect(latency.deadlineMs(POLICY)).toBe(POLICY.deadlineMinMs);
});

test('pauses double up to the longest, half of each by chance', () => {
  for (let n = 0; n < 40; n++) {
    const whole = Math.min(POLICY.pauseMaxMs, POLICY.pauseMs * 2 ** n);
    expect(pauseOf(n, POLICY)).toBeGreaterThanOrEqual(whole / 2);
    expect(pauseOf(n, POLICY)).toBeLessThanOrEqual(whole);
  }
});

test.each([
  [400, "inference request batch-size must be <= 8192 for 'mlp'", 'infer/too-large', 'smaller'],
  [400, 'Request JSON size of 70000000 bytes exceeds the maximum allowed', 'infer/too-large', 'smaller'],
  [400, "unexpected shape for input 'X'", 'infer/refused', 'never'],
  [400, 'Model version not ready', 'infer/no-model', 'elsewhere'],
  [401, '', 'infer/credentials', 'never'],
  [404, 'unknown model', 'infer/no-model', 'elsewhere'],
  [413, '', 'infer/too-large', 'smaller'],
  [429, '', 'infer/overloaded', 'later'],
  [500, 'model failed', 'infer/model-failed', 'elsewhere'],
  [500, "Unexpected <class 'mlserver.errors.ModelNotFound'>", 'infer/no-model', 'elsewhere'],
  [501, '', 'infer/unsupported', 'never'],
  [502, '<html>', 'infer/overloaded', 'later'],
  [503, 'Exceeds maximum queue size', 'infer/overloaded', 'later'],
  [503, "Request for unknown model: 'mlp' version 1 is not at ready state", 'infer/no-model', 'elsewhere'],
  [504, '', 'infer/no-answer', 'elsewhere'],
  [418, '', 'infer/unsupported', 'never'],
  [599, '', 'infer/model-failed', 'elsewhere'],
])('HTTP %i "%s" is %s, to be tried %s', (status, text, code, retry) => {
  const error = refusalError(httpKind(status), { status: `HTTP ${status}`, text, where: ['http://x'] });
  expect([error.code, error.retry]).toEqual([code, retry]);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-11-25T12:00:00Z');
  expect(retryAfterMs('2', now)).toBe(2000);
  expect(retryAfterMs('Wed, 25 Nov 2026 12:00:30 GMT', now)).toBe(30_000);
  expect(retryAfterMs('Wed, 25 Nov 2026 11:00:00 GMT', now)).toBe(0);
  expect([retryAfterMs(undefined, now), retryAfterMs('soon', now)]).toEqual([undefined, undefined]);
});

test('what is shown of a foreign answer is one line of 200 bytes', () => {
  expect(shown(Buffer.from(`<html>\n\t<b>busy\u0000</b>${'x'.repeat(300)}`))).toBe(
    `<html> <b>busy </b>${'x'.repeat(180)}...`,
  );
});

test('halves of a request, put together, are the whole answer', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 50 }), fc.integer({ min: 1, max: 4 }), (rows, width) => {
      const bytes = Uint8Array.from({ length: rows * width * 2 }, (_, i) => i);
      const X = { name: 'X', type: 'INT16', shape: [rows, width], bytes } as const;
      const request = { id: 'r', model: 'm', version: '1', inputs: [X], outputs: ['X'] };
      const parts = halves(request);
      expect(parts.map(({ id }) => id)).toEqual(['ra', 'rb']);
      const answers = parts.map(({ id, inputs }) => ({ id, model: 'm', version: '1', outputs: inputs }));
      expect(together(request, answers)).toEqual({ id: 'r', model: 'm', version: '1', outputs: [X] });
    }),
  );
});

test('tensors as JSON: flat or nested, and never a value that JSON cannot hold', () => {
  const bytes = new Uint8Array(Float32Array.of(1.5, -0.1, 3e38).buffer);
  const tensor = { name: 'X', type: 'FP32', shape: [3], bytes } as const;
  expect(bytesOfJson(JSON.parse(JSON.stringify(jsonData(tensor))), 'FP32', 3)).toEqual(bytes);
  expect(bytesOfJson([[1.5], [Math.fround(-0.1)], [Math.fround(3e38)]], 'FP32', 3)).toEqual(bytes);
  expect(bytesOfJson([1, 2], 'FP32', 3)).toBeUndefined();
  expect(bytesOfJson([1, null, 2], 'FP32', 3)).toBeUndefined();
  expect(bytesOfJson([1], 'INT64', 1)).toBeUndefined();
  expect(jsonData({ ...tensor, bytes: new Uint8Array(Float32Array.of(Number.NaN, 0, 0).buffer) })).toBeUndefined();
});

test('a URL names its protocol, or is told which', () => {
  expect(protocolOf('grpcs://site:443').protocol.name).toBe('grpc');
  expect(protocolOf('host:8001', 'grpc')).toMatchObject({ url: 'grpc://host:8001' });
  expect(protocolOf('https://site/path').protocol.name).toBe('http');
  expect(() => protocolOf('ftp://site')).toThrow('no URL of an inference server');
});

test('an answer over HTTP with bytes changed, cut or added: a coded error, or an answer of the right form', async () => {
  const output = { name: 'Y', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } };
  const json = JSON.stringify({ id: 'r', model_name: 'm', model_version: '1', outputs: [output] });
  const head = `HTTP/1.1 200 OK\r\nInference-Header-Content-Length: ${json.length}\r\nContent-Length: ${json.length + 8}\r\n\r\n`;
  const good = Buffer.concat([Buffer.from(head + json), Buffer.alloc(8, 1)]);
  const server = Buffer.from(JSON.stringify({ extensions: ['binary_tensor_data'] }));
  let next: Buffer = good;
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (bytes.includes('GET /v2 '))
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${server.length}\r\n\r\n${server}`);
      else if (bytes.includes('POST ')) socket.end(next);
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const endpoint = KSERVE_HTTP.connect(`http://127.0.0.1:${(listener.address() as { port: number }).port}`, {});
  const X = { name: 'X', type: 'FP32', shape: [2, 1], bytes: new Uint8Array(8) } as const;
  const request = { id: 'r', model: 'm', version: '1', inputs: [X], outputs: ['Y'] };
  const change = fc.record({
    at: fc.nat(good.length - 1),
    byte: fc.nat(255),
    how: fc.constantFrom('set', 'cut', 'add'),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, byte, how }) => {
      const [before, after] = [good.subarray(0, at), good.subarray(at + 1)];
      next = Buffer.concat([
        before,
        ...(how === 'cut' ? [] : [Buffer.of(byte)]),
        ...(how === 'add' ? [good.subarray(at)] : how === 'set' ? [after] : []),
      ]);
      const end = AbortSignal.timeout(2000);
      const answer = await endpoint.infer(request, end).catch((failure: unknown) => failure);
      if (answer instanceof Error) expect(answer).toBeInstanceOf(ServerError);
      else
        expect(answer).toMatchObject({ id: 'r', version: '1', outputs: [{ name: 'Y', type: 'FP32', shape: [2, 1] }] });
    }),
    { numRuns: 100 },
  );
  await endpoint.close();
  for (const socket of sockets) socket.destroy();
  listener.close();
});
