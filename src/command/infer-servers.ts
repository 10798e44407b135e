// Owns who answers a run: named servers, the model file's, the site's; with the credentials that the environment holds.
import { readFileSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import { type Connected, connectServers } from '../infer/connect.ts';
import { expandServers, serverOfSite } from '../infer/discover.ts';
import type { Model } from '../infer/model.ts';
import type { ModelInfo } from '../infer/types.ts';
import type { DescribeOptions, InferOptions } from './infer-types.ts';
import type { CommandContext } from './types.ts';

/** Errors: usage/bad-option where nobody is named, and those of servers. */
export async function openServers(options: InferOptions, model: Model, { signal }: CommandContext): Promise<Connected> {
  const protocol = options.protocol ?? model.protocol ?? 'http';
  const urls = serverNames(options.servers, model);
  const wanted = {
    model: model.name,
    version: model.version,
    protocol,
    ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
  };
  return connectServers(urls, wanted, { ...tokenOf(process.env), ...authorities(options.ca) }, signal);
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

/** What the server says of a model. */
export async function describeModel(options: DescribeOptions, { signal }: CommandContext): Promise<ModelInfo> {
  const { url, model, modelVersion = '', protocol = 'http', ca } = options;
  const wanted = { model, version: modelVersion, protocol };
  const connected = await connectServers([url], wanted, { ...tokenOf(process.env), ...authorities(ca) }, signal);
  try {
    return connected.info;
  } finally {
    await connected.close();
  }
}
