// A whole join while its server fails, at requests drawn by chance: the output is that of local files, byte for byte, or there is
// none and the error has a code; and it ends in time.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions, JoinReport } from '../../src/command/types.ts';
import type { ColweaveError } from '../../src/core/errors.ts';
import { openSource } from '../../src/source/registry.ts';
import { digests } from './column-digests.ts';
import { type FakeRequest, headOf, type Reply, replyTo, startFake, write } from './fake-http.ts';

const FILES = ['nano_1.root', 'nano_2.root', 'friend_reordered.root'];
const bytesOf = new Map(FILES.map((name) => [name, readFileSync(join('fixtures', name))]));
const TIMEOUT_S = 3;
const IN_TIME_MS = 20_000;
let folder: string;
let expected: Buffer;
let turn = 0;

const BASE: Omit<JoinOptions, 'primary' | 'friends'> = {
  how: 'left',
  columns: [],
  layout: 'arrow',
  missing: { kind: 'reason' },
  schema: 'strict',
  dropUnreadable: false,
  writer: 'parquet',
  compression: 'zstd',
  dryRun: false,
  receipt: false,
  force: false,
  jobs: 1,
};

/** The output, or the error. */
async function joinFrom(base: string): Promise<{ bytes?: Buffer; error?: ColweaveError; ms: number }> {
  const own = join(folder, String(turn++));
  const output = `${own}.parquet`;
  const [first, second, friend] = FILES.map((name) => `${base}/${name}`);
  const options = { ...BASE, primary: [first!, second!], friends: [{ label: 'jes', files: [friend!] }], output };
  const start = performance.now();
  try {
    await runJoin(options, { emit: () => {}, signal: new AbortController().signal });
    return { bytes: readFileSync(output), ms: performance.now() - start };
  } catch (error) {
    const left = readdirSync(folder).filter((name) => name.includes(basename(output)));
    expect(left).toEqual([]);
    return { error: error as ColweaveError, ms: performance.now() - start };
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-faults-'));
  process.env.COLWEAVE_REMOTE_TIMEOUT = String(TIMEOUT_S);
  expected = (await joinFrom('fixtures')).bytes!;
});
afterAll(() => {
  delete process.env.COLWEAVE_REMOTE_TIMEOUT;
  rmSync(folder, { recursive: true });
});

type Fault = (request: FakeRequest, socket: Socket, right: Reply) => void;
const half = ({ body }: Reply) => body.subarray(0, body.length >> 1);
const FAULTS: Readonly<Record<string, Fault>> = {
  reset: (_, socket, right) => {
    socket.write(Buffer.concat([Buffer.from(headOf(right)), half(right)]));
    setTimeout(() => socket.resetAndDestroy(), 1);
  },
  stall: (_, socket, right) => socket.write(Buffer.concat([Buffer.from(headOf(right)), half(right)])),
  truncated: (_, socket, right) => socket.end(Buffer.concat([Buffer.from(headOf(right)), half(right)])),
  'other ranges': (request, socket, right) => {
    const size = bytesOf.get(basename(request.path))!.length;
    write(socket, { ...right, headers: { ...right.headers, 'Content-Range': `bytes 7-16/${size}` } });
  },
  busy: (_, socket) => write(socket, { status: 503, headers: {}, body: Buffer.alloc(0) }),
  'whole file': (request, socket) => {
    const bytes = bytesOf.get(basename(request.path))!;
    write(socket, { status: 200, headers: {}, body: bytes });
  },
  'redirect loop': (request, socket) =>
    write(socket, { status: 302, headers: { Location: request.path }, body: Buffer.alloc(0) }),
};

/** mulberry32: the same draws in each run. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function serveWith(fails: (index: number) => boolean, fault: Fault) {
  let faults = 0;
  const server = await startFake((request, socket) => {
    const right = replyTo(request, { bytes: bytesOf.get(basename(request.path))! });
    if (!fails(request.index)) return write(socket, right);
    faults++;
    fault(request, socket, right);
  });
  return { server, faults: () => faults };
}

/** What a few tries get over, in any mixture. */
const PASSES = ['reset', 'truncated', 'busy', 'other ranges'];

describe.concurrent.each(Object.keys(FAULTS))('%s', (name) => {
  test('now and then, and for ever from some request on', async () => {
    const fault = FAULTS[name]!;
    for (const seed of [1, 2]) {
      const draw = draws(seed);
      const bad = new Set(Array.from({ length: 40 }, (_, i) => i).filter(() => draw() < 0.15));
      const { server, faults } = await serveWith((index) => bad.has(index), fault);
      const { bytes, error, ms } = await joinFrom(server.url);
      await server.close();
      expect(ms).toBeLessThan(IN_TIME_MS);
      if (bytes !== undefined) expect(bytes.equals(expected)).toBe(true);
      else expect([3, 75]).toContain(error!.exit);
      if (PASSES.includes(name) && faults() > 0) expect(error).toBeUndefined();
    }
    const from = 2 + Math.floor(draws(9)() * 6);
    const { server } = await serveWith((index) => index >= from, fault);
    const { error, ms } = await joinFrom(server.url);
    await server.close();
    expect(error?.code).toMatch(/^(remote\/(unreachable|timeout|protocol|busy)|source\/remote)$/);
    expect(ms).toBeLessThan(IN_TIME_MS);
  });
});

test('a file replaced in the middle of the join is never mixed with what was read before', async () => {
  // another file of the same size: its UUID and some values differ
  const other = Buffer.from(bytesOf.get('nano_1.root')!);
  const uuidAt = other.indexOf(bytesOf.get('nano_1.root')!.subarray(200, 216));
  for (let i = 0; i < 200; i++) other[uuidAt + i]! ^= 0xff;
  for (let from = 1; from < 20; from += 3) {
    let seen = 0;
    const server = await startFake((request, socket) => {
      const mine = basename(request.path) === 'nano_1.root';
      if (mine) seen++;
      const bytes = mine && seen > from ? other : bytesOf.get(basename(request.path))!;
      write(socket, replyTo(request, { bytes }));
    });
    const { bytes, error } = await joinFrom(server.url);
    await server.close();
    if (bytes !== undefined) expect(bytes.equals(expected)).toBe(true);
    else expect(error!.code).toMatch(/^(remote\/changed|source\/(damaged|changed|not-root|truncated))$/);
    if (seen > from) expect(bytes).toBeUndefined();
  }
});

test('the plan counts what is kept of files on servers, once and for each thread', async () => {
  const server = await startFake((request, socket) =>
    write(socket, replyTo(request, { bytes: bytesOf.get(basename(request.path))! })),
  );
  const planned = async (base: string, jobs: number, memoryBytes?: number) => {
    const [first, second, friend] = FILES.map((name) => `${base}/${name}`);
    const sources = { primary: [first!, second!], friends: [{ label: 'jes', files: [friend!] }] };
    const limit = memoryBytes === undefined ? {} : { memoryBytes };
    const options = {
      ...BASE,
      ...sources,
      ...limit,
      jobs,
      eventsPerFile: 100,
      dryRun: true,
      output: `${join(folder, 'plan')}/`,
    };
    const report = await runJoin(options, { emit: () => {}, signal: new AbortController().signal });
    return (report as JoinReport).plan;
  };
  const mebi = 2 ** 20;
  for (const jobs of [1, 2]) {
    const [near, far] = [await planned('fixtures', jobs), await planned(server.url, jobs)];
    expect(far.threads).toBe(near.threads);
    expect(near.threads).toBe(jobs);
    expect(far.memoryBytes - near.memoryBytes).toBe((64 + jobs * (24 + 24)) * mebi);
    const tight = await planned(server.url, jobs, near.memoryBytes);
    expect(tight.threads).toBe(1);
  }
  await server.close();
});

// not LZ4 or zstd of ROOT: what does not get smaller is stored as it is there, and zstd has no checksum
test.each(['comp_zlib.root', 'rntuple_nano_1.root', 'friend_pages_v2.parquet'])(
  'a byte of %s that changes on its way is found by the checksums of the format',
  async (name) => {
    const bytes = readFileSync(join('fixtures', name));
    const source = await openSource(join('fixtures', name), {});
    const right = await digests(source);
    await source.close();
    const draw = draws(5);
    for (let round = 0; round < 6; round++) {
      const at = draw();
      const server = await startFake((request, socket) => {
        const reply = replyTo(request, { bytes, rangesMax: 1 });
        const body = Buffer.from(reply.body);
        if (request.index > 2 && body.length > 1000) body[Math.floor(body.length * at)]! ^= 0x20;
        write(socket, { ...reply, body });
      });
      const file = await openSource(`${server.url}/${name}`, {}).catch((error: ColweaveError) => error);
      const read = 'code' in file ? file : await digests(file).catch((error: ColweaveError) => error);
      if (!('code' in file)) await file.close();
      await server.close();
      if (read instanceof Error) expect((read as ColweaveError).exit).toBe(3);
      else expect(read).toEqual(right);
    }
  },
);
