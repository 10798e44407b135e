// Owns an HTTP server in front of a real one that hands requests on and spoils answers: what stands in them, or which they are.
import {
  type IncomingMessage,
  request as plainRequest,
  createServer as plainServer,
  type ServerResponse,
} from 'node:http';
import { request as secureRequest, createServer as secureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FaultPlan, FaultProxy } from './wire.ts';

/**
 * busy: 503. loop: a redirect to itself. elsewhere: bytes a little further on, and it says so. shifted: the same, and it
 * says that they are those asked for. short: half of them, as a whole answer. cut: half of them, then the end. whole: the
 * whole file with 200. flip: one bit is another. digest: the sum that it tells of the file is another.
 */
export type MessageFault = 'busy' | 'loop' | 'elsewhere' | 'shifted' | 'short' | 'cut' | 'whole' | 'flip' | 'digest';

export interface Upstream {
  /** `http://localhost:PORT` or https. */
  readonly url: string;
  /** To be the server of that name over TLS, and to know it. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer };
}

const SHIFT_BYTES = 7;
/** Answers with fewer bytes are metadata. */
const PAYLOAD_BYTES_MIN = 20_000;

interface Reply {
  readonly status: number;
  /** Names and values in turns, as they came. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export async function startMessages(upstream: Upstream, fault: MessageFault, plan: FaultPlan): Promise<FaultProxy> {
  let passed = 0;
  let fired = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const range = headerOf(request.rawHeaders, 'range');
    const right = await ask(upstream, request, range);
    passed += right.body.length;
    const isDue = fault === 'digest' ? headerOf(right.headers, 'digest') !== undefined : isPayload(right);
    const begun = plan.forEver && fired > 0 && fault !== 'digest';
    const now = begun || (isDue && passed > plan.afterBytes && (plan.forEver || fired === 0));
    if (!now) return send(response, right);
    fired++;
    await spoil(fault, { upstream, request, response, right, range });
  };
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch(() => response.destroy());
  };
  const server = upstream.tls === undefined ? plainServer(serve) : secureServer(upstream.tls, serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    fired: () => fired,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isPayload = ({ status, body }: Reply): boolean => status === 206 && body.length >= PAYLOAD_BYTES_MIN;

function headerOf(raw: readonly string[], name: string): string | undefined {
  const at = raw.findIndex((word, i) => i % 2 === 0 && word.toLowerCase() === name);
  return at < 0 ? undefined : raw[at + 1];
}

function withHeader(raw: readonly string[], name: string, value: string | undefined): string[] {
  const pairs = raw.flatMap((word, i) => (i % 2 === 0 && word.toLowerCase() !== name ? [word, raw[i + 1]!] : []));
  return value === undefined ? pairs : [...pairs, name.replace(/(^|-)\w/g, (letter) => letter.toUpperCase()), value];
}

/** As it came, but for the range: XrdHttp wants names of headers as they are written. */
function ask({ url, tls }: Upstream, request: IncomingMessage, range: string | undefined): Promise<Reply> {
  const { hostname, port, protocol } = new URL(url);
  const headers = withHeader(request.rawHeaders, 'range', range);
  const options = { hostname, port, method: request.method!, path: request.url!, headers, ca: tls?.ca };
  return new Promise((resolve, reject) => {
    const make = protocol === 'https:' ? secureRequest : plainRequest;
    const asked = make(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.rawHeaders, body: Buffer.concat(chunks) }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

function send(response: ServerResponse, { status, headers, body }: Reply): void {
  response.writeHead(status, [...headers]).end(body);
}

interface Spoilt {
  readonly upstream: Upstream;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly right: Reply;
  readonly range: string | undefined;
}

async function spoil(fault: MessageFault, { upstream, request, response, right, range }: Spoilt): Promise<void> {
  const half = right.body.subarray(0, right.body.length >> 1);
  switch (fault) {
    case 'busy':
      return send(response, { status: 503, headers: ['Content-Length', '0'], body: Buffer.alloc(0) });
    case 'loop': {
      const headers = ['Location', request.url!, 'Content-Length', '0'];
      return send(response, { status: 302, headers, body: Buffer.alloc(0) });
    }
    case 'elsewhere':
      return send(response, await ask(upstream, request, shifted(range)));
    case 'shifted':
      return send(response, { ...right, body: withShiftedParts(right, await ask(upstream, request, shifted(range))) });
    case 'short': {
      const headers = withHeader(right.headers, 'content-length', String(half.length));
      return send(response, { ...right, headers, body: half });
    }
    case 'cut':
      response.writeHead(right.status, [...right.headers]);
      return void response.write(half, () => response.destroy());
    case 'whole':
      return send(response, await ask(upstream, request, undefined));
    case 'flip': {
      const body = Buffer.from(right.body);
      body[body.length >> 1]! ^= 1;
      return send(response, { ...right, body });
    }
    case 'digest':
      return send(response, { ...right, headers: withHeader(right.headers, 'digest', 'adler32=00000001') });
  }
}

function shifted(range: string | undefined): string {
  return (range ?? '').replace(/\d+/g, (number) => String(Number(number) + SHIFT_BYTES));
}

/** Headers of the right answer, and of its parts, with bytes of the other: both are as long where the numbers are. */
function withShiftedParts({ body, headers }: Reply, other: Reply): Buffer {
  if (!headerOf(headers, 'content-type')?.startsWith('multipart/')) return other.body;
  const spoilt = Buffer.from(body);
  const takePart = (bytes: Buffer, from: number) => {
    const head = bytes.indexOf('\r\n\r\n', from);
    const [, first, last] = /bytes (\d+)-(\d+)\//i.exec(bytes.toString('latin1', from, head)) ?? [];
    return { start: head + 4, end: head + 5 + Number(last) - Number(first) };
  };
  for (let at = 0, otherAt = 0; body.indexOf('\r\n\r\n', at) >= 0; ) {
    const mine = takePart(body, at);
    const theirs = takePart(other.body, otherAt);
    other.body.copy(spoilt, mine.start, theirs.start, theirs.end);
    at = mine.end;
    otherAt = theirs.end;
  }
  return spoilt;
}
