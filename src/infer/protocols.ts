// The registry of protocols to inference servers, and which one a URL is of.
import { ColweaveError } from '../core/errors.ts';
import { KSERVE_GRPC } from './kserve-grpc.ts';
import { KSERVE_HTTP } from './kserve-http.ts';
import type { Protocol } from './types.ts';

export const PROTOCOLS: readonly Protocol[] = [KSERVE_HTTP, KSERVE_GRPC];

const SCHEMES: Readonly<Record<string, string>> = { http: 'http', https: 'http', grpc: 'grpc', grpcs: 'grpc' };

/** The scheme says it; HOST:PORT alone is of `preferred`. Returns the URL in full. Errors: usage/bad-option. */
export function protocolOf(url: string, preferred = 'http'): { readonly protocol: Protocol; readonly url: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  const name = scheme === undefined ? preferred : SCHEMES[scheme];
  const protocol = PROTOCOLS.find((each) => each.name === name);
  if (protocol === undefined) {
    throw new ColweaveError('usage/bad-option', `"${url}" is no URL of an inference server`, {
      hint: 'such as http://HOST:8000, grpc://HOST:8001, or https:// and grpcs:// with TLS',
    });
  }
  return { protocol, url: scheme === undefined ? `${protocol.name}://${url}` : url };
}
