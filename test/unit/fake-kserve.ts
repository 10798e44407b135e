// A server of the Open Inference Protocol that answers right, or wrong in exactly the way a test asks for, down to the byte.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2,
  createSecureServer as createSecureHttp2,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { decodeFields, MessageWriter } from '../../src/infer/protobuf.ts';

/** Named after what it does to one request. */
export type Fault =
  | 'reset'
  | 'hole'
  | 'busy'
  | 'html-503'
  | 'refuse'
  | 'fail'
  | 'rows'
  | 'nan'
  | 'truncated'
  | 'html-200'
  | 'long-json'
  | 'more-bytes'
  | 'version'
  | 'id'
  | 'model'
  | 'type'
  | 'shape'
  | 'no-output'
  | 'swap'
  | 'credentials'
  | 'goaway'
  | 'compressed'
  | 'bare-nan';

export interface Fake {
  readonly url: string;
  /** Called before each inference; what it returns is done to it. */
  fault: (n: number) => Fault | undefined;
  /** What is served; empty = the model is unloaded. */
  versions: string[];
  parameter: string;
  delayMs: number;
  rowsMax: number;
  /** Seconds, with 503. */
  retryAfter: string | undefined;
  /** Rows of each inference that came, in order. */
  readonly asked: number[];
  readonly connections: () => number;
  readonly tokens: Set<string>;
  /** At once, and greatest at a time. */
  inFlight: number;
  inFlightMax: number;
  /** Closes the port and every connection. */
  kill(): Promise<void>;
  listen(): Promise<void>;
}

/** The score is a function of the row alone: whoever gets another's can tell. */
export function scoreOf(first: number, version: string): number {
  return Math.fround(2 * first + Number(version) / 4);
}

const COLUMNS = 2;

interface Asked {
  readonly id: string;
  readonly version: string;
  readonly values: Float32Array;
}

/** X[N,2] -> Y[N,1], with one thing wrong. */
function answerOf({ id, version, values }: Asked, fault: Fault | undefined) {
  const rows = values.length / COLUMNS;
  const scores = Float32Array.from({ length: rows }, (_, row) => scoreOf(values[row * COLUMNS]!, version));
  if (fault === 'swap' && rows > 1) [scores[0], scores[1]] = [scores[1]!, scores[0]!];
  if (fault === 'nan') scores[0] = Number.NaN;
  const told = fault === 'rows' ? scores.subarray(0, rows - 1) : scores;
  return {
    id: fault === 'id' ? 'another' : id,
    model: fault === 'model' ? 'another' : 'double',
    version: fault === 'version' ? '7' : version,
    name: fault === 'no-output' ? 'Z' : 'Y',
    type: fault === 'type' ? 'INT32' : 'FP32',
    shape: fault === 'shape' ? [told.length, 1, 1] : [told.length, 1],
    bytes: Buffer.from(told.buffer, told.byteOffset, told.byteLength),
  };
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function newFake(): Fake {
  return {
    url: '',
    fault: () => undefined,
    versions: ['1'],
    parameter: 'a',
    delayMs: 0,
    rowsMax: 8192,
    retryAfter: undefined,
    asked: [],
    connections: () => 0,
    tokens: new Set(),
    inFlight: 0,
    inFlightMax: 0,
    kill: async () => {},
    listen: async () => {},
  };
}

interface Tls {
  readonly key: string;
  readonly cert: string;
}

/** `behind` answers instead: one port over several servers behaves as they do in turn. */
export async function fakeHttp(behind?: () => Fake, tls?: Tls): Promise<Fake> {
  const fake = newFake();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    fake.tokens.add(request.headers.authorization ?? '');
    await answerHttp(behind?.() ?? fake, { request, response, body: Buffer.concat(chunks) });
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void handle(request, response).catch(() => response.destroy());
  return serve(fake, tls === undefined ? createServer(listener) : createSecure(tls, listener), tls ? 'https' : 'http');
}

/** The same on a port that may be opened again. */
async function serve(fake: Fake, server: NetServer, scheme: string): Promise<Fake> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  let port = 0;
  fake.listen = async () => {
    // while it was closed, the port may have served as the other end of a connection of somebody else
    while (!(await listens(server, port))) await new Promise((resolve) => setTimeout(resolve, 20));
    port = (server.address() as AddressInfo).port;
  };
  fake.kill = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  await fake.listen();
  return Object.assign(fake, { url: `${scheme}://127.0.0.1:${port}`, connections: () => count });
}

function listens(server: NetServer, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const failed = (): void => resolve(false);
    server.once('error', failed);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

interface HttpTurn {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

async function answerHttp(fake: Fake, { request, response, body }: HttpTurn): Promise<void> {
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const path = request.url ?? '';
  const [, version = fake.versions.at(-1) ?? ''] = /\/versions\/([^/]+)/.exec(path) ?? [];
  const served = fake.versions.includes(version);
  if (path === '/v2') return json(200, { name: 'fake', version: '0', extensions: ['binary_tensor_data'] });
  if (path === '/v2/repository/index') {
    return json(
      200,
      fake.versions.length === 0
        ? [{ name: 'double', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' }]
        : fake.versions.map((each) => ({ name: 'double', version: each, state: 'READY' })),
    );
  }
  if (path.endsWith('/ready')) return json(served ? 200 : 400, {});
  if (!served) return json(404, { error: `Request for unknown model: 'double' version ${version} is not found` });
  if (path.endsWith('/config')) {
    return json(200, {
      name: 'double',
      max_batch_size: fake.rowsMax,
      parameters: { p: { string_value: fake.parameter } },
    });
  }
  if (!path.endsWith('/infer')) {
    return json(200, {
      name: 'double',
      versions: fake.versions,
      platform: 'fake',
      inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, COLUMNS] }],
      outputs: [{ name: 'Y', datatype: 'FP32', shape: [-1, 1] }],
    });
  }
  const length = Number(request.headers['inference-header-content-length']);
  const told = JSON.parse(body.subarray(0, length).toString()) as { id: string };
  const values = floatsOf(body.subarray(length));
  await counted(fake, values, async (fault) => {
    if (values.length / COLUMNS > fake.rowsMax) return json(413, { error: 'too large' });
    await inferHttp(fake, { response, asked: { id: told.id, version, values } }, fault);
  });
}

async function counted(
  fake: Fake,
  values: Float32Array,
  work: (fault: Fault | undefined) => Promise<void>,
): Promise<void> {
  fake.asked.push(values.length / COLUMNS);
  const fault = fake.fault(fake.asked.length - 1);
  fake.inFlight += 1;
  fake.inFlightMax = Math.max(fake.inFlightMax, fake.inFlight);
  if (fake.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.delayMs));
  fake.inFlight -= 1;
  await work(fault);
}

async function inferHttp(
  fake: Fake,
  { response, asked }: { readonly response: ServerResponse; readonly asked: Asked },
  fault: Fault | undefined,
): Promise<void> {
  const plain = (status: number, text: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, headers).end(text);
  };
  const retry: Record<string, string> = fake.retryAfter === undefined ? {} : { 'retry-after': fake.retryAfter };
  if (fault === 'hole') return;
  if (fault === 'reset') return void response.socket?.resetAndDestroy();
  if (fault === 'busy') return plain(503, '{"error":"Exceeds maximum queue size"}', retry);
  if (fault === 'html-503') return plain(503, `<html><body>upstream is away ${'x'.repeat(500)}</body></html>`, retry);
  if (fault === 'html-200') return plain(200, '<html>welcome to the portal</html>');
  if (fault === 'refuse') return plain(400, '{"error":"unexpected shape for input X"}');
  if (fault === 'credentials') return plain(401, '{"error":"token expired"}');
  if (fault === 'fail') return plain(500, '{"error":"model failed"}');
  const { id, model, version, name, type, shape, bytes } = answerOf(asked, fault);
  if (fault === 'bare-nan') {
    const text = `{"id":"${id}","model_name":"double","model_version":"${version}","outputs":[{"name":"Y","datatype":"FP32","shape":[1,1],"data":[NaN]}]}`;
    return plain(200, text);
  }
  const output = { name, datatype: type, shape, parameters: { binary_data_size: bytes.length } };
  const json = Buffer.from(JSON.stringify({ id, model_name: model, model_version: version, outputs: [output] }));
  const whole = Buffer.concat([json, bytes, ...(fault === 'more-bytes' ? [Buffer.alloc(4)] : [])]);
  response.writeHead(200, {
    'content-length': String(whole.length),
    'inference-header-content-length': String(fault === 'long-json' ? whole.length + 9 : json.length),
  });
  if (fault !== 'truncated') return void response.end(whole);
  response.write(whole.subarray(0, whole.length - 3));
  setTimeout(() => response.socket?.destroy(), 5);
}

/** The same model over gRPC. */
export async function fakeGrpc(_?: undefined, tls?: Tls): Promise<Fake> {
  const fake = newFake();
  const server = tls === undefined ? createHttp2() : createSecureHttp2(tls);
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      fake.tokens.add(String(headers.authorization ?? ''));
      void answerGrpc(fake, { stream, path: String(headers[':path']), message: Buffer.concat(chunks).subarray(5) });
    });
  });
  return serve(fake, server, tls ? 'grpcs' : 'grpc');
}

interface GrpcTurn {
  readonly stream: ServerHttp2Stream;
  readonly path: string;
  readonly message: Buffer;
}

async function answerGrpc(fake: Fake, { stream, path, message }: GrpcTurn): Promise<void> {
  const fields = decodeFields(message) ?? [];
  const text = (field: number): string =>
    Buffer.from(fields.find((each) => each.field === field)?.bytes ?? []).toString();
  const version = text(2) || (fake.versions.at(-1) ?? '');
  const served = fake.versions.includes(version);
  const call = path.split('/').at(-1);
  if (call === 'RepositoryIndex') {
    const each = fake.versions.length === 0 ? ['1'] : fake.versions;
    const state = fake.versions.length === 0 ? 'UNAVAILABLE' : 'READY';
    const models = each.map((one) => new MessageWriter().text(1, 'double').text(2, one).text(3, state));
    return reply(
      stream,
      models.reduce((whole, model) => whole.message(1, model), new MessageWriter()),
    );
  }
  if (call === 'ModelReady') return reply(stream, new MessageWriter().integer(1, served ? 1 : 0));
  if (!served) return refuse(stream, 5, 'Request for unknown model');
  if (call === 'ModelMetadata') {
    const tensor = (name: string, width: number): MessageWriter =>
      new MessageWriter()
        .text(1, name)
        .text(2, 'FP32')
        .bytes(3, Buffer.from([...MINUS_ONE, width]));
    const whole = new MessageWriter().text(1, 'double');
    for (const each of fake.versions) whole.text(2, each);
    return reply(stream, whole.message(4, tensor('X', COLUMNS)).message(5, tensor('Y', 1)));
  }
  if (call === 'ModelConfig') {
    const parameter = new MessageWriter().text(1, 'p').message(2, new MessageWriter().text(1, fake.parameter));
    const config = new MessageWriter().text(1, 'double').integer(4, fake.rowsMax).message(14, parameter);
    return reply(stream, new MessageWriter().message(1, config));
  }
  if (call !== 'ModelInfer') return refuse(stream, 12, 'unimplemented');
  const values = floatsOf(fields.find(({ field }) => field === 7)?.bytes ?? new Uint8Array());
  await counted(fake, values, async (fault) => {
    if (values.length / COLUMNS > fake.rowsMax && !stream.destroyed)
      return refuse(stream, 8, 'Received message larger than max (9 vs. 8)');
    inferGrpc(stream, { id: text(3), version, values }, fault);
  });
}

const MINUS_ONE = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];

const GRPC_REFUSALS: Readonly<Partial<Record<Fault, readonly [number, string]>>> = {
  busy: [14, 'Exceeds maximum queue size'],
  refuse: [3, 'unexpected shape for input X'],
  credentials: [16, 'token expired'],
  fail: [13, 'model failed'],
};
const PAGES: Readonly<Partial<Record<Fault, readonly [number, string]>>> = {
  'html-503': [503, `<html><body>upstream is away ${'x'.repeat(500)}</body></html>`],
  'html-200': [200, '<html>welcome to the portal</html>'],
};

function inferGrpc(stream: ServerHttp2Stream, asked: Asked, fault: Fault | undefined): void {
  const refusal = fault && GRPC_REFUSALS[fault];
  const page = fault && PAGES[fault];
  if (fault === 'hole' || stream.destroyed) return; // a server that was killed meanwhile answers nobody
  if (fault === 'reset') stream.close(2);
  else if (refusal !== undefined) refuse(stream, ...refusal);
  else if (page !== undefined) {
    stream.respond({ ':status': page[0], 'content-type': 'text/html' });
    stream.end(page[1]);
  } else {
    // polite: what runs is answered, nothing new begins
    if (fault === 'goaway') stream.session?.goaway(0);
    const { id, model, version, name, type, shape, bytes } = answerOf(asked, fault);
    const output = new MessageWriter().text(1, name).text(2, type).packed(3, shape);
    const whole = new MessageWriter().text(1, model).text(2, version).text(3, id).message(5, output).bytes(6, bytes);
    if (fault === 'more-bytes') whole.bytes(6, Buffer.alloc(4));
    reply(stream, whole, fault);
  }
}

function reply(stream: ServerHttp2Stream, message: MessageWriter, fault?: Fault): void {
  const body = Buffer.concat(message.finish());
  const prefix = Buffer.alloc(5);
  prefix[0] = fault === 'compressed' ? 1 : 0;
  prefix.writeUInt32BE(body.length + (fault === 'long-json' ? 9 : 0), 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    if (fault === 'truncated') stream.close(8);
    else stream.sendTrailers({ 'grpc-status': '0' });
  });
  stream.end(
    fault === 'truncated' ? Buffer.concat([prefix, body.subarray(0, body.length - 3)]) : Buffer.concat([prefix, body]),
  );
}

/** In the first headers, as servers do that have no message. */
function refuse(stream: ServerHttp2Stream, status: number, text: string): void {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status),
      'grpc-message': encodeURIComponent(text),
    },
    { endStream: true },
  );
}
