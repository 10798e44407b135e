// Owns turning names of servers into one asker: protocols by URL, one version pinned for all of them.
import { ColweaveError } from '../core/errors.ts';
import type { Asker } from './ask.ts';
import { protocolOf } from './protocols.ts';
import type { ConnectOptions, Endpoint } from './types.ts';

export interface Connected extends Asker {
  readonly protocol: string;
  /** Who answered how many rows. */
  served(): readonly { readonly url: string; readonly rows: number; readonly requests: number }[];
  close(): Promise<void>;
}

export interface Wanted {
  readonly model: string;
  /** `` = the newest. */
  readonly version: string;
  /** For names without a scheme. */
  readonly protocol: string;
  readonly inFlight?: number;
}

const WIDTH = 4;

export async function connectServers(
  urls: readonly string[],
  wanted: Wanted,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Connected> {
  const [first] = urls;
  if (first === undefined) throw new ColweaveError('usage/bad-option', 'no inference server is named');
  const { protocol, url } = protocolOf(first, wanted.protocol);
  const endpoint: Endpoint = protocol.connect(url, options);
  try {
    const info = await endpoint.model(wanted.model, wanted.version, signal);
    const served = { url: endpoint.url, rows: 0, requests: 0 };
    let flying = 0;
    let wake: (() => void) | undefined;
    return {
      protocol: protocol.name,
      info,
      room: async () => {
        while (flying >= (wanted.inFlight ?? WIDTH))
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      },
      ask: async (request, stop) => {
        flying++;
        const response = await endpoint.infer(request, stop).finally(() => {
          flying--;
          wake?.();
        });
        served.rows += request.inputs[0]?.shape[0] ?? 0;
        served.requests++;
        return response;
      },
      served: () => [served],
      close: () => endpoint.close(),
    };
  } catch (error) {
    await endpoint.close();
    throw error;
  }
}
