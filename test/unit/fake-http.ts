// Owns a server that speaks HTTP byte by byte, as right or as wrong as a test wants: real servers do not fail on demand.
// Like XrdHttp before 5.7 it knows `Range` and `Authorization` only as they are written here.
import { createServer, type Server, type Socket } from 'node:net';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  /** By their names as they came. */
  readonly headers: ReadonlyMap<string, string>;
  /** Counted from 0, over all connections. */
  readonly index: number;
}

export interface FakeServer {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly FakeRequest[];
  close(): Promise<void>;
}

/** What a server does with a request: writes whatever it likes. */
export type Behave = (request: FakeRequest, socket: Socket) => void;

export async function startFake(behave: Behave): Promise<FakeServer> {
  const requests: FakeRequest[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = parse(text.slice(0, end), requests.length);
        text = text.slice(end + 4);
        requests.push(request);
        behave(request, socket);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function parse(head: string, index: number): FakeRequest {
  const [first, ...lines] = head.split('\r\n');
  const [method = '', path = ''] = first!.split(' ');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { method, path, headers, index };
}

export interface Served {
  readonly bytes: Buffer;
  /** ETag, Last-Modified and whatever else each answer carries. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More ranges than this get the whole file, as from Apache; 1: as from S3 behind some gateways. */
  readonly rangesMax?: number;
  /** What a server that does not do several ranges answers: the whole file (200) or an error (400). */
  readonly otherwise?: 200 | 400;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** The right answer to a GET. */
export function replyTo(
  request: FakeRequest,
  { bytes, headers = {}, rangesMax = 1000, otherwise = 200 }: Served,
): Reply {
  const asked = /^bytes=(.*)$/.exec(request.headers.get('Range') ?? '')?.[1];
  const ranges = (asked ?? '').split(',').map((each) => each.split('-').map(Number) as [number, number]);
  if (asked === undefined || ranges.length > rangesMax) {
    if (asked !== undefined && otherwise === 400)
      return { status: 400, headers, body: Buffer.from('one range please') };
    return { status: 200, headers, body: bytes };
  }
  const size = bytes.length;
  if (ranges.some(([from]) => from >= size)) {
    return { status: 416, headers: { ...headers, 'Content-Range': `bytes */${size}` }, body: Buffer.alloc(0) };
  }
  const cut = ranges.map(([from, last]) => ({ from, last: Math.min(last, size - 1) }));
  const place = ({ from, last }: { from: number; last: number }) => `bytes ${from}-${last}/${size}`;
  const [first] = cut;
  if (cut.length === 1) {
    return {
      status: 206,
      headers: { ...headers, 'Content-Range': place(first!) },
      body: bytes.subarray(first!.from, first!.last + 1),
    };
  }
  const parts = cut.flatMap((each) => [
    Buffer.from(`\r\n--123456\r\nContent-type: text/plain\r\nContent-range: ${place(each)}\r\n\r\n`),
    bytes.subarray(each.from, each.last + 1),
  ]);
  const body = Buffer.concat([...parts, Buffer.from('\r\n--123456--\r\n')]);
  return { status: 206, headers: { ...headers, 'Content-Type': 'multipart/byteranges; boundary=123456' }, body };
}

export function headOf({ status, headers, body }: Reply): string {
  const all = { 'Content-Length': String(body.length), ...headers };
  return `HTTP/1.1 ${status} Said\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
}

export function write(socket: Socket, reply: Reply): void {
  socket.write(Buffer.concat([Buffer.from(headOf(reply)), reply.body]));
}
