// Against the real tritonserver: scores equal to onnxruntime's, and every failure that it can be brought to.
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ColweaveError } from '../../src/core/errors.ts';
import { protocolOf } from '../../src/infer/protocols.ts';
import {
  CASES,
  type Case,
  expectNear,
  failureOf,
  MLP,
  meanwhile,
  never,
  numbers,
  predict,
  truthOf,
  withServers,
} from './predict.ts';
import { control, serveOnly } from './serve-only.ts';
import { startTriton, type Triton, type TritonOptions } from './triton.ts';

const PROTOCOLS = ['http', 'grpc'] as const;
/** Connections end while a run goes on, as behind a balancer. */
const SHORT = ['--grpc-max-connection-age=700', '--grpc-max-connection-age-grace=200'];
const FAULT: Case = { ...MLP, output: 'Y', rows: 10 };

/** The first column of X: what models of faults give back. */
const columnOf = (rows: number): number[] => {
  const X = numbers(rows * 20);
  return Array.from({ length: rows }, (_, row) => X[row * 20]!);
};

function server(options: TritonOptions): () => Triton {
  let started: Triton | undefined;
  beforeAll(async () => {
    started = await startTriton(options);
  });
  afterAll(() => started?.stop());
  return () => started!;
}

describe('scores', () => {
  const triton = server({ models: ['mlp', 'jettag', 'bdt', 'edgeconv', 'mlp_nobatch'], flags: SHORT });

  describe.each(PROTOCOLS)('%s', (protocol) => {
    test.each(CASES)('$model version $version equals onnxruntime', async (each) => {
      const found = await withServers([triton()[protocol]], each.model, each, (balance) => predict(balance, each));
      expectNear(found, truthOf(each));
    });

    test('a batch larger than the model takes is halved', async () => {
      const each = { ...MLP, rows: 20_000 };
      const found = await withServers([triton()[protocol]], 'mlp', each, async (balance) => {
        const scores = await predict(balance, each, { batchRows: 20_000 });
        expect([balance.report().halved, balance.rowsMax]).toEqual([3, 8192]);
        return scores;
      });
      expectNear(found, truthOf(each));
    });

    test('connections that the server ends while a run goes on', async () => {
      const each = { ...MLP, rows: 200_000 };
      const found = await withServers([triton()[protocol]], 'mlp', each, async (balance, events) => {
        const scores = await predict(balance, each, { batchRows: 100 });
        expect([balance.report().servers[0]!.failures, events]).toEqual([{}, []]);
        return scores;
      });
      expectNear(found, truthOf(each));
    });

    test('shapes that the model does not know are refused at once, in its words', async () => {
      const wrong: Case = { ...MLP, inputs: { X: [10] }, rows: 10 };
      const run = withServers([triton()[protocol]], 'mlp', MLP, (balance) => predict(balance, wrong));
      const failure = await failureOf(run);
      expect([failure.code, /unexpected shape for input 'X'/.test(failure.message)]).toEqual(['infer/refused', true]);
    });
  });
});

describe('models that go wrong', () => {
  const triton = server({ models: ['t_slow', 't_nan', 't_badshape', 't_fail', 't_ver', 't_repeat'] });

  describe.each(PROTOCOLS)('%s', (protocol) => {
    const runOf = (each: Case, batchRows = 256): Promise<Float32Array> =>
      withServers([triton()[protocol]], each.model, each, (balance) => predict(balance, each, { batchRows }));

    test.each([
      ['t_badshape', 'infer/bad-answer', /9 rows for 10/],
      ['t_fail', 'infer/model-failed', /model failed on purpose/],
      ['t_repeat', 'infer/unsupported', /decoupled/],
    ])('%s: %s', async (model, code, text) => {
      const failure = await failureOf(runOf({ ...FAULT, model }));
      expect([failure.code, text.test(failure.message)]).toEqual([code, true]);
    });

    test('NaN comes through as it is', async () => {
      const truth = columnOf(10).map((value, row) => (row % 3 === 0 ? Number.NaN : value));
      expect([...(await runOf({ ...FAULT, model: 't_nan' }))]).toEqual(truth);
    });

    test('a full queue is waited for: a second a batch, room for two', async () => {
      expect([...(await runOf({ ...FAULT, model: 't_slow', rows: 12 }, 2))]).toEqual(columnOf(12));
    });

    test('the version is the newest unless one is named; statistics count the rows', async () => {
      const { protocol: kind, url } = protocolOf(triton()[protocol]);
      const endpoint = kind.connect(url, {});
      const info = await endpoint.model('t_ver', '', never);
      expect([info.version, info.versions]).toEqual(['2', ['2']]);
      const before = await endpoint.statistics!('t_ver', '2', never);
      const each: Case = { ...FAULT, model: 't_ver', version: '2', rows: 100 };
      const found = await withServers([url], 't_ver', { version: '' }, (balance) =>
        predict(balance, each, { batchRows: 10 }),
      );
      expect([...found]).toEqual(Array(100).fill(2));
      const after = await endpoint.statistics!('t_ver', '2', never);
      expect(after!.inferenceCount - before!.inferenceCount).toBe(100);
      const line = (await endpoint.index!(never))!.find(({ name, version }) => name === 't_ver' && version === '2');
      expect(line?.state).toBe('READY');
      await endpoint.close();
    });

    test('a model exchanged meanwhile stops the run', async () => {
      const each: Case = { ...FAULT, model: 't_ver', version: '2', rows: 40_000 };
      const exchange = meanwhile(50, 3000, () => serveOnly(triton(), 't_ver', 1));
      const run = withServers([triton()[protocol]], 't_ver', each, (balance) =>
        predict(balance, each, { batchRows: 10, during: exchange.during }),
      );
      const failure = await failureOf(run).finally(async () => (await exchange.over())());
      expect([failure.code, failure.message]).toEqual([
        'infer/version-differs',
        'version 2 of t_ver was asked for, 1 is served',
      ]);
    });
  });
});

describe('two servers', () => {
  const first = server({ models: ['mlp'] });
  const second = server({ models: ['mlp'] });
  const restart = async (): Promise<void> => {
    await second().kill();
    await second().restart();
  };

  describe.each(PROTOCOLS)('%s', (protocol) => {
    test('a model unloaded for a second is waited for', async () => {
      const each = { ...MLP, rows: 40_000 };
      let loaded: Promise<void> | undefined;
      const during = async (n: number): Promise<void> => {
        if (n !== 50) return;
        await control(second(), 'mlp', 'unload');
        loaded = sleep(1000).then(() => control(second(), 'mlp', 'load'));
      };
      const found = await withServers([second()[protocol]], 'mlp', each, async (balance) => {
        const scores = await predict(balance, each, { batchRows: 100, during });
        // else nothing was tried
        expect(balance.report().servers[0]!.failures['infer/no-model']).toBeGreaterThan(0);
        return scores;
      }).finally(() => loaded);
      expectNear(found, truthOf(each));
    });

    test('one is killed and started again: no row lost, doubled or wrong', async () => {
      const each = { ...MLP, rows: 200_000 };
      const urls = [first()[protocol], second()[protocol]];
      const { during, over } = meanwhile(100, 350, restart);
      const found = await withServers(urls, 'mlp', { policy: { spotFraction: 0.002 } }, async (balance, events) => {
        const scores = await predict(balance, each, { batchRows: 500, during });
        await over();
        for (let n = 0; n < 400 && balance.report().servers[1]!.state !== 'up'; n++) await sleep(50);
        expect(balance.report().servers.map(({ state }) => state)).toEqual(['up', 'up']);
        expect(events.map(({ type }) => type)).toEqual(['warning', 'note']);
        expect((await balance.finish({ outputs: ['score'] }, never)).spotRows).toBe(400);
        return scores;
      });
      expectNear(found, truthOf(each));
    });
  });

  test('the only server is killed and started again: the run goes on', async () => {
    const each = { ...MLP, rows: 60_000 };
    let up = 0;
    let next = 0;
    let restarted: Promise<void> | undefined;
    const during = async (n: number): Promise<void> => {
      if (up > 0 && next === 0) next = performance.now();
      if (n !== 40) return;
      await second().kill();
      restarted = second()
        .restart()
        .then(() => {
          up = performance.now();
        });
    };
    const found = await withServers([second().http], 'mlp', each, (balance) =>
      predict(balance, each, { batchRows: 500, during }),
    ).finally(() => restarted);
    expectNear(found, truthOf(each));
    // the longest pause between two questions is 15 s
    expect(next - up).toBeGreaterThan(0);
    expect(next - up).toBeLessThan(16_000);
  });

  test('one URL over servers of different versions: refused, or all of one version', async () => {
    const back = await serveOnly(second(), 'mlp', 2);
    const backAgain = await serveOnly(first(), 'mlp', 1);
    const ports = [first(), second()].map(({ http }) => Number(new URL(http).port));
    let turn = 0;
    const proxy = createServer((client) => {
      const target = connect(ports[turn++ % 2]!, '127.0.0.1');
      client.pipe(target).pipe(client);
      for (const socket of [client, target]) socket.on('error', () => socket.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    for (const version of ['1', '']) {
      const policy = { startMs: 2000, budgetMs: 5000 };
      const run = withServers([url], 'mlp', { version, policy }, async (balance) => {
        const each = { ...MLP, rows: 20_000, version: balance.info.version };
        expectNear(await predict(balance, each, { batchRows: 100 }), truthOf(each));
      });
      const failure = await run.then(
        () => undefined,
        (cause: ColweaveError) => cause,
      );
      if (failure !== undefined) expect(failure.code, failure.message).toBe('infer/version-differs');
    }
    proxy.close();
    await back();
    await backAgain();
  });
});
