// Reading over HTTP when servers are right: what is asked for, how few requests it takes, and who is told which secret.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adler32Hex } from '../../src/bytes/adler32.ts';
import { takeTally, tallyNow } from '../../src/bytes/counted.ts';
import { openHttp } from '../../src/bytes/http.ts';
import { openStore } from '../../src/bytes/open.ts';
import { openInput } from '../../src/source/registry.ts';
import { digests } from './column-digests.ts';
import { type Behave, type FakeServer, replyTo, type Served, startFake, write } from './fake-http.ts';

const QUICK = {
  policy: { triesMax: 3, delayMs: 2, delayMsMax: 10, deadlineMs: 20_000 },
  patience: { connectMs: 5000, answerMs: 5000, stallMs: 5000, stallBytesMin: 1 },
};
const FILE = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 2654435761) >>> 13));
/** 250 pieces that lie too far apart to be read together. */
const MANY = Array.from({ length: 250 }, (_, i) => ({ offset: 2000 + 11_000 * i, length: 400 }));

const servers: FakeServer[] = [];
let folder: string;
let saved: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-http-'));
  saved = { ...process.env };
  for (const name of ['BEARER_TOKEN', 'BEARER_TOKEN_FILE', 'X509_USER_PROXY']) delete process.env[name];
  takeTally();
});

afterEach(async () => {
  process.env = saved;
  rmSync(folder, { recursive: true });
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(behave: Behave): Promise<FakeServer> {
  const server = await startFake(behave);
  servers.push(server);
  return server;
}

const serving = (served: Partial<Served> = {}) =>
  serve((request, socket) => write(socket, replyTo(request, { bytes: FILE, ...served })));

const same = (arrays: readonly Uint8Array[], ranges: readonly { offset: number; length: number }[]) =>
  arrays.every((array, i) => FILE.subarray(ranges[i]!.offset, ranges[i]!.offset + ranges[i]!.length).equals(array));

describe('ranges', () => {
  test('many pieces are few requests, and any order comes back as it was asked', async () => {
    const server = await serving();
    const store = await openHttp(`${server.url}/a`, QUICK);
    const mixed = [...MANY].reverse();
    expect(same(await store.read(mixed), mixed)).toBe(true);
    // one to open, two of 200 pieces at the most
    expect(server.requests.length).toBe(3);
    const [[, traffic]] = tallyNow() as unknown as [[string, { bytesAsked: number; bytesTravelled: number }]];
    expect(traffic.bytesAsked).toBe(250 * 400);
    expect(traffic.bytesTravelled).toBeGreaterThan(traffic.bytesAsked);
  });

  test.each([
    ['the whole file for more than one range', { rangesMax: 1, otherwise: 200 as const }, 1],
    ['an error for more than one range', { rangesMax: 1, otherwise: 400 as const }, 1],
    ['the whole file for more than 30 ranges', { rangesMax: 30, otherwise: 200 as const }, 20],
  ])('steps down where the server sends %s, and stays there', async (_, served, piecesMax) => {
    const server = await serving({ ...served, headers: { ETag: '"x"' } });
    const store = await openHttp(`${server.url}/a`, QUICK);
    expect(same(await store.read(MANY), MANY)).toBe(true);
    const before = server.requests.length;
    expect(same(await store.read(MANY), MANY)).toBe(true);
    const later = server.requests.slice(before).map(({ headers }) => headers.get('Range')!.split(',').length);
    expect(Math.max(...later)).toBe(piecesMax);
  });

  test('a long run of bytes goes in pieces over several connections', async () => {
    const server = await serving();
    const store = await openHttp(`${server.url}/a`, QUICK);
    const [all] = await store.read([{ offset: 0, length: FILE.length }]);
    expect(FILE.equals(all!)).toBe(true);
  });

  test('gaps are read over only while they cost little', async () => {
    const server = await serving();
    const store = await openHttp(`${server.url}/a`, QUICK);
    const wide = [
      { offset: 100_000, length: 1000 },
      { offset: 103_000, length: 1000 },
    ];
    await store.read(wide);
    expect(server.requests.at(-1)!.headers.get('Range')!.split(',').length).toBe(3); // and the head, to tell the file
    await store.read([
      { offset: 100_000, length: 1000 },
      { offset: 101_050, length: 1000 },
    ]);
    expect(server.requests.at(-1)!.headers.get('Range')!.split(',').length).toBe(2);
  });

  test('empty, tiny and absent', async () => {
    const server = await serve((request, socket) => {
      const bytes = request.path === '/empty' ? Buffer.alloc(0) : FILE.subarray(0, 10);
      write(socket, replyTo(request, { bytes }));
    });
    expect((await openHttp(`${server.url}/empty`, QUICK)).size).toBe(0);
    const tiny = await openHttp(`${server.url}/tiny`, QUICK);
    expect(tiny.size).toBe(10);
    await expect(tiny.read([{ offset: 5, length: 6 }])).rejects.toMatchObject({ code: 'source/truncated' });
    await expect(tiny.read([{ offset: -1, length: 2 }])).rejects.toMatchObject({ code: 'source/damaged' });
  });

  test('a server that sends whole files only is refused by name', async () => {
    const server = await serving({ rangesMax: 0 });
    await expect(openHttp(`${server.url}/a`, QUICK)).rejects.toMatchObject({ code: 'source/remote' });
  });

  test('what ended with an error is not used again, what was closed is', async () => {
    const server = await serving();
    const first = await openStore(`${server.url}/a`);
    await first.close();
    await (await openStore(`${server.url}/a`)).close();
    expect(server.requests.length).toBe(1);
    const second = await openStore(`${server.url}/a`);
    await expect(second.read([{ offset: FILE.length, length: 1 }])).rejects.toThrow();
    await second.close();
    await (await openStore(`${server.url}/a`)).close();
    expect(server.requests.length).toBe(2);
  });

  test('metadata is read with its surroundings, once; what was asked ahead is not asked again', async () => {
    const server = await serving();
    const store = await openStore(`${server.url}/b`);
    await store.read([{ offset: FILE.length - 500, length: 100 }]);
    await store.read([{ offset: FILE.length - 400, length: 100 }]);
    await store.read([{ offset: FILE.length - 5000, length: 300 }]);
    expect(server.requests.length).toBe(2);
    store.askAhead!(MANY);
    expect(same(await store.read(MANY), MANY)).toBe(true);
    expect(server.requests.length).toBe(4);
    expect(same(await store.read(MANY), MANY)).toBe(true);
    expect(server.requests.length).toBe(4); // it was read a moment ago
    await store.close();
  });
});

describe('secrets', () => {
  test('a token is not sent over http, and the message says what would help', async () => {
    process.env.BEARER_TOKEN = 'very-secret';
    const server = await serve((_, socket) => write(socket, { status: 403, headers: {}, body: Buffer.alloc(0) }));
    const error = await openHttp(`${server.url}/a`, QUICK).catch((cause) => cause);
    expect(error).toMatchObject({ code: 'credentials/absent', exit: 4, hint: expect.stringContaining('https') });
    expect(JSON.stringify([error, error.message])).not.toContain('very-secret');
    expect(server.requests.some(({ headers }) => headers.has('Authorization'))).toBe(false);
  });

  test('a password in the URL goes to its host alone, not where that redirects to, and is never shown', async () => {
    const other = await serving();
    const server = await serve((_, socket) =>
      write(socket, { status: 307, headers: { Location: `http://localhost:${other.port}/b` }, body: Buffer.alloc(0) }),
    );
    const store = await openHttp(`http://me:hunter2@127.0.0.1:${server.port}/a`, QUICK);
    expect(same(await store.read(MANY), MANY)).toBe(true);
    expect(server.requests[0]!.headers.get('Authorization')).toMatch(/^Basic /);
    expect(other.requests.some(({ headers }) => headers.has('Authorization'))).toBe(false);
    // the first redirect is remembered: one journey a request
    expect(server.requests.length).toBe(1);
  });

  test('a signed URL that is past its time is told from one that is refused, and its signature is not shown', async () => {
    const said = { message: 'Request has expired' };
    const server = await serve((_, socket) => {
      const body = Buffer.from(`<Error><Code>AccessDenied</Code><Message>${said.message}</Message></Error>`);
      write(socket, { status: 403, headers: {}, body });
    });
    const url = `${server.url}/a?X-Amz-Signature=abcdef123&X-Amz-Date=20260101T000000Z`;
    const expired = await openHttp(url, QUICK).catch((cause) => cause);
    expect(expired).toMatchObject({ code: 'credentials/expired', exit: 4 });
    expect(expired.where.join()).toBe(`${server.url}/a?X-Amz-Signature=...&X-Amz-Date=20260101T000000Z`);
    said.message = 'The request signature we calculated does not match';
    await expect(openHttp(url, QUICK)).rejects.toMatchObject({ code: 'credentials/refused' });
  });

  test('a broken credential is named when the server wants one', async () => {
    const path = join(folder, 'x509');
    writeFileSync(path, 'nothing', { mode: 0o644 });
    process.env.X509_USER_PROXY = path;
    const server = await serve((_, socket) => write(socket, { status: 401, headers: {}, body: Buffer.alloc(0) }));
    await expect(openHttp(`${server.url}/a`, QUICK)).rejects.toMatchObject({ code: 'credentials/absent' });
  });
});

test('a time limit that is no number of seconds is refused before anything is asked', async () => {
  process.env.COLWEAVE_REMOTE_TIMEOUT = 'soon';
  const server = await serving();
  await expect(openHttp(`${server.url}/a`)).rejects.toMatchObject({ code: 'usage/bad-option', exit: 2 });
  expect(server.requests).toEqual([]);
});

test('the next server is asked where one has no such file; when none has it, all are named', async () => {
  const without = await serve((_, socket) => write(socket, { status: 404, headers: {}, body: Buffer.alloc(0) }));
  const bytes = readFileSync('fixtures/friend_i64.parquet');
  const having = await serving({ bytes });
  const [first, second] = [`${without.url}/store/x.parquet`, `${having.url}/store/x.parquet`];
  const file = await openInput({ uri: first, replicas: [second] });
  expect(file.descriptor.uri).toBe(second);
  await file.close();
  await expect(openInput({ uri: first, replicas: [`${without.url}/store/y.parquet`] })).rejects.toMatchObject({
    code: 'source/not-found',
    details: [expect.stringContaining(`${without.url}/store/y.parquet: source/not-found`)],
  });
});

describe('a server that dies in mid-read', () => {
  const right = readFileSync('fixtures/many_baskets.root');
  /** Answers until it is told to die. */
  async function mortal() {
    let alive = true;
    const server = await serve((request, socket) =>
      alive ? write(socket, replyTo(request, { bytes: right })) : socket.destroy(),
    );
    const die = () => {
      alive = false;
    };
    return { ...server, die };
  }

  test('another goes on with the same file, and is left alone until then', async () => {
    process.env.COLWEAVE_REMOTE_TIMEOUT = '1';
    const local = await openInput({ uri: 'fixtures/many_baskets.root' });
    const first = await mortal();
    const second = await serving({ bytes: right });
    const file = await openInput({ uri: `${first.url}/x.root`, replicas: [`${second.url}/x.root`] });
    expect(second.requests).toEqual([]);
    first.die();
    expect(await digests(file)).toEqual(await digests(local));
    expect(second.requests.length).toBeGreaterThan(0);
    expect(file.descriptor.uri).toBe(`${first.url}/x.root`);
    await Promise.all([file.close(), local.close()]);
  });

  test('another that has something else of that name is not read', async () => {
    process.env.COLWEAVE_REMOTE_TIMEOUT = '1';
    const other = Buffer.from(right);
    const { id } = (await openInput({ uri: 'fixtures/many_baskets.root' })).descriptor.identity;
    const uuid = Buffer.from(id.replaceAll('-', ''), 'hex');
    expect(other.indexOf(uuid)).toBeGreaterThan(0);
    for (let at = other.indexOf(uuid); at >= 0; at = other.indexOf(uuid)) other[at]! ^= 1;
    const second = await serving({ bytes: other });
    const first = await mortal();
    const file = await openInput({ uri: `${first.url}/x.root`, replicas: [`${second.url}/x.root`] });
    first.die();
    await expect(digests(file)).rejects.toMatchObject({
      code: 'remote/unreachable',
      details: expect.arrayContaining([expect.stringMatching(/remote\/changed: the file is not the one/)]),
    });
    await file.close();
  });
});

test.each(['friend_i64.parquet', 'rntuple_nano_1.root'])(
  'what of %s was asked ahead is not asked again',
  async (name) => {
    const server = await serving({ bytes: readFileSync(`fixtures/${name}`) });
    const file = await openInput({ uri: `${server.url}/${name}` });
    const names = file.descriptor.schema.fields.map((field) => field.name);
    const before = server.requests.length;
    file.askAhead!(names, 0, file.descriptor.rows);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const asked = server.requests.length;
    expect(asked).toBeGreaterThan(before);
    const local = await openInput({ uri: `fixtures/${name}` });
    expect(await digests(file)).toEqual(await digests(local));
    expect(server.requests.length).toBe(asked);
    await Promise.all([file.close(), local.close()]);
  },
);

test('of an RNTuple rows in the middle of a cluster are asked ahead as far as their place is known', async () => {
  const name = 'rntuple_nano_1.root';
  const server = await serving({ bytes: readFileSync(`fixtures/${name}`) });
  const file = await openInput({ uri: `${server.url}/${name}` });
  const local = await openInput({ uri: `fixtures/${name}` });
  const { rows } = file.descriptor;
  for (const [start, end] of [
    [1, rows],
    [0, rows - 1],
    [rows >> 1, (rows >> 1) + 1],
  ] as const) {
    file.askAhead!(['event', 'Jet_pt', 'MET_pt'], start, end);
    const read = await file.read(['event', 'Jet_pt', 'MET_pt'], start, end);
    expect(read).toEqual(await local.read(['event', 'Jet_pt', 'MET_pt'], start, end));
  }
  await Promise.all([file.close(), local.close()]);
});

describe('a whole copy is compared with the sum of the server', () => {
  const bytes = readFileSync('fixtures/friend.arrows');
  // the last four bytes of a zlib stream are the adler32 of what is in it
  const hex = deflateSync(bytes).subarray(-4).toString('hex');
  /** A bit of the first bodies is another. */
  const flipping = (times: number, sum = hex) => {
    let flipped = 0;
    return serve((request, socket) => {
      const reply = replyTo(request, { bytes });
      if (request.method === 'HEAD') {
        return write(socket, { status: 200, headers: { Digest: `adler32=${sum}` }, body: Buffer.alloc(0) });
      }
      const body = Buffer.from(reply.body);
      if (body.length > 5000 && flipped++ < times) body[3000]! ^= 1;
      write(socket, { ...reply, body });
    });
  };

  test('and read again where it differs', async () => {
    const local = await openInput({ uri: 'fixtures/friend.arrows' });
    const file = await openInput({ uri: `${(await flipping(2)).url}/x.arrows` });
    expect(await digests(file)).toEqual(await digests(local));
    await Promise.all([file.close(), local.close()]);
  });

  test('and refused where it always differs', async () => {
    for (const server of [await flipping(99), await flipping(0, '00000001')]) {
      await expect(openInput({ uri: `${server.url}/x.arrows` })).rejects.toMatchObject({
        code: 'remote/protocol',
        details: [expect.stringContaining('adler32 of what came: '), 'read 3 times'],
      });
    }
  });

  test('as zlib sums it', () => {
    for (const length of [0, 1, 5551, 5552, 5553, 70_000]) {
      const each = Buffer.alloc(length, 0xff);
      expect(adler32Hex(each)).toBe(deflateSync(each).subarray(-4).toString('hex'));
    }
  });
});

test('the sum of a whole file as grid servers give it', async () => {
  const server = await serve((request, socket) => {
    const right = replyTo(request, { bytes: FILE });
    if (request.method !== 'HEAD') return write(socket, right);
    const asked = request.headers.get('Want-Digest') === 'adler32';
    write(socket, {
      status: 200,
      headers: { ...(asked ? { Digest: 'adler32=0A1b2c3' } : {}), 'Content-Length': '0' },
      body: Buffer.alloc(0),
    });
  });
  const store = await openHttp(`${server.url}/a`, QUICK);
  expect(await store.checksum!()).toEqual({ algorithm: 'adler32', hex: '00a1b2c3' });
});
