// Owns an XRootD server in this process that speaks the protocol byte by byte and breaks it where a test says so. Written from
// the protocol's description, not with our encoders; the real server is measured in test/rigs.
import { createServer, type Server, type Socket } from 'node:net';

/** What happens instead of, or to, the right answer of one request. */
export type Fault =
  /** Sends so many bytes of the answer, then resets. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** Sends so many bytes, then closes: what came before arrives. */
  | { readonly kind: 'hangUp'; readonly afterBytes: number }
  /** Sends so many bytes, then nothing for ever. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** One byte each so many milliseconds. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  /** Data of the answer, changed. */
  | { readonly kind: 'data'; readonly change: (data: Buffer) => Buffer }
  /** The whole answer, headers too, changed. */
  | { readonly kind: 'bytes'; readonly change: (answer: Buffer) => Buffer }
  | { readonly kind: 'answer'; readonly status: number; readonly body: Buffer }
  /** kXR_waitresp, and the answer later in a kXR_attn. */
  | { readonly kind: 'later'; readonly ms: number };

export interface FakeFile {
  bytes: Buffer;
  id: string;
  modified: number;
}

export interface Asked {
  readonly name: string;
  /** How many of this name came before, over all connections. */
  readonly count: number;
  readonly connection: number;
  /** Path and opaque part, or arguments. */
  readonly text: string;
}

export interface FakeOptions {
  readonly files: Map<string, FakeFile>;
  readonly fault?: (asked: Asked) => Fault | undefined;
  /** As the login's answer has it. */
  readonly takes?: string;
  /** readv_iov_max and readv_ior_max. */
  readonly limits?: readonly [number, number];
  /** Answers of reads come in pieces of this size. */
  readonly pieceBytes?: number;
}

export interface Fake {
  readonly port: number;
  /** root:// with two slashes behind it. */
  readonly url: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

const NAMES: Readonly<Record<number, string>> = {
  3000: 'auth',
  3001: 'query',
  3003: 'close',
  3006: 'protocol',
  3007: 'login',
  3010: 'open',
  3013: 'read',
  3017: 'stat',
  3025: 'readv',
};

export const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
export const serverSays = (number: number, text: string): Fault => ({
  kind: 'answer',
  status: 4003,
  body: Buffer.concat([int(number), Buffer.from(`${text}\0`)]),
});
export const redirectTo = (port: number, rest = ''): Fault => ({
  kind: 'answer',
  status: 4004,
  body: Buffer.concat([int(port), Buffer.from(`127.0.0.1${rest}`)]),
});
export const waitFor = (seconds: number): Fault => ({ kind: 'answer', status: 4005, body: int(seconds) });

interface Connection {
  readonly socket: Socket;
  readonly index: number;
  readonly open: Map<number, FakeFile>;
  sent: Promise<void>;
}

export async function startFake(options: FakeOptions): Promise<Fake> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    serve({ socket, index: connections++, open: new Map(), sent: Promise.resolve() }, options, asked);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `root://127.0.0.1:${port}/`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function serve(connection: Connection, options: FakeOptions, asked: Asked[]): void {
  let bytes = Buffer.alloc(0);
  let greeted = false;
  connection.socket.on('data', (more: Buffer) => {
    bytes = Buffer.concat([bytes, more]);
    if (!greeted && bytes.length >= 20) {
      greeted = true;
      bytes = bytes.subarray(20);
      connection.socket.write(Buffer.concat([answerHeader(Buffer.alloc(2), 0, 8), int(0x520), int(1)]));
    }
    while (greeted && bytes.length >= 24 && bytes.length >= 24 + bytes.readInt32BE(20)) {
      const end = 24 + bytes.readInt32BE(20);
      const request = bytes.subarray(0, end);
      bytes = bytes.subarray(end);
      handle(connection, request, options, asked);
    }
  });
}

function answerHeader(id: Buffer, status: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header.set(id, 0);
  header.writeUInt16BE(status, 2);
  header.writeInt32BE(length, 4);
  return header;
}

const answerOf = (id: Buffer, status: number, body: Buffer): Buffer =>
  Buffer.concat([answerHeader(id, status, body.length), body]);

function handle(connection: Connection, request: Buffer, options: FakeOptions, asked: Asked[]): void {
  const id = Buffer.from(request.subarray(0, 2));
  const name = NAMES[request.readUInt16BE(2)] ?? 'unknown';
  const text = name === 'open' || name === 'query' ? request.toString('latin1', 24) : '';
  const count = asked.filter((other) => other.name === name).length;
  const one: Asked = { name, count, connection: connection.index, text };
  asked.push(one);
  const fault = options.fault?.(one);
  if (fault?.kind === 'answer') {
    emit(connection, answerOf(id, fault.status, fault.body));
    return;
  }
  const [status, body] = rightAnswer(connection, name, request, options);
  const data = fault?.kind === 'data' ? fault.change(Buffer.from(body)) : body;
  if (fault?.kind === 'later') {
    emit(connection, answerOf(id, 4006, int(1)));
    const inner = answerOf(id, status, data);
    setTimeout(() => {
      emit(connection, answerOf(Buffer.alloc(2), 4001, Buffer.concat([int(5008), int(0), inner])));
    }, fault.ms);
    return;
  }
  const whole = inPieces(id, status, data, options.pieceBytes);
  emit(connection, fault?.kind === 'bytes' ? fault.change(whole) : whole, fault);
}

function inPieces(id: Buffer, status: number, data: Buffer, pieceBytes = Number.POSITIVE_INFINITY): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (; data.length - at > pieceBytes; at += pieceBytes) {
    pieces.push(answerOf(id, 4000, data.subarray(at, at + pieceBytes)));
  }
  return Buffer.concat([...pieces, answerOf(id, status, data.subarray(at))]);
}

/** Answers leave one after the other: behind one that stalls nothing comes. */
function emit(connection: Connection, answer: Buffer, fault?: Fault): void {
  connection.sent = connection.sent.then(() => send(connection.socket, answer, fault));
}

function send(socket: Socket, answer: Buffer, fault: Fault | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (fault?.kind === 'reset') {
      socket.write(answer.subarray(0, fault.afterBytes), () => socket.resetAndDestroy());
    } else if (fault?.kind === 'hangUp') {
      socket.end(answer.subarray(0, fault.afterBytes));
    } else if (fault?.kind === 'stall') {
      socket.write(answer.subarray(0, fault.afterBytes));
    } else if (fault?.kind === 'drip') {
      let at = 0;
      const timer = setInterval(() => {
        if (socket.destroyed || at === answer.length) {
          clearInterval(timer);
          resolve();
        } else socket.write(answer.subarray(at, ++at));
      }, fault.everyMs);
    } else {
      socket.write(answer);
      resolve();
    }
  });
}

const error = (number: number, text: string): [number, Buffer] => [
  4003,
  Buffer.concat([int(number), Buffer.from(`${text}\0`)]),
];
const statusText = ({ id, bytes, modified }: FakeFile): Buffer => Buffer.from(`${id} ${bytes.length} 16 ${modified}\0`);

function rightAnswer(connection: Connection, name: string, request: Buffer, options: FakeOptions): [number, Buffer] {
  switch (name) {
    case 'protocol':
      return [0, Buffer.concat([int(0x520), int(1)])];
    case 'login':
      return [0, Buffer.concat([Buffer.alloc(16, 7), Buffer.from(options.takes ?? '')])];
    case 'auth':
      return [0, Buffer.alloc(0)];
    case 'query': {
      if (request.readUInt16BE(4) === 3) return [0, Buffer.from('adler32 0000abcd\0')];
      const [pieces, bytes] = options.limits ?? [1024, 2097136];
      return [0, Buffer.from(`${pieces}\n${bytes}\n\0`)];
    }
    case 'open': {
      const file = options.files.get(request.toString('latin1', 24).split('?')[0]!);
      if (!file) return error(3011, 'no such file');
      const handle = connection.open.size + 1;
      // as a server does: what was open goes on to be what it was
      connection.open.set(handle, file);
      return [0, Buffer.concat([int(handle), Buffer.alloc(8), statusText(file)])];
    }
    case 'close':
      return [0, Buffer.alloc(0)];
    case 'stat': {
      const file = connection.open.get(request.readInt32BE(16));
      return file ? [0, statusText(file)] : error(3004, 'not open');
    }
    case 'read': {
      const file = connection.open.get(request.readInt32BE(4));
      const offset = Number(request.readBigInt64BE(8));
      return file ? [0, file.bytes.subarray(offset, offset + request.readInt32BE(16))] : error(3004, 'not open');
    }
    case 'readv':
      return vector(connection, request.subarray(24), options);
    default:
      return error(3006, 'unknown request');
  }
}

function vector(connection: Connection, list: Buffer, { limits = [1024, 2097136] }: FakeOptions): [number, Buffer] {
  if (list.length / 16 > limits[0]) return error(3002, 'too many pieces');
  const parts: Buffer[] = [];
  for (let at = 0; at < list.length; at += 16) {
    const file = connection.open.get(list.readInt32BE(at));
    const length = list.readInt32BE(at + 4);
    const offset = Number(list.readBigInt64BE(at + 8));
    if (!file) return error(3004, 'not open');
    if (length > limits[1]) return error(3002, 'too long a piece');
    parts.push(list.subarray(at, at + 16), file.bytes.subarray(offset, offset + length));
  }
  return [0, Buffer.concat(parts)];
}
