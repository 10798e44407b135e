// The exchange over HTTP/1.1: answers read as node:http reads them, whatever pieces they come in, and none taken for another's.
import { request } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { AnswerReader } from '../../src/infer/http-answer.ts';
import { httpCaller } from '../../src/infer/http-call.ts';
import { ServerError } from '../../src/infer/server-error.ts';
import type { ConnectOptions } from '../../src/infer/types.ts';

const never = new AbortController().signal;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Calls `asked` with the number of the question on its connection, and that of the connection. */
async function serve(asked: (socket: Socket, question: number, connection: number) => void): Promise<URL> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = sockets.size;
    let questions = 0;
    socket.on('error', () => {});
    // the questions of these tests come in one piece
    socket.on('data', () => asked(socket, ++questions, connection));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function open(base: URL, options: ConnectOptions = {}) {
  const caller = httpCaller(base, options);
  closers.push(() => caller.close());
  return async (signal = never) => {
    const { status, headers, body } = await caller.call({ method: 'GET', path: '/' }, signal);
    return { status, headers: { ...headers }, body: Buffer.from(body).toString() };
  };
}

interface Said {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function asNodeReads(base: URL): Promise<Said> {
  return new Promise((resolve, reject) => {
    const asking = request(base, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    asking.on('error', reject);
    asking.end();
  });
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('an answer', () => {
  test.each([
    ['of a told length', `${OK}Content-Length: 5\r\n\r\nhello`],
    ['of no bytes', `${OK}Content-Length: 0\r\n\r\n`],
    ['without a reason', 'HTTP/1.1 503\r\ncontent-LENGTH:2\r\nX-Two: a\r\nX-Two:  b \r\n\r\nno'],
    ['in chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nC;why=this\r\n, it is late\r\n0\r\n\r\n`],
    ['in chunks with trailers', `${OK}Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\nAnd: 2\r\n\r\n`],
    ['after a word meanwhile', `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 3\r\n\r\nyes`],
    ['to the end of the connection', `${OK}Server: old\r\n\r\nall that is`],
    ['of an older server', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['that is an error', 'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone'],
  ])('%s is read as node:http reads it, in whatever pieces', async (_, text) => {
    const truth = await asNodeReads(await serve((socket) => socket.end(text)));
    const ours = await open(await serve((socket) => socket.end(text)))();
    expect(ours).toEqual(truth);
    const bytes = Buffer.from(text, 'latin1');
    for (let first = 0; first <= bytes.length; first++) {
      for (const second of [first, (first + bytes.length) >> 1, bytes.length]) {
        const reader = new AnswerReader('http://here');
        for (const piece of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]) {
          expect(reader.isWhole && piece.length > 0).toBe(false);
          if (piece.length > 0) reader.add(piece);
        }
        reader.close();
        expect(reader.isWhole).toBe(true);
        const { status, headers, body } = reader.answer;
        expect({ status, headers: { ...headers }, body: Buffer.from(body).toString() }).toEqual(truth);
      }
    }
  });

  test.each([
    ['a length told in two ways', `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
    ['a length below zero', `${OK}Content-Length: -5\r\n\r\nhello`],
    ['a chunk without a length', `${OK}Transfer-Encoding: chunked\r\n\r\nhello\r\n`],
    ['a chunk longer than it says', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`],
    ['a line without a name', `${OK}: 5\r\n\r\nhello`],
    ['a name with a space', `${OK}Content-Length : 5\r\n\r\nhello`],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['less than it says', `${OK}Content-Length: 50\r\n\r\nhello`],
    ['chunks without an end', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
    ['half a head', `${OK}Content-Le`],
    ['nothing', ''],
  ])('with %s is refused, as node:http refuses it', async (_, text) => {
    await expect(asNodeReads(await serve((socket) => socket.end(text)))).rejects.toThrow();
    const failure = await open(await serve((socket) => socket.end(text)))().catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(ServerError);
    expect((failure as ServerError).retry).toBe('elsewhere');
  });

  test('an error is read up to a limit, and a head that never ends is given up', async () => {
    const long = await serve((socket) =>
      socket.write(`HTTP/1.1 500 No\r\nContent-Length: 900000\r\n\r\n${'x'.repeat(100_000)}`),
    );
    expect((await open(long)()).body).toMatch(/^x{65536,100000}$/);
    const endless = await serve((socket) => socket.write(`${OK}${'X: y\r\n'.repeat(20_000)}`));
    await expect(open(endless)()).rejects.toThrow('its head has no end');
  });
});

const answer = (text: string): string => `${OK}Content-Length: ${text.length}\r\n\r\n${text}`;

describe('connections', () => {
  test('are used again, each for one question at a time, and no more than are allowed', async () => {
    const seen = new Set<number>();
    const base = await serve((socket, question, connection) => {
      seen.add(connection);
      setTimeout(() => socket.write(answer(`${connection}.${question}`)), 5);
    });
    const ask = open(base, { connectionsMax: 2 });
    const bodies = (await Promise.all(Array.from({ length: 8 }, () => ask()))).map(({ body }) => body);
    expect([new Set(bodies).size, seen.size]).toEqual([8, 2]);
  });

  test('that carry more than was asked for are given up: no answer is taken for another', async () => {
    for (const late of [false, true]) {
      const base = await serve((socket, question, connection) => {
        const more = answer('a stranger');
        socket.write(answer(`${connection}.${question}`) + (late ? '' : more));
        if (late) setTimeout(() => socket.write(more), 5);
      });
      const ask = open(base);
      expect((await ask()).body).toBe('1.1');
      await sleep(late ? 50 : 0);
      expect((await ask()).body).toBe('2.1');
    }
  });

  test('that the server says it closes, or closes at the next question, are replaced unseen', async () => {
    const closing = open(
      await serve((socket, question, connection) =>
        socket.write(`${OK}Connection: close\r\nContent-Length: 3\r\n\r\n${connection}.${question}`),
      ),
    );
    expect([(await closing()).body, (await closing()).body]).toEqual(['1.1', '2.1']);
    const ask = open(
      await serve((socket, question, connection) =>
        question === 1 ? socket.write(answer(`${connection}.${question}`)) : socket.resetAndDestroy(),
      ),
    );
    expect([(await ask()).body, (await ask()).body, (await ask()).body]).toEqual(['1.1', '2.1', '3.1']);
  });

  test('a new connection that is closed is a failure of the server, told once', async () => {
    let count = 0;
    const base = await serve((socket) => {
      count += 1;
      socket.resetAndDestroy();
    });
    await expect(open(base)()).rejects.toMatchObject({ code: 'infer/unreachable', retry: 'elsewhere' });
    expect(count).toBe(1);
  });

  test('that are closed end the question that is asked, and the one that waits', async () => {
    const caller = httpCaller(await serve(() => {}), { connectionsMax: 1 });
    const works = [1, 2].map(() => caller.call({ method: 'GET', path: '/' }, never));
    setTimeout(() => caller.close(), 10);
    for (const work of works) await expect(work).rejects.toMatchObject({ code: 'infer/unreachable' });
  });

  test('a signal ends a question that waits for one, and one that is asked', async () => {
    const ask = open(await serve(() => {}), { connectionsMax: 1 });
    const stop = new AbortController();
    const works = [ask(stop.signal), ask(stop.signal)];
    setTimeout(() => stop.abort(new Error('enough')), 10);
    for (const work of works) await expect(work).rejects.toThrow('enough');
  });
});
