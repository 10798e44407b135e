// Owns who answers a run: named servers, the model file's, the site's; with the credentials that the environment holds.
import { readFileSync } from 'node:fs';
import { findToken } from '../bytes/credentials.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { type Connected, connect, describeModel } from '../infer/connect.ts';
import { expandServers, serverOfSite } from '../infer/discover.ts';
import type { Model } from '../infer/model.ts';
import type { ConnectOptions, ModelInfo } from '../infer/types.ts';
import type { DescribeOptions, InferOptions } from './infer-types.ts';
import type { CommandContext } from './types.ts';

export type ServersAsked = Pick<
  InferOptions,
  'servers' | 'protocol' | 'ca' | 'inFlight' | 'patienceSeconds' | 'spotCheck' | 'fallback'
>;

/** Errors: usage/bad-option where nobody is named, and those of servers. */
export async function openServers(
  options: ServersAsked,
  model: Model,
  { emit, signal }: CommandContext,
): Promise<Connected> {
  const protocol = options.protocol ?? model.protocol ?? 'http';
  const { inFlight, patienceSeconds, spotCheck } = options;
  const patience =
    patienceSeconds === undefined ? {} : { budgetMs: 1000 * patienceSeconds, startMs: 1000 * patienceSeconds };
  const urls = protocol === 'onnx' ? [] : serverNames(options.servers, model);
  return connect(
    {
      model: model.name,
      version: model.version,
      urls,
      protocol,
      connect: { ...tokenOf(urls, emit), ...authorities(options.ca) },
      ...(model.onnx === undefined ? {} : { onnx: model.onnx }),
      fallback: options.fallback,
      policy: { spotFraction: spotCheck, ...patience, ...(inFlight === undefined ? {} : { concurrencyMax: inFlight }) },
      emit,
    },
    signal,
  );
}

/** What the server says of a model. */
export async function askModel(options: DescribeOptions, { emit, signal }: CommandContext): Promise<ModelInfo> {
  const { url, model, modelVersion = '', protocol = 'http', ca } = options;
  const local = protocol === 'onnx' ? { urls: [], onnx: url } : { urls: [url] };
  const wanted = { model, version: modelVersion, protocol, ...local, fallback: false, policy: {}, emit };
  return describeModel({ ...wanted, connect: { ...tokenOf(local.urls, emit), ...authorities(ca) } }, signal);
}

function serverNames(given: readonly string[], model: Model): readonly string[] {
  if (given.length > 0) return expandServers(given);
  if (model.servers.length > 0) return expandServers(model.servers);
  const site = serverOfSite(process.env);
  if (site !== undefined) return [site];
  throw new ColweaveError('usage/bad-option', 'no inference server is named', {
    hint: '--server URL, servers: in the model file, or --protocol onnx to work without one',
  });
}

/** By the order of WLCG token discovery. It opens storage too: it goes over TLS, or nowhere. */
function tokenOf(urls: readonly string[], emit: Emit): Pick<ConnectOptions, 'token'> {
  if (urls.length === 0 || !urls.every((url) => /^(https|grpcs):/i.test(url))) return {};
  const { unusable } = findToken();
  if (unusable !== undefined) emit({ type: 'warning', code: unusable.code, text: unusable.what });
  // looked for again before each request: a run may take longer than a token holds, and what renews it writes the file anew
  return { token: () => findToken().usable?.reveal() };
}

function authorities(paths: readonly string[] | undefined): { readonly ca?: readonly string[] } {
  if (paths === undefined) return {};
  return {
    ca: paths.map((path) => {
      try {
        return readFileSync(path, 'utf8');
      } catch (cause) {
        throw new ColweaveError('usage/bad-option', 'the certificate cannot be read', { where: [path], cause });
      }
    }),
  };
}
