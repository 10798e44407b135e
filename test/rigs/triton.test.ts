// Against the real tritonserver: scores equal to onnxruntime's, and every failure that it can be brought to.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import type { WorkEvent } from '../../src/core/events.ts';
import type { Balance } from '../../src/infer/balance.ts';
import type { Policy } from '../../src/infer/policy.ts';
import { protocolOf } from '../../src/infer/protocols.ts';
import { openServers } from '../../src/infer/start.ts';
import type { Tensor } from '../../src/infer/types.ts';
import { startTriton, type Triton, tritonModels, tritonPython } from './triton.ts';

const HERE = new URL('.', import.meta.url).pathname;
const never = new AbortController().signal;
const GOOD = ['mlp', 'jettag', 'bdt', 'edgeconv', 'mlp_nobatch'];
const BAD = ['t_slow', 't_nan', 't_badshape', 't_fail', 't_ver', 't_repeat'];
/** Floating point sums in another order, by the size of a batch. */
const NEAR = 1e-6;

let first: Triton;
let second: Triton;
const work = mkdtempSync(join(tmpdir(), 'colweave-rig-'));

beforeAll(async () => {
  first = await startTriton({
    models: [...GOOD, ...BAD],
    flags: ['--grpc-max-connection-age=700', '--grpc-max-connection-age-grace=200'],
  });
  second = await startTriton({ models: ['mlp'] });
});
afterAll(async () => {
  await first?.stop();
  await second?.stop();
  rmSync(work, { recursive: true });
});

/** The same numbers in every run, of both signs, some large. */
function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * 3;
  });
}

interface Case {
  readonly model: string;
  readonly version: string;
  readonly output: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly rows: number;
}

const MLP: Case = { model: 'mlp', version: '1', output: 'score', inputs: { X: [20] }, rows: 2000 };
const CASES: readonly Case[] = [
  MLP,
  { ...MLP, version: '2' },
  { ...MLP, model: 'mlp_nobatch' },
  { ...MLP, model: 'bdt', output: 'probabilities' },
  { ...MLP, model: 'jettag', output: 'probs', inputs: { jets: [20, 6], mask: [20] } },
  { ...MLP, model: 'edgeconv', output: 'probs', inputs: { jets: [20, 6] }, rows: 300 },
];

const width = (lengths: readonly number[]): number => lengths.reduce((a, b) => a * b, 1);

function inputsOf({ inputs, rows }: Case): Map<string, Float32Array> {
  return new Map(Object.entries(inputs).map(([name, lengths], n) => [name, numbers(rows * width(lengths), n + 1)]));
}

function truthOf(each: Case): Float32Array {
  const python = tritonPython();
  const onnx = join(tritonModels(python), each.model.replace('_nobatch', ''), each.version, 'model.onnx');
  const target = join(work, 'truth');
  const words = [...inputsOf(each)].map(([name, values]) => {
    writeFileSync(join(work, name), new Uint8Array(values.buffer));
    return `${name}=${join(work, name)}:${each.inputs[name]!.join(',')}`;
  });
  const ran = spawnSync(python, [join(HERE, 'triton', 'expect.py'), onnx, each.output, target, ...words], {
    encoding: 'utf8',
  });
  expect(ran.stderr).toBe('');
  return new Float32Array(new Uint8Array(readFileSync(target)).buffer);
}

interface OpenOptions {
  readonly version?: string;
  readonly policy?: Partial<Policy>;
}

async function withServers<T>(
  urls: readonly string[],
  model: string,
  { version = '1', policy = {} }: OpenOptions,
  use: (balance: Balance, events: WorkEvent[]) => Promise<T>,
): Promise<T> {
  const events: WorkEvent[] = [];
  const balance = await openServers({ urls, model, version, policy, emit: (event) => events.push(event) }, never);
  try {
    return await use(balance, events);
  } finally {
    await balance.close();
  }
}

/** All rows in batches, in order; whatever comes back is put where its rows are. */
async function predict(
  balance: Balance,
  each: Case,
  { batchRows = 256, during = () => {} }: { readonly batchRows?: number; readonly during?: (n: number) => void } = {},
): Promise<Float32Array> {
  const inputs = inputsOf(each);
  const results: Float32Array[] = [];
  const pending: Promise<void>[] = [];
  for (let start = 0, n = 0; start < each.rows; start += batchRows, n++) {
    await balance.room(never);
    during(n);
    const rows = Math.min(batchRows, each.rows - start);
    const tensors = [...inputs].map(([name, values]): Tensor => {
      const lengths = each.inputs[name]!;
      const bytes = new Uint8Array(values.buffer, 4 * start * width(lengths), 4 * rows * width(lengths));
      return { name, type: 'FP32', shape: [rows, ...lengths], bytes };
    });
    const request = { id: `r${n}`, model: each.model, version: each.version, inputs: tensors, outputs: [each.output] };
    const one = balance.infer(request, never).then(({ outputs }) => {
      expect(results[n]).toBeUndefined();
      results[n] = new Float32Array(outputs[0]!.bytes.slice().buffer);
    });
    one.catch(() => {});
    pending.push(one);
  }
  await Promise.all(pending);
  return Float32Array.from(results.flatMap((part) => [...part]));
}

function expectNear(found: Float32Array, truth: Float32Array): void {
  expect(found.length).toBe(truth.length);
  let worst = 0;
  for (let i = 0; i < truth.length; i++) worst = Math.max(worst, Math.abs(found[i]! - truth[i]!));
  expect(worst).toBeLessThanOrEqual(NEAR);
}

async function failureOf(promise: Promise<unknown>): Promise<ColweaveError> {
  const failure = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(failure).toBeInstanceOf(ColweaveError);
  return failure as ColweaveError;
}

const control = async (server: Triton, model: string, what: 'load' | 'unload'): Promise<void> => {
  const answer = await fetch(`${server.http}/v2/repository/models/${model}/${what}`, { method: 'POST', body: '{}' });
  expect(answer.status, await answer.text()).toBe(200);
};

describe.each(['http', 'grpc'] as const)('%s', (protocol) => {
  const url = (): string => first[protocol];
  const fault: Case = { ...MLP, output: 'Y', rows: 10 };

  test.each(CASES)('$model version $version equals onnxruntime', async (each) => {
    const found = await withServers([url()], each.model, each, (balance) => predict(balance, each));
    expectNear(found, truthOf(each));
  });

  test('a batch larger than the model takes is halved', async () => {
    const each = { ...MLP, rows: 20_000 };
    const found = await withServers([url()], 'mlp', each, async (balance) => {
      const scores = await predict(balance, each, { batchRows: 20_000 });
      expect([balance.report().halved, balance.rowsMax]).toEqual([3, 5000]);
      return scores;
    });
    expectNear(found, truthOf(each));
  });

  test.each([
    ['t_badshape', 'infer/bad-answer', /9 rows for 10/],
    ['t_fail', 'infer/model-failed', /model failed on purpose/],
    ['t_repeat', 'infer/unsupported', /decoupled/],
  ])('%s: %s', async (model, code, text) => {
    const failure = await failureOf(
      withServers([url()], model, fault, (balance) => predict(balance, { ...fault, model })),
    );
    expect([failure.code, text.test(failure.message)]).toEqual([code, true]);
  });

  test('NaN comes through as it is', async () => {
    const found = await withServers([url()], 't_nan', fault, (balance) =>
      predict(balance, { ...fault, model: 't_nan' }),
    );
    const X = numbers(200);
    expect([...found]).toEqual(Array.from({ length: 10 }, (_, row) => (row % 3 === 0 ? Number.NaN : X[row * 20])));
  });

  test('a full queue is waited for: a second a batch, room for two', async () => {
    const each = { ...fault, model: 't_slow', rows: 12 };
    const found = await withServers([url()], 't_slow', each, (balance) => predict(balance, each, { batchRows: 2 }));
    const X = numbers(240);
    expect([...found]).toEqual(Array.from({ length: 12 }, (_, row) => X[row * 20]));
  });

  test('shapes, names and types that the model does not know are refused at once, in its words', async () => {
    const wrong: Case = { ...MLP, inputs: { X: [10] }, rows: 10 };
    const failure = await failureOf(withServers([url()], 'mlp', MLP, (balance) => predict(balance, wrong)));
    expect([failure.code, /unexpected shape for input 'X'/.test(failure.message)]).toEqual(['infer/refused', true]);
  });

  test('the version is the newest unless one is named; statistics count the rows', async () => {
    const { protocol: kind, url: full } = protocolOf(url());
    const endpoint = kind.connect(full, {});
    const info = await endpoint.model('t_ver', '', never);
    expect([info.version, info.versions]).toEqual(['2', ['2']]);
    const before = await endpoint.statistics!('t_ver', '2', never);
    const each: Case = { ...fault, model: 't_ver', version: '2', rows: 100 };
    const found = await withServers([url()], 't_ver', { version: '' }, (balance) =>
      predict(balance, each, { batchRows: 10 }),
    );
    expect([...found]).toEqual(Array(100).fill(2));
    const after = await endpoint.statistics!('t_ver', '2', never);
    expect(after!.inferenceCount - before!.inferenceCount).toBe(100);
    expect(
      (await endpoint.index!(never))!.find(({ name, version }) => name === 't_ver' && version === '2')?.state,
    ).toBe('READY');
    await endpoint.close();
  });

  test('a model exchanged meanwhile stops the run', async () => {
    const config = join(first.repository, 't_ver', 'config.pbtxt');
    const text = readFileSync(config, 'utf8');
    const each: Case = { ...fault, model: 't_ver', version: '2', rows: 40_000 };
    try {
      const failure = await failureOf(
        withServers([url()], 't_ver', each, (balance) =>
          predict(balance, each, {
            batchRows: 10,
            during: (n) => {
              if (n !== 50) return;
              writeFileSync(config, text.replace(/version_policy.*/, 'version_policy: { specific { versions: [1] } }'));
              void control(first, 't_ver', 'load');
            },
          }),
        ),
      );
      expect([failure.code, failure.message]).toEqual([
        'infer/version-differs',
        'version 2 of t_ver was asked for, 1 is served',
      ]);
    } finally {
      writeFileSync(config, text);
      await control(first, 't_ver', 'load');
    }
  });

  test('a model unloaded for a second is waited for', async () => {
    const each = { ...MLP, rows: 40_000 };
    const found = await withServers([second[protocol]], 'mlp', each, (balance) =>
      predict(balance, each, {
        batchRows: 100,
        during: (n) => {
          if (n === 50)
            void control(second, 'mlp', 'unload')
              .then(() => sleep(1000))
              .then(() => control(second, 'mlp', 'load'));
        },
      }),
    );
    expectNear(found, truthOf(each));
  });

  test('a server killed and started again beside another: no row lost, doubled or wrong', async () => {
    const each = { ...MLP, rows: 200_000 };
    let restarted: Promise<void> | undefined;
    const found = await withServers(
      [first[protocol], second[protocol]],
      'mlp',
      { policy: { spotFraction: 0.002 } },
      async (balance, events) => {
        const scores = await predict(balance, each, {
          batchRows: 500,
          during: (n) => {
            if (n === 100) restarted = second.kill().then(() => second.restart());
          },
        });
        await restarted;
        for (let n = 0; n < 200 && balance.report().servers[1]!.state !== 'up'; n++) await sleep(50);
        expect(balance.report().servers.map(({ state }) => state)).toEqual(['up', 'up']);
        expect(events.map(({ type }) => type)).toEqual(['warning', 'note']);
        await balance.finish({ outputs: ['score'] }, never);
        return scores;
      },
    );
    expectNear(found, truthOf(each));
  });
});

test('the only server is killed and started again: the run goes on', async () => {
  const each = { ...MLP, rows: 60_000 };
  const times: number[] = [];
  const found = await withServers([second.http], 'mlp', each, async (balance) =>
    predict(balance, each, {
      batchRows: 500,
      during: (n) => {
        times.push(performance.now());
        if (n === 40)
          void second
            .kill()
            .then(() => second.restart())
            .then(() => times.push(-performance.now()));
      },
    }),
  );
  expectNear(found, truthOf(each));
  const up = -times.find((time) => time < 0)!;
  const next = times.find((time) => time > up)!;
  // the longest pause between two questions is 15 s
  expect(next - up).toBeLessThan(16_000);
});

test('one URL over two servers of different versions is refused, in either order', async () => {
  const config = join(second.repository, 'mlp', 'config.pbtxt');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace(/version_policy.*/, 'version_policy: { specific { versions: [2] } }'));
  await control(second, 'mlp', 'load');
  const ports = [first, second].map(({ http }) => Number(new URL(http).port));
  let turn = 0;
  const proxy = createServer((client) => {
    const server = connect(ports[turn++ % 2]!, '127.0.0.1');
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
  try {
    for (const version of ['1', '']) {
      const each = { ...MLP, rows: 20_000, version };
      const run = withServers([url], 'mlp', { version, policy: { startMs: 2000, budgetMs: 5000 } }, async (balance) => {
        const truth = truthOf({ ...each, version: balance.info.version });
        // whatever was answered before it was noticed is of the one version
        const found = await predict(balance, { ...each, version: balance.info.version }, { batchRows: 100 });
        expectNear(found, truth);
        return balance.report().servers[0]!.failures;
      });
      const outcome = await run.catch((failure: unknown) => failure);
      if (outcome instanceof Error)
        expect((outcome as ColweaveError).code).toMatch(/infer\/(version-differs|no-model)/);
    }
  } finally {
    proxy.close();
    writeFileSync(config, text);
    await control(second, 'mlp', 'load');
  }
});
