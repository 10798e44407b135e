// Owns the Open Inference Protocol over HTTP/1.1: tensors as raw bytes after the JSON where the server can, as JSON numbers where not.
import { ColweaveError } from '../core/errors.ts';
import { checkAnswer } from './check-answer.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type HttpCaller, httpCaller } from './http-call.ts';
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
      const asBinary = await canBinary(signal);
      return infer(say, { request, asBinary }, signal);
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

async function infer(
  say: Say,
  { request, asBinary }: { readonly request: InferRequest; readonly asBinary: boolean },
  signal: AbortSignal,
): Promise<InferResponse> {
  const path = `${modelPath(request.model, request.version)}/infer`;
  const json = Buffer.from(JSON.stringify(requestJson(say, request, asBinary)));
  const headers = asBinary
    ? { 'content-type': 'application/octet-stream', [JSON_LENGTH]: String(json.length) }
    : { 'content-type': 'application/json' };
  const parts = asBinary ? [json, ...request.inputs.map(({ bytes }) => bytes)] : [json];
  const answer = good(say, await say.caller.call({ method: 'POST', path, headers, parts }, signal));
  return checkAnswer(request, decodeAnswer(say, answer), say.url);
}

function requestJson(say: Say, { id, inputs, outputs }: InferRequest, asBinary: boolean): object {
  return {
    id,
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

/** The JSON, then the tensors' bytes in the order of the outputs: the lengths must agree to the byte. */
function decodeAnswer(say: Say, { headers, body }: HttpAnswer): InferResponse {
  const told = headers[JSON_LENGTH];
  const jsonBytes = told === undefined ? body.length : Number(told);
  if (!Number.isSafeInteger(jsonBytes) || jsonBytes < 0 || jsonBytes > body.length) {
    throw badAnswer(say.url, `the answer has ${body.length} bytes, and says that ${told} are JSON`);
  }
  const json = objectOf(jsonOf(say, { body: body.subarray(0, jsonBytes) }));
  let at = jsonBytes;
  const outputs = listOf(json.outputs).map((each): Tensor => {
    const { name, datatype, shape, parameters, data } = objectOf(each);
    const size = objectOf(parameters).binary_data_size;
    const start = at;
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) at += size;
    const type = textOf(datatype) as Tensor['type'];
    const lengths = listOf(shape).map(Number);
    const bytes =
      size === undefined && isTensorType(type)
        ? bytesOfJson(data, type, elementsOf(lengths))
        : body.subarray(start, at);
    if (bytes === undefined) throw badAnswer(say.url, `output ${textOf(name)} does not hold numbers of ${type}`);
    return { name: textOf(name), type, shape: lengths, bytes };
  });
  if (at !== body.length) {
    throw badAnswer(say.url, `the answer has ${body.length - jsonBytes} bytes of tensors, and says ${at - jsonBytes}`);
  }
  return { id: textOf(json.id), model: textOf(json.model_name), version: textOf(json.model_version), outputs };
}
