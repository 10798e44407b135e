// Our root:// client against a server that breaks the protocol in all the ways that a network and a server can: never wrong
// bytes, and an end in time.
import { afterEach, describe, expect, it } from 'vitest';
import { takeTally } from '../../src/bytes/counted.ts';
import type { ByteRange, ByteStore } from '../../src/bytes/types.ts';
import { openXrootdStore } from '../../src/bytes/xrootd.ts';
import type { ColweaveError } from '../../src/core/errors.ts';
import {
  type Fake,
  type FakeFile,
  type FakeOptions,
  type Fault,
  int,
  redirectTo,
  serverSays,
  startFake,
  waitFor,
} from './xrootd-fake.ts';

const OPTIONS = {
  policy: { triesMax: 3, delayMs: 1, delayMsMax: 2, deadlineMs: 3000 },
  limits: { connectMsMax: 1000, silenceMsMax: 80 },
};
const BYTES = Buffer.alloc(3_500_000);
for (let i = 0; i < BYTES.length; i += 4) BYTES.writeUInt32LE((i * 2654435761) >>> 0, i);
const PATH = '/store/x.root';
const newFile = (bytes = BYTES): FakeFile => ({ bytes, id: '1', modified: 1000 });

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  takeTally();
});

async function fake(options: Partial<FakeOptions> = {}): Promise<Fake> {
  const server = await startFake({ files: new Map([[PATH, newFile()]]), ...options });
  cleanups.push(() => server.close());
  return server;
}

async function open(server: Fake, path = PATH): Promise<ByteStore> {
  const store = await openXrootdStore(`${server.url}${path}`, OPTIONS);
  cleanups.push(() => store.close());
  return store;
}

const failure = (work: Promise<unknown>): Promise<ColweaveError> =>
  work.then(
    () => expect.fail('it did not fail'),
    (error: ColweaveError) => error,
  );

const MIXED: readonly ByteRange[] = [
  { offset: 1_000_000, length: 1_500_000 },
  { offset: 5, length: 10 },
  { offset: 0, length: 0 },
  ...Array.from({ length: 40 }, (_, i) => ({ offset: 40_000 + i * 20_000, length: 1000 + i })),
  { offset: BYTES.length - 7, length: 7 },
  { offset: 2_600_000, length: 400_000 },
];

async function expectRight(store: ByteStore, ranges = MIXED): Promise<void> {
  const arrays = await store.read(ranges);
  const wrong = ranges.filter(({ offset, length }, i) => !BYTES.subarray(offset, offset + length).equals(arrays[i]!));
  expect(wrong).toEqual([]);
}

/** The fault of the n-th request of a name, or of all from there on. */
const once =
  (name: string, fault: Fault, n = 0) =>
  (asked: { name: string; count: number }) =>
    asked.name === name && asked.count === n ? fault : undefined;
const always = (name: string, fault: Fault) => (asked: { name: string }) => (asked.name === name ? fault : undefined);

describe('reads', () => {
  it('long and short ranges, in any order, together and alone', async () => {
    const server = await fake();
    const store = await open(server);
    expect(store.size).toBe(BYTES.length);
    await expectRight(store);
    expect(server.asked.filter(({ name }) => name === 'readv')).toHaveLength(1);
    const [whole] = await store.read([{ offset: 0, length: store.size }]);
    expect(BYTES.equals(whole!)).toBe(true);
  });

  it.each([1, 13, 4096, 70_000])('answers in pieces of %d bytes', async (pieceBytes) => {
    const ranges = pieceBytes < 100 ? MIXED.slice(1, 9) : MIXED;
    await expectRight(await open(await fake({ pieceBytes })), ranges);
  });

  it('within the limits of the server', async () => {
    const server = await fake({ limits: [3, 1010] });
    await expectRight(await open(server));
    expect(server.asked.filter(({ name }) => name === 'readv').length).toBeGreaterThan(3);
  });

  it('into the room that it is given', async () => {
    const store = await open(await fake());
    const room = new Uint8Array(100_000);
    const [array] = await store.readInto!([{ offset: 70, length: 90_000 }], room);
    expect(array!.buffer).toBe(room.buffer);
    expect(BYTES.subarray(70, 90_070).equals(array!)).toBe(true);
  });

  it('over one session for all files of a server', async () => {
    const files = new Map([
      [PATH, newFile()],
      ['/store/y.root', newFile(BYTES.subarray(0, 5000))],
    ]);
    const server = await fake({ files });
    const stores = await Promise.all([open(server), open(server, '/store/y.root')]);
    expect(stores.map(({ size }) => size)).toEqual([BYTES.length, 5000]);
    expect(server.asked.filter(({ name }) => name === 'login')).toHaveLength(1);
  });

  it('says what lies beyond the end without asking', async () => {
    const store = await open(await fake());
    const error = await failure(store.read([{ offset: BYTES.length - 1, length: 2 }]));
    expect(error.code).toBe('source/truncated');
  });

  it('of a server that has no status of an open file', async () => {
    await expectRight(await open(await fake({ fault: always('stat', serverSays(3013, 'not supported')) })));
  });

  it('gives the sum that the server has', async () => {
    expect(await (await open(await fake())).checksum!()).toEqual({ algorithm: 'adler32', hex: '0000abcd' });
  });
});

describe('a server that fails once is asked again', () => {
  const faults: readonly [string, string, Fault][] = [
    ['reset in an answer', 'read', { kind: 'reset', afterBytes: 300_000 }],
    ['reset in a vector', 'readv', { kind: 'reset', afterBytes: 5000 }],
    ['reset before an answer', 'read', { kind: 'reset', afterBytes: 0 }],
    ['reset at login', 'login', { kind: 'reset', afterBytes: 0 }],
    ['reset at open', 'open', { kind: 'reset', afterBytes: 3 }],
    ['silence in an answer', 'read', { kind: 'stall', afterBytes: 100_000 }],
    ['silence in a header', 'readv', { kind: 'stall', afterBytes: 4 }],
    ['drops of bytes', 'read', { kind: 'drip', everyMs: 5 }],
    ['silence at hello', 'protocol', { kind: 'stall', afterBytes: 0 }],
    ['an answer that is short', 'read', { kind: 'data', change: (data) => data.subarray(0, -1) }],
    ['an answer that is empty', 'read', { kind: 'data', change: () => Buffer.alloc(0) }],
    ['an answer that is long', 'read', { kind: 'data', change: (data) => Buffer.concat([data, int(0)]) }],
    ['a vector that is short', 'readv', { kind: 'data', change: (data) => data.subarray(0, -20) }],
    ['a vector that is long', 'readv', { kind: 'data', change: (data) => Buffer.concat([data, data.subarray(0, 26)]) }],
    ['a vector of another handle', 'readv', { kind: 'data', change: (data) => data.fill(9, 0, 4) }],
    ['a vector of another length', 'readv', { kind: 'data', change: (data) => data.fill(1, 4, 8) }],
    ['a vector of another offset', 'readv', { kind: 'data', change: (data) => data.fill(1, 14, 16) }],
    ['an answer to another request', 'read', { kind: 'bytes', change: (answer) => answer.fill(0x77, 0, 2) }],
    ['a negative length', 'read', { kind: 'bytes', change: (answer) => answer.fill(0xff, 4, 8) }],
    ['a handle that was lost', 'read', serverSays(3004, 'not open')],
    ['an error of the disk', 'readv', serverSays(3007, 'input/output error')],
    ['too much to do', 'open', serverSays(3024, 'overloaded')],
    ['wait, at open', 'open', waitFor(0)],
    ['wait, at a read', 'read', waitFor(0)],
    ['later, at open', 'open', { kind: 'later', ms: 10 }],
    ['later, at a vector', 'readv', { kind: 'later', ms: 10 }],
    ['a redirect in mid-file', 'read', redirectTo(1)],
  ];
  it.each(faults)('%s', async (_, name, fault) => {
    await expectRight(await open(await fake({ fault: once(name, fault) })));
  });
});

it('a line that breaks after each answer is read to the end', async () => {
  const reads = new Map<number, number>();
  const fault = ({ name, connection }: { name: string; connection: number }): Fault | undefined => {
    if (name !== 'read') return undefined;
    const before = reads.get(connection) ?? 0;
    reads.set(connection, before + 1);
    return before === 0 ? undefined : { kind: 'hangUp', afterBytes: 50_000 };
  };
  const store = await open(await fake({ fault }));
  const limit = OPTIONS.policy.triesMax * 2 ** 20;
  expect(BYTES.length).toBeGreaterThan(limit);
  await expectRight(store, [{ offset: 0, length: BYTES.length }]);
});

it.each(['read', 'readv'])('bytes lost at the end of a %s are not taken from the next answer', async (name) => {
  const ranges = name === 'read' ? [MIXED[0]!] : MIXED.slice(3, 30);
  for (const lost of [1, 9, 30]) {
    const change = (answer: Buffer) => answer.subarray(0, answer.length - lost);
    await expectRight(await open(await fake({ fault: once(name, { kind: 'bytes', change }) })), ranges);
  }
});

describe('a server that goes on failing ends in a coded error, in time', () => {
  const faults: readonly [string, string, Fault, string][] = [
    ['reset', 'read', { kind: 'reset', afterBytes: 10 }, 'remote/unreachable'],
    ['silence', 'read', { kind: 'stall', afterBytes: 10 }, 'remote/timeout'],
    ['short answers', 'read', { kind: 'data', change: (data) => data.subarray(0, -1) }, 'remote/protocol'],
    ['other offsets', 'readv', { kind: 'data', change: (data) => data.fill(1, 14, 16) }, 'remote/protocol'],
    ['not found', 'open', serverSays(3011, 'no such file'), 'source/not-found'],
    ['not allowed', 'open', serverSays(3010, 'permission denied'), 'credentials/refused'],
    ['a directory', 'open', serverSays(3016, 'is a directory'), 'source/not-readable'],
    ['overloaded', 'open', serverSays(3024, 'overloaded'), 'remote/busy'],
    [
      'no protocol of ours',
      'protocol',
      { kind: 'bytes', change: () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') },
      'remote/protocol',
    ],
  ];
  it.each(faults)('%s: %s', async (_, name, fault, code) => {
    const server = await fake({ fault: always(name, fault) });
    const error = await failure(open(server).then((store) => store.read(MIXED)));
    expect(error.code).toBe(code);
    expect(error.where.join()).toContain('127.0.0.1');
  });

  it('drops of bytes', async () => {
    const server = await fake({ fault: always('read', { kind: 'drip', everyMs: 5 }) });
    const policy = { ...OPTIONS.policy, deadlineMs: 300 };
    const store = await openXrootdStore(`${server.url}${PATH}`, { ...OPTIONS, policy });
    const start = performance.now();
    expect((await failure(store.read([MIXED[0]!]))).code).toBe('remote/timeout');
    expect(performance.now() - start).toBeLessThan(2000);
    await store.close();
  });

  it('nobody there', async () => {
    const server = await fake();
    await server.close();
    expect((await failure(open(server))).code).toBe('remote/unreachable');
  });
});

it('$COLWEAVE_REMOTE_TIMEOUT ends what does not end by itself', async () => {
  process.env.COLWEAVE_REMOTE_TIMEOUT = '0.5';
  const server = await fake({ fault: always('read', { kind: 'stall', afterBytes: 10 }) });
  try {
    const store = await openXrootdStore(`${server.url}${PATH}`, {});
    const start = performance.now();
    expect((await failure(store.read([MIXED[0]!]))).code).toBe('remote/timeout');
    expect(performance.now() - start).toBeLessThan(5000);
    await store.close();
  } finally {
    delete process.env.COLWEAVE_REMOTE_TIMEOUT;
  }
});

describe('redirects', () => {
  it('are followed, with what they add to the name', async () => {
    const data = await fake();
    const front = await fake({ fault: always('open', redirectTo(data.port, '?cap=1&x=2')) });
    await expectRight(await open(front));
    expect(data.asked.find(({ name }) => name === 'open')!.text).toBe(`${PATH}?cap=1&x=2`);
  });

  it('without an end are an error', async () => {
    const ports: number[] = [];
    const fault = ({ name }: { name: string }) => (name === 'open' ? redirectTo(ports[0]!) : undefined);
    const server = await fake({ fault });
    ports.push(server.port);
    const error = await failure(open(server));
    expect([error.code, error.message]).toEqual(['remote/protocol', 'redirected 16 times without an end']);
  });

  it('to a server that fails are taken back to the one who knows others', async () => {
    const bad = await fake({ fault: always('open', serverSays(3007, 'broken disk')) });
    const good = await fake();
    const fault = ({ name, text }: { name: string; text: string }) =>
      name === 'open' ? redirectTo(text.includes('tried=127.0.0.1') ? good.port : bad.port) : undefined;
    await expectRight(await open(await fake({ fault })));
  });

  it('to nowhere are not retried for ever', async () => {
    const gone = await fake();
    await gone.close();
    const front = await fake({ fault: always('open', redirectTo(gone.port)) });
    expect((await failure(open(front))).code).toBe('remote/unreachable');
  });
});

describe('a file that was replaced is not read on', () => {
  const broken = once('read', { kind: 'reset', afterBytes: 1000 });
  const replaced = async (change: (files: Map<string, FakeFile>) => void) => {
    const files = new Map([[PATH, newFile()]]);
    const store = await open(await fake({ files, fault: broken }));
    change(files);
    return failure(store.read(MIXED));
  };

  it('by another of the same size, found when it is opened again', async () => {
    const error = await replaced((files) => files.set(PATH, { ...newFile(Buffer.from(BYTES).fill(1)), id: '2' }));
    expect([error.code, error.message]).toEqual(['remote/changed', expect.stringContaining('it was replaced')]);
  });

  it('by a longer one', async () => {
    const error = await replaced((files) => files.set(PATH, newFile(Buffer.alloc(BYTES.length + 1))));
    expect([error.code, error.message]).toEqual(['remote/changed', expect.stringContaining('bytes')]);
  });

  it('by writing into it', async () => {
    const file = newFile();
    const store = await open(await fake({ files: new Map([[PATH, file]]) }));
    await store.read(MIXED);
    file.modified++;
    expect((await failure(store.read(MIXED))).code).toBe('remote/changed');
  });

  it('by another of that name on the server that takes over; the same file is read on', async () => {
    for (const same of [true, false]) {
      const other = { bytes: same ? BYTES : Buffer.from(BYTES).fill(1, 0, 9), id: '9', modified: 77 };
      const second = await fake({ files: new Map([[PATH, other]]) });
      const first = await fake({ fault: once('read', { kind: 'reset', afterBytes: 0 }) });
      let opened = 0;
      const fault = ({ name }: { name: string }) =>
        name === 'open' ? redirectTo(opened++ === 0 ? first.port : second.port) : undefined;
      const store = await open(await fake({ fault }));
      await expectRight(store, [
        { offset: 0, length: 16 },
        { offset: 200, length: 16 },
      ]);
      const reading = store.read([{ offset: 500_000, length: 500_000 }]);
      if (same) expect(BYTES.subarray(500_000, 1_000_000).equals((await reading)[0]!)).toBe(true);
      else expect((await failure(reading)).code).toBe('remote/changed');
    }
  });
});

describe('an aborted read', () => {
  it('ends at once, and nothing is written to its room after that', async () => {
    const server = await fake({ fault: once('read', { kind: 'drip', everyMs: 1 }) });
    const store = await open(server);
    const room = new Uint8Array(900_000);
    const controller = new AbortController();
    const reading = failure(store.readInto!([{ offset: 0, length: 900_000 }], room, controller.signal));
    await new Promise((resolve) => setTimeout(resolve, 30));
    controller.abort(new Error('stop'));
    expect((await reading).message).toBe('stop');
    room.fill(3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(room.every((value) => value === 3)).toBe(true);
  });

  it('does not end those of others', async () => {
    const server = await fake({ pieceBytes: 10_000 });
    const store = await open(server);
    const controller = new AbortController();
    const aborted = failure(store.read([{ offset: 0, length: 3_000_000 }], controller.signal));
    const other = expectRight(store);
    controller.abort(new Error('stop'));
    expect((await aborted).message).toBe('stop');
    await other;
    const [, { retries }] = takeTally()!.find(([name]) => name.endsWith(`:${server.port}`))!;
    expect(retries).toBe(0);
  });
});

describe('doors', () => {
  it('lets in by a name where that is all that is asked for', async () => {
    const server = await fake({ takes: '&P=krb5,x&P=unix' });
    await expectRight(await open(server));
    expect(server.asked.filter(({ name }) => name === 'auth')).toHaveLength(1);
  });

  it('names what would let us in', async () => {
    const error = await failure(open(await fake({ takes: '&P=krb5,host' })));
    expect([error.code, error.exit, error.message]).toEqual([
      'credentials/absent',
      4,
      'the server lets in krb5, and none was found',
    ]);
  });
});

it('header bytes flipped at random: right bytes or a coded error, in time', async () => {
  let state = 20261125;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const ranges = [
    { offset: 100, length: 50 },
    { offset: 30_000, length: 70 },
    { offset: 400_000, length: 300_000 },
  ];
  let failed = 0;
  for (let round = 0; round < 12; round++) {
    // headers only: nothing in the protocol protects the data themselves, their own checks do
    const flip = (answer: Buffer, name: string) => {
      const headers = name === 'readv' ? [0, 24] : [0, 8];
      answer[headers[0]! + random(headers[1]! - headers[0]!)]! ^= 1 << random(8);
      return answer;
    };
    const victim = random(2) === 0 ? 'read' : 'readv';
    const server = await fake({
      fault: ({ name, count }) =>
        name === victim && count < 1 + random(3)
          ? { kind: 'bytes', change: (answer) => flip(answer, name) }
          : undefined,
    });
    const store = await open(server);
    const outcome = await store.read(ranges).catch((error: ColweaveError) => error);
    if (outcome instanceof Error) {
      failed++;
      expect(outcome.code).toMatch(/^remote\//);
    } else {
      for (const [i, { offset, length }] of ranges.entries()) {
        expect(BYTES.subarray(offset, offset + length).equals(outcome[i]!)).toBe(true);
      }
    }
  }
  expect(failed).toBeLessThan(8);
});
