// Owns the Open Inference Protocol over HTTP/1.1: tensors as raw bytes after the JSON where the server can, as JSON numbers where not.
import { ColweaveError } from '../core/errors.ts';
import { checkAnswer } from './check-answer.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type HttpCaller, type HttpExchange, httpCaller } from './http-call.ts';
import {
  configOfJson,
  indexOfJson,
  listOf,
  metadataOfJson,
  modelInfo,
  objectOf,
  statisticsOfJson,
  textOf,
} from './model-info.ts';
import { badAnswer, httpKind, refusalError, retryAfterMs, shown } from './server-error.ts';
import { bytesOfJson, elementsOf, isTensorType, jsonData } from './tensor.ts';
import type { ConnectOptions, Endpoint, InferRequest, InferResponse, Protocol, ServerInfo, Tensor } from './types.ts';

const JSON_LENGTH = 'inference-header-content-length';
/** What Triton calls the extension; a server that does not name it gets JSON. */
const BINARY = 'binary_tensor_data';

export const KSERVE_HTTP: Protocol = { name: 'http', connect };

function connect(url: string, options: ConnectOptions): Endpoint {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.username !== '' || base.search !== '') {
    throw new ColweaveError('usage/bad-option', `"${url}" is no URL of an inference server`, {
      hint: 'such as http://HOST:8000, grpc://HOST:8001, or https:// and grpcs:// with TLS',
    });
  }
  const caller = httpCaller(base, options);
  const say = { url: base.href.replace(/\/+$/, ''), caller };
  const ask = questions(say);
  const read = answers(say);
  let binary: Promise<boolean> | undefined;
  const canBinary = (signal: AbortSignal): Promise<boolean> => {
    binary ??= serverInfo(say, signal).then(({ extensions }) => extensions.includes(BINARY));
    binary.catch(() => {
      binary = undefined;
    });
    return binary;
  };
  return {
    url: say.url,
    ready: (signal, model) => ready(say, signal, model),
    server: (signal) => serverInfo(say, signal),
    index: async (signal) => {
      const body = Buffer.from('{}');
      const answer = await exchange(say, { method: 'POST', path: '/v2/repository/index', body }, signal);
      // some sites and PyTriton lock the index, and serve all the same
      return absent(answer) || answer.status === 403 ? undefined : indexOfJson(jsonOf(say, good(say, answer)));
    },
    model: async (name, version, signal) => {
      const path = modelPath(name, version);
      const metadata = metadataOfJson(jsonOf(say, good(say, await exchange(say, { method: 'GET', path }, signal))));
      if (metadata.name !== name)
        throw badAnswer(say.url, `asked for model ${name}, told of ${metadata.name || 'none'}`);
      const config = await exchange(say, { method: 'GET', path: `${path}/config` }, signal);
      return modelInfo(metadata, version, absent(config) ? undefined : configOfJson(jsonOf(say, good(say, config))));
    },
    statistics: async (name, version, signal) => {
      const answer = await exchange(say, { method: 'GET', path: `${modelPath(name, version)}/stats` }, signal);
      return absent(answer) ? undefined : statisticsOfJson(jsonOf(say, good(say, answer)));
    },
    infer: async (request, signal) => {
      const answer = good(say, await say.caller.call(ask(request, await canBinary(signal)), signal));
      return checkAnswer(request, read(request.id, answer), say.url);
    },
    close: async () => caller.close(),
  };
}

interface Say {
  readonly url: string;
  readonly caller: HttpCaller;
}

interface SimpleExchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Uint8Array;
}

function exchange(say: Say, { method, path, body }: SimpleExchange, signal: AbortSignal): Promise<HttpAnswer> {
  // MLServer refuses a POST that does not name its type
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return say.caller.call({ method, path, headers, parts: body === undefined ? [] : [body] }, signal);
}

function modelPath(name: string, version: string): string {
  return `/v2/models/${encodeURIComponent(name)}${version === '' ? '' : `/versions/${encodeURIComponent(version)}`}`;
}

/** Servers without an extension answer so. */
function absent({ status }: HttpAnswer): boolean {
  return status === 404 || status === 405 || status === 501;
}

async function ready(
  say: Say,
  signal: AbortSignal,
  model?: { readonly name: string; readonly version: string },
): Promise<boolean> {
  const path = model === undefined ? '/v2/health/ready' : `${modelPath(model.name, model.version)}/ready`;
  const answer = await exchange(say, { method: 'GET', path }, signal);
  // Triton says 400, others 404; anything else is about the server, not the model
  if (answer.status === 400 || answer.status === 404) return false;
  good(say, answer);
  return true;
}

async function serverInfo(say: Say, signal: AbortSignal): Promise<ServerInfo> {
  const json = objectOf(jsonOf(say, good(say, await exchange(say, { method: 'GET', path: '/v2' }, signal))));
  return { name: textOf(json.name), version: textOf(json.version), extensions: listOf(json.extensions).map(textOf) };
}

/** Anything but 200 is an error that says what the server said. */
function good(say: Say, { status, headers, body }: HttpAnswer): HttpAnswer {
  if (status === 200) return { status, headers, body };
  throw refusalError(httpKind(status), {
    status: `HTTP ${status}`,
    text: errorText(body),
    where: [say.url],
    retryAfterMs: retryAfterMs(headers['retry-after'], Date.now()),
  });
}

/** KServe has `{"error": ...}`; a proxy in front may have anything. */
function errorText(body: Uint8Array): string {
  try {
    const { error, detail } = objectOf(JSON.parse(textFrom(body)));
    if (typeof error === 'string') return error;
    if (detail !== undefined) return shown(Buffer.from(JSON.stringify(detail)));
  } catch {
    // not JSON: shown as it is
  }
  return shown(body);
}

function textFrom(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function jsonOf(say: Say, { body }: { readonly body: Uint8Array }): unknown {
  try {
    return JSON.parse(textFrom(body));
  } catch {
    // Triton writes a bare NaN where a tensor as JSON holds one: that is no JSON, and never taken for data
    throw badAnswer(say.url, `the answer is not JSON: ${shown(body)}`);
  }
}

/** What each request of a run says again: all but its id, and the bytes of its tensors. */
interface Layout {
  readonly asBinary: boolean;
  readonly model: string;
  readonly version: string;
  readonly inputs: readonly Omit<Tensor, 'bytes'>[];
  readonly sizes: readonly number[];
  readonly outputs: readonly string[];
}

const areEqual = (left: readonly unknown[], right: readonly unknown[]): boolean =>
  left.length === right.length && left.every((value, at) => value === right[at]);

function hasLayout({ model, version, inputs, outputs }: InferRequest, layout: Layout): boolean {
  return (
    model === layout.model &&
    version === layout.version &&
    inputs.length === layout.inputs.length &&
    inputs.every(({ name, type, shape, bytes }, at) => {
      const other = layout.inputs[at]!;
      return (
        name === other.name && type === other.type && bytes.length === layout.sizes[at] && areEqual(shape, other.shape)
      );
    }) &&
    areEqual(outputs, layout.outputs)
  );
}

/** Makes what is sent; of requests with tensors of the same shapes the JSON is made once, but for the id. */
function questions(say: Say): (request: InferRequest, asBinary: boolean) => HttpExchange {
  let known: { readonly layout: Layout; readonly path: string; readonly after: string } | undefined;
  return (request, asBinary) => {
    const { id, model, version, inputs, outputs } = request;
    if (known === undefined || asBinary !== known.layout.asBinary || !asBinary || !hasLayout(request, known.layout)) {
      const sizes = inputs.map(({ bytes }) => bytes.length);
      const shapes = inputs.map(({ name, type, shape }) => ({ name, type, shape }));
      known = {
        layout: { asBinary, model, version, inputs: shapes, sizes, outputs },
        path: `${modelPath(model, version)}/infer`,
        after: JSON.stringify(requestJson(say, request, asBinary)).slice(1),
      };
    }
    const json = Buffer.from(`{"id":${JSON.stringify(id)},${known.after}`);
    const headers = asBinary
      ? { 'content-type': 'application/octet-stream', [JSON_LENGTH]: String(json.length) }
      : { 'content-type': 'application/json' };
    const parts = asBinary ? [json, ...inputs.map(({ bytes }) => bytes)] : [json];
    return { method: 'POST', path: known.path, headers, parts };
  };
}

function requestJson(say: Say, { inputs, outputs }: InferRequest, asBinary: boolean): object {
  return {
    inputs: inputs.map((tensor) => ({
      name: tensor.name,
      shape: tensor.shape,
      datatype: tensor.type,
      ...(asBinary ? { parameters: { binary_data_size: tensor.bytes.length } } : { data: dataOf(say, tensor) }),
    })),
    outputs: outputs.map((name) => ({ name, ...(asBinary ? { parameters: { binary_data: true } } : {}) })),
  };
}

function dataOf(say: Say, tensor: Tensor): unknown {
  const data = jsonData(tensor);
  if (data !== undefined) return data;
  throw new ColweaveError(
    'infer/unsupported',
    `the server takes JSON only, which cannot carry input ${tensor.name} (${tensor.type})`,
    {
      where: [say.url],
      hint: 'use its gRPC port',
    },
  );
}

/** What the JSON of an answer tells. */
interface Told {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  readonly outputs: readonly ToldOutput[];
}
interface ToldOutput {
  readonly name: string;
  readonly type: Tensor['type'];
  readonly shape: readonly number[];
  /** Of its bytes behind the JSON; undefined = the numbers are in the JSON itself. */
  readonly size: number | undefined;
  readonly data: unknown;
}

function toldBy(say: Say, json: Uint8Array): Told {
  const told = objectOf(jsonOf(say, { body: json }));
  const outputs = listOf(told.outputs).map((each): ToldOutput => {
    const { name, datatype, shape, parameters, data } = objectOf(each);
    const size = objectOf(parameters).binary_data_size;
    return {
      name: textOf(name),
      type: textOf(datatype) as Tensor['type'],
      shape: listOf(shape).map(Number),
      size:
        size === undefined ? undefined : typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : 0,
      data,
    };
  });
  return { id: textOf(told.id), model: textOf(told.model_name), version: textOf(told.model_version), outputs };
}

/** Reads answers; the JSON of one that is, byte for byte, that of the last one but for the id is not parsed again. */
function answers(say: Say): (id: string, answer: HttpAnswer) => InferResponse {
  let known: { readonly after: Buffer; readonly told: Told } | undefined;
  const tell = (id: string, json: Uint8Array): Told => {
    const before = Buffer.from(`{"id":${JSON.stringify(id)},`);
    const [start, after] = [json.subarray(0, before.length), json.subarray(before.length)];
    const begins = before.equals(start);
    if (begins && known?.after.equals(after) === true) return { ...known.told, id };
    const told = toldBy(say, json);
    // a second id behind the first would count, and is not looked for again
    if (begins && told.id === id && !Buffer.from(after).includes('"id"')) known = { after: Buffer.from(after), told };
    return told;
  };
  return (id, answer) => decodeAnswer(say, answer, (json) => tell(id, json));
}

/** The JSON, then the tensors' bytes in the order of the outputs: the lengths must agree to the byte. */
function decodeAnswer(say: Say, { headers, body }: HttpAnswer, tell: (json: Uint8Array) => Told): InferResponse {
  const said = headers[JSON_LENGTH];
  const jsonBytes = said === undefined ? body.length : Number(said);
  if (!Number.isSafeInteger(jsonBytes) || jsonBytes < 0 || jsonBytes > body.length) {
    throw badAnswer(say.url, `the answer has ${body.length} bytes, and says that ${said} are JSON`);
  }
  const { id, model, version, outputs: told } = tell(body.subarray(0, jsonBytes));
  let at = jsonBytes;
  const outputs = told.map(({ name, type, shape, size, data }): Tensor => {
    const start = at;
    at += size ?? 0;
    const bytes =
      size === undefined && isTensorType(type) ? bytesOfJson(data, type, elementsOf(shape)) : body.subarray(start, at);
    if (bytes === undefined) throw badAnswer(say.url, `output ${name} does not hold numbers of ${type}`);
    return { name, type, shape, bytes };
  });
  if (at !== body.length) {
    throw badAnswer(say.url, `the answer has ${body.length - jsonBytes} bytes of tensors, and says ${at - jsonBytes}`);
  }
  return { id, model, version, outputs };
}
