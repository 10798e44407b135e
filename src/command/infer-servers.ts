// Owns who answers a run: named servers, the model file's, the site's; with the credentials that the environment holds.
import { readFileSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import { type Connected, connect, describeModel } from '../infer/connect.ts';
import { expandServers, serverOfSite } from '../infer/discover.ts';
import type { Model } from '../infer/model.ts';
import type { ModelInfo } from '../infer/types.ts';
import type { DescribeOptions, InferOptions } from './infer-types.ts';
import type { CommandContext } from './types.ts';

/** Errors: usage/bad-option where nobody is named, and those of servers. */
export async function openServers(
  options: InferOptions,
  model: Model,
  { emit, signal }: CommandContext,
): Promise<Connected> {
  const protocol = options.protocol ?? model.protocol ?? 'http';
  const { inFlight, patienceSeconds, spotCheck } = options;
  const patience =
    patienceSeconds === undefined ? {} : { budgetMs: 1000 * patienceSeconds, startMs: 1000 * patienceSeconds };
  return connect(
    {
      model: model.name,
      version: model.version,
      urls: protocol === 'onnx' ? [] : serverNames(options.servers, model),
      protocol,
      connect: { ...tokenOf(process.env), ...authorities(options.ca) },
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
  return describeModel({ ...wanted, connect: { ...tokenOf(process.env), ...authorities(ca) } }, signal);
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

/** As WLCG has it: the variable, else a file that it names. */
function tokenOf({ BEARER_TOKEN, BEARER_TOKEN_FILE }: NodeJS.ProcessEnv): { readonly token?: string } {
  if (BEARER_TOKEN) return { token: BEARER_TOKEN.trim() };
  if (!BEARER_TOKEN_FILE) return {};
  try {
    return { token: readFileSync(BEARER_TOKEN_FILE, 'utf8').trim() };
  } catch (cause) {
    throw new ColweaveError('infer/credentials', 'the file of the token cannot be read', {
      where: [BEARER_TOKEN_FILE],
      cause,
    });
  }
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
