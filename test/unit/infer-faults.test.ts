// Every way in which servers fail (byte-level fakes): no row is wrong, lost or doubled, and what cannot be repaired has a code.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import type { WorkEvent } from '../../src/core/events.ts';
import type { Balance } from '../../src/infer/balance.ts';
import type { Policy } from '../../src/infer/policy.ts';
import { openServers, type ServersOptions } from '../../src/infer/start.ts';
import { type Fake, type Fault, fakeGrpc, fakeHttp, scoreOf } from './fake-kserve.ts';

const QUICK: Partial<Policy> = {
  budgetMs: 2_000,
  startMs: 150,
  surveyMs: 5_000,
  // a busy machine must not look like a server that does not answer
  deadlineFirstMs: 5_000,
  deadlineMinMs: 5_000,
  pauseMs: 10,
  pauseMaxMs: 40,
};
/** For servers that do not answer. */
const IMPATIENT: Partial<Policy> = { deadlineFirstMs: 100, deadlineMinMs: 100 };
const PROTOCOLS = [
  ['http', fakeHttp],
  ['grpc', fakeGrpc],
] as const;

const fakes: Fake[] = [];
const balances: Balance[] = [];
const never = new AbortController().signal;

afterEach(async () => {
  await Promise.all(balances.splice(0).map((balance) => balance.close()));
  await Promise.all(fakes.splice(0).map((fake) => fake.kill().catch(() => {})));
});

async function start(make: () => Promise<Fake>, count = 1): Promise<Fake[]> {
  const made = await Promise.all(Array.from({ length: count }, () => make()));
  fakes.push(...made);
  return made;
}

async function open(servers: readonly Fake[], options: Partial<ServersOptions> = {}) {
  const events: WorkEvent[] = [];
  const balance = await openServers(
    {
      urls: servers.map(({ url }) => url),
      model: 'double',
      version: '',
      emit: (event) => events.push(event),
      ...options,
      policy: { ...QUICK, ...options.policy },
    },
    never,
  );
  balances.push(balance);
  return { balance, events };
}

const ROWS = 16;

function batch(balance: Balance, n: number, rows = ROWS) {
  const values = Float32Array.from({ length: rows * 2 }, (_, i) => n * rows + Math.floor(i / 2));
  const X = { name: 'X', type: 'FP32', shape: [rows, 2], bytes: new Uint8Array(values.buffer) } as const;
  return { id: `b${n}`, model: 'double', version: balance.info.version, inputs: [X], outputs: ['Y'] };
}

/** Sends batches as the command does, `during` between them; every answer is compared with what its rows must get. */
async function runAll(balance: Balance, batches: number, during: (n: number) => void = () => {}): Promise<number> {
  let right = 0;
  const pending: Promise<void>[] = [];
  for (let n = 0; n < batches; n++) {
    await balance.room(never);
    during(n);
    const work = balance.infer(batch(balance, n), never).then(({ outputs: [Y], version }) => {
      const scores = new Float32Array(Y!.bytes.slice().buffer);
      expect([...scores]).toEqual(Array.from({ length: ROWS }, (_, row) => scoreOf(n * ROWS + row, version)));
      right += 1;
    });
    work.catch(() => {});
    pending.push(work);
  }
  await Promise.all(pending);
  return right;
}

async function failureOf(work: Promise<unknown>): Promise<ColweaveError> {
  const failure = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(failure).toBeInstanceOf(ColweaveError);
  return failure as ColweaveError;
}

/** The n-th inference alone. */
const at =
  (n: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === n ? fault : undefined;

describe.each(PROTOCOLS)('%s', (name, make) => {
  test('all is well: each row gets its score, over few connections', async () => {
    const servers = await start(make, 2);
    const { balance } = await open(servers);
    expect(await runAll(balance, 40)).toBe(40);
    expect(servers.every(({ asked }) => asked.length > 5)).toBe(true);
    expect(servers[0]!.connections()).toBeLessThanOrEqual(name === 'grpc' ? 1 : 4);
  });

  test.each([
    'reset',
    'hole',
    'html-503',
    'busy',
    'truncated',
    'html-200',
    'long-json',
    'more-bytes',
    'id',
    'model',
    'type',
    'shape',
    'no-output',
    'rows',
    'fail',
    ...(name === 'grpc' ? (['goaway', 'compressed'] as const) : (['bare-nan'] as const)),
  ] as Fault[])('%s once: asked again, and right', async (fault) => {
    const [server] = await start(make);
    server!.fault = at(3, fault);
    const { balance } = await open([server!], { policy: fault === 'hole' ? IMPATIENT : {} });
    const begin = performance.now();
    expect(await runAll(balance, 10)).toBe(10);
    // 100 ms until a request without an answer is given up, then 40 ms of pause at most; the rest is for a busy machine
    expect(performance.now() - begin).toBeLessThan(2000);
    if (fault === 'hole') expect(server!.asked.length).toBeGreaterThanOrEqual(11);
    else expect(server!.asked.length).toBe(fault === 'goaway' ? 10 : 11);
  });

  test.each([
    ['rows', 'infer/bad-answer', '15 rows for 16'],
    ['fail', 'infer/model-failed', 'model failed'],
    ['type', 'infer/bad-answer', 'INT32'],
  ] as const)('%s each time: given up after three tries', async (fault, code, text) => {
    const [server] = await start(make);
    server!.fault = () => fault;
    const { balance } = await open([server!]);
    const failure = await failureOf(balance.infer(batch(balance, 0), never));
    expect([failure.code, server!.asked.length]).toEqual([code, 3]);
    expect(failure.message).toContain(text);
  });

  test.each([
    ['refuse', 'infer/refused', 3],
    ['credentials', 'infer/credentials', 4],
  ] as const)('%s: no second try', async (fault, code, exit) => {
    const [server] = await start(make);
    server!.fault = () => fault;
    const { balance } = await open([server!]);
    const failure = await failureOf(balance.infer(batch(balance, 0), never));
    expect([failure.code, failure.exit, server!.asked.length]).toEqual([code, exit, 1]);
  });

  test('an answer of another version stops all, whatever the others say', async () => {
    const servers = await start(make, 2);
    servers[1]!.fault = at(2, 'version');
    const { balance } = await open(servers);
    const failure = await failureOf(runAll(balance, 20));
    expect([failure.code, failure.exit]).toEqual(['infer/version-differs', 1]);
    expect((await failureOf(balance.infer(batch(balance, 99), never))).code).toBe('infer/version-differs');
  });

  test('a server that is killed and comes back: its rows go elsewhere, then it gets some again', async () => {
    const servers = await start(make, 2);
    for (const server of servers) server.delayMs = 2;
    const { balance, events } = await open(servers);
    let back = Number.POSITIVE_INFINITY;
    const right = await runAll(balance, 150, (n) => {
      if (n === 20) void servers[0]!.kill();
      if (n === 60) void servers[0]!.listen().then(() => (back = servers[0]!.asked.length));
    });
    expect(right).toBe(150);
    expect(events.map(({ type }) => type)).toEqual(['warning', 'note']);
    expect(servers[0]!.asked.length).toBeGreaterThan(back);
  });

  test('a black hole beside a good server: found once, and left alone', async () => {
    const servers = await start(make, 2);
    servers[0]!.fault = () => 'hole';
    const { balance } = await open(servers, { policy: IMPATIENT });
    expect(await runAll(balance, 30)).toBe(30);
    expect(servers[1]!.asked.length).toBeGreaterThanOrEqual(30);
    expect(balance.report().servers[0]!.failures['infer/no-answer']).toBeGreaterThan(0);
  });

  test('a slow server gets the smaller part', async () => {
    const servers = await start(make, 2);
    servers[0]!.delayMs = 50;
    servers[1]!.delayMs = 1;
    const { balance } = await open(servers);
    expect(await runAll(balance, 60)).toBe(60);
    expect(servers[1]!.asked.length).toBeGreaterThan(2 * servers[0]!.asked.length);
  });

  test('a batch too large is halved, and later ones can be smaller', async () => {
    const [server] = await start(make);
    const { balance } = await open([server!]);
    server!.rowsMax = 4;
    expect(await runAll(balance, 3)).toBe(3);
    expect(balance.rowsMax).toBe(4);
    expect(balance.report().halved).toBe(3 * 3);
  });

  test('the model is exchanged meanwhile: the change is named, no score of the new one is used', async () => {
    const [server] = await start(make);
    const { balance } = await open([server!]);
    const failure = await failureOf(
      runAll(balance, 40, (n) => {
        if (n === 10) server!.versions = ['2'];
      }),
    );
    expect(failure.code).toBe('infer/version-differs');
    expect(failure.message).toContain('version 1 of double was asked for, 2 is served');
  });

  test('the model is unloaded for a while: waited for', async () => {
    const [server] = await start(make);
    const { balance } = await open([server!]);
    const right = await runAll(balance, 20, (n) => {
      if (n !== 5) return;
      server!.versions = [];
      setTimeout(() => (server!.versions = ['1']), 100);
    });
    expect(right).toBe(20);
  });

  test('NaN is an answer: what to do with it is for the caller', async () => {
    const [server] = await start(make);
    server!.fault = () => 'nan';
    const { balance } = await open([server!]);
    const { outputs } = await balance.infer(batch(balance, 0), never);
    const scores = new Float32Array(outputs[0]!.bytes.slice().buffer);
    expect([scores[0], scores[1]]).toEqual([Number.NaN, scoreOf(1, '1')]);
  });

  test('rows that are exchanged within a batch are found by asking again', async () => {
    const [good, sick] = await start(make, 2);
    sick!.fault = () => 'swap';
    const { balance } = await open([good!, sick!], { policy: { spotFraction: 0.5 } });
    for (let n = 0; n < 20; n++) await balance.infer(batch(balance, n), never);
    const failure = await failureOf(balance.finish({ outputs: ['Y'] }, never));
    expect([failure.code, failure.exit]).toEqual(['infer/spot-check', 1]);
    expect(failure.details[0]).toMatch(/^row [01] of request b\d+: Y was \d/);
  });

  test('rows asked again agree on good servers', async () => {
    const { balance } = await open(await start(make, 2), { policy: { spotFraction: 0.25 } });
    await runAll(balance, 80);
    expect((await balance.finish({ outputs: ['Y'] }, never)).spotRows).toBe(80 * 4);
  });

  test('old connections are replaced while a run goes on, and nothing fails', async () => {
    const [server] = await start(make);
    server!.delayMs = 2;
    const { balance, events } = await open([server!], { connect: { renewMs: 40 } });
    expect(await runAll(balance, 80)).toBe(80);
    expect(server!.connections()).toBeGreaterThan(name === 'grpc' ? 1 : 4);
    expect([balance.report().servers[0]!.failures, events, server!.asked.length]).toEqual([{}, [], 80]);
  });

  test('a token is sent with every request, the one that holds by then', async () => {
    const [server] = await start(make);
    let token = 'first';
    const { balance } = await open([server!], { connect: { token: () => token } });
    await runAll(balance, 2);
    token = 'renewed';
    await runAll(balance, 2);
    expect([...server!.tokens]).toEqual(['Bearer first', 'Bearer renewed']);
  });
});

test('two versions behind one URL: never mixed', async () => {
  const backends = await start(fakeHttp, 2);
  backends[1]!.versions = ['2'];
  let turn = 0;
  const [front] = await start(() => fakeHttp(() => backends[turn++ % 2]!));
  for (let n = 0; n < 4; n++) {
    turn = n;
    const failure = await failureOf(
      open([front!], { policy: { startMs: 100 } }).then(({ balance }) => runAll(balance, 20)),
    );
    expect(failure.code).toBe('infer/version-differs');
    const { version } = balances.at(-1)?.info ?? { version: '1' };
    expect(backends[version === '1' ? 1 : 0]!.asked.length).toBe(0);
    backends[0]!.asked.length = 0;
    backends[1]!.asked.length = 0;
  }
});

test('servers of other versions or configurations are refused at the start', async () => {
  const servers = await start(fakeHttp, 2);
  servers[1]!.versions = ['2'];
  expect((await failureOf(open(servers))).code).toBe('infer/version-differs');
  servers[1]!.versions = ['1', '2'];
  expect((await open(servers)).balance.info.version).toBe('1');
  servers[1]!.parameter = 'b';
  const failure = await failureOf(open(servers));
  expect([failure.code, failure.message]).toEqual([
    'infer/version-differs',
    'the servers do not serve the same double: configuration differs',
  ]);
});

test('a server that comes back with another configuration is not used again', async () => {
  const servers = await start(fakeHttp, 2);
  for (const server of servers) server.delayMs = 2;
  const { balance, events } = await open(servers);
  let seen = 0;
  const right = await runAll(balance, 200, (n) => {
    if (n === 20) void servers[0]!.kill();
    if (n !== 100) return;
    servers[0]!.parameter = 'b';
    seen = servers[0]!.asked.length;
    void servers[0]!.listen();
  });
  expect([right, servers[0]!.asked.length]).toEqual([200, seen]);
  expect(events.map(({ type }) => type)).toEqual(['warning', 'warning']);
  expect(balance.report().servers[0]!.state).toBe('out');
});

test('a server that drops the version while it has nothing to do is not used again; what it answered stays', async () => {
  const servers = await start(fakeHttp, 2);
  const { balance } = await open(servers, { policy: { proofMs: 30 } });
  await runAll(balance, 10);
  servers[1]!.versions = ['2'];
  while (balance.report().servers[1]!.state !== 'out') await new Promise((resolve) => setTimeout(resolve, 5));
  await runAll(balance, 10);
  expect((await balance.finish({ outputs: ['Y'] }, never)).servers.map(({ state }) => state)).toEqual(['up', 'out']);
});

test('answers of a version that nobody serves any more at the end are still its answers', async () => {
  const [server] = await start(fakeHttp);
  const { balance } = await open([server!]);
  await runAll(balance, 5);
  server!.versions = ['2'];
  expect((await balance.finish({ outputs: ['Y'] }, never)).servers[0]!.rows).toBe(5 * ROWS);
});

test('a server that was exchanged unnoticed is found at the end: nothing may be used', async () => {
  const [server] = await start(fakeHttp);
  const { balance } = await open([server!]);
  await runAll(balance, 5);
  server!.parameter = 'b';
  await runAll(balance, 5);
  expect((await failureOf(balance.finish({ outputs: ['Y'] }, never))).code).toBe('infer/version-differs');
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'colweave-tls-'));
  const at = (name: string): string => join(folder, name);
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', [...words, ...names, '-keyout', at('key'), '-out', at('cert')], { stdio: 'ignore' });
  const [key, cert] = ['key', 'cert'].map((name) => readFileSync(at(name), 'utf8')) as [string, string];
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(PROTOCOLS)(
    '%s: trusted when its authority is named, and else refused with the way out',
    async (_, make) => {
      const [server] = await start(() => make(undefined, { key, cert }));
      expect(server!.url).toMatch(/^(https|grpcs):/);
      const { balance } = await open([server!], { connect: { ca: [cert], token: 'secret' } });
      expect(await runAll(balance, 5)).toBe(5);
      expect([...server!.tokens]).toEqual(['Bearer secret']);
      const failure = await failureOf(open([server!], { policy: { startMs: 50 } }));
      expect([failure.code, failure.hint]).toEqual([
        'infer/unreachable',
        'name the certificate of its authority with --ca FILE',
      ]);
    },
  );
});

test('Retry-After is obeyed, and a busy server is no failed server', async () => {
  const [server] = await start(fakeHttp);
  server!.retryAfter = '0.2';
  server!.fault = at(0, 'busy');
  const { balance, events } = await open([server!]);
  const begin = performance.now();
  expect(await runAll(balance, 4)).toBe(4);
  expect(performance.now() - begin).toBeGreaterThan(190);
  expect(events).toEqual([]);
});

test('a server that is busy every other time: no pause is without an end', async () => {
  const [server] = await start(fakeHttp);
  server!.fault = (n) => (n % 2 === 1 ? 'busy' : undefined);
  const { balance } = await open([server!], { policy: { pauseMs: 3, pauseMaxMs: 3 } });
  expect(await runAll(balance, 100)).toBe(100);
});

test('a proxy that says 503 in HTML is quoted, and given up in the end', async () => {
  const [server] = await start(fakeHttp);
  server!.fault = () => 'html-503';
  const { balance } = await open([server!], { policy: { budgetMs: 120 } });
  const failure = await failureOf(balance.infer(batch(balance, 0), never));
  expect([failure.code, failure.exit]).toEqual(['infer/overloaded', 75]);
  expect(failure.message).toMatch(/HTTP 503: <html><body>upstream is away x+\.\.\.\); given up after 0 s/);
});

test('no server at all: tried for a while, then exit 75', async () => {
  const [server] = await start(fakeHttp);
  await server!.kill();
  const begin = performance.now();
  const failure = await failureOf(open([server!]));
  expect([failure.code, failure.exit]).toEqual(['infer/unreachable', 75]);
  expect(performance.now() - begin).toBeGreaterThan(140);
});

test('a model that no server has is an error at once, with the nearest name', async () => {
  const [server] = await start(fakeHttp);
  const failure = await failureOf(open([server!], { model: 'doubel' }));
  expect([failure.code, failure.near]).toEqual(['infer/no-model', ['double']]);
});

test('a signal ends a request that waits and one in flight, with its reason', async () => {
  const [server] = await start(fakeHttp);
  server!.fault = () => 'hole';
  const { balance } = await open([server!], { policy: { concurrencyMax: 1 } });
  const stop = new AbortController();
  const works = [0, 1].map((n) => balance.infer(batch(balance, n), stop.signal));
  setTimeout(() => stop.abort(new Error('enough')), 20);
  for (const work of works) await expect(work).rejects.toThrow('enough');
});

test('room holds the maker of batches back: one waits, no more', async () => {
  const [server] = await start(fakeHttp);
  server!.delayMs = 3;
  const { balance } = await open([server!], { policy: { concurrencyMax: 3 } });
  expect(await runAll(balance, 60)).toBe(60);
  expect(server!.inFlightMax).toBeLessThanOrEqual(3);
});
