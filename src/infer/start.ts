// Owns the start of a run: who serves the model, which version all of them have, and that it is the same everywhere.
import { setTimeout as sleep } from 'node:timers/promises';
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { Balance } from './balance.ts';
import { POLICY, type Policy, pauseOf } from './policy.ts';
import { protocolOf } from './protocols.ts';
import { lostError, ServerError } from './server-error.ts';
import { checkSame, commonVersion, survey, type Wanted } from './survey.ts';
import type { ConnectOptions, Endpoint, ModelInfo } from './types.ts';

export interface ServersOptions {
  /** With a scheme, or HOST:PORT of `protocol`. */
  readonly urls: readonly string[];
  readonly protocol?: string;
  readonly connect?: ConnectOptions;
  readonly model: string;
  /** `` = the newest that all servers have. */
  readonly version: string;
  readonly policy?: Partial<Policy>;
  readonly emit: Emit;
}

/** Errors: usage/bad-option, infer/unreachable, infer/no-model, infer/version-differs, infer/credentials and others of a server. */
export async function openServers(options: ServersOptions, signal: AbortSignal): Promise<Balance> {
  const urls = [...new Set(options.urls)];
  if (urls.length === 0) throw new ColweaveError('usage/bad-option', 'no inference server is named');
  // as many as requests in flight, and some to ask how a server is
  const connectionsMax = (options.policy?.concurrencyMax ?? POLICY.concurrencyMax) + 2;
  const endpoints = urls.map((word) => {
    const { protocol, url } = protocolOf(word, options.protocol);
    return protocol.connect(url, { connectionsMax, ...options.connect });
  });
  try {
    return await openBalance({ ...options, endpoints }, signal);
  } catch (failure) {
    await Promise.all(endpoints.map((endpoint) => endpoint.close()));
    throw failure;
  }
}

export interface EndpointsOptions extends Omit<ServersOptions, 'urls' | 'protocol' | 'connect'> {
  readonly endpoints: readonly Endpoint[];
}

/** The same with connections at hand; they stay open when it fails. */
export async function openBalance(options: EndpointsOptions, signal: AbortSignal): Promise<Balance> {
  const { endpoints, emit } = options;
  const policy = { ...POLICY, ...options.policy };
  const wanted = { name: options.model, version: options.version };
  const found = await surveyAll(endpoints, { wanted, policy, emit }, signal);
  const version = commonVersion(found);
  const pinned = await Promise.all(
    found.map(async ({ endpoint, info, url }) => ({
      endpoint,
      url,
      // inputs and outputs may be others in another version
      info: info.version === version ? info : await endpoint.model(options.model, version, signal),
    })),
  );
  const first = pinned[0]!.info;
  for (const { info, url } of pinned) checkSame(first, info, url);
  const known = pinned.flatMap(({ info }) => info.maxBatchSize || []);
  const info = known.length === 0 ? first : { ...first, maxBatchSize: Math.min(...known) };
  return new Balance({ endpoints, info, up: pinned.map(({ endpoint }) => endpoint), policy, emit });
}

interface Surveyed {
  readonly endpoint: Endpoint;
  readonly url: string;
  readonly info: ModelInfo;
}

interface SurveySetting {
  readonly wanted: Wanted;
  readonly policy: Policy;
  readonly emit: Emit;
}

/** Those that serve the model; waits for the first one. */
async function surveyAll(
  endpoints: readonly Endpoint[],
  { wanted, policy, emit }: SurveySetting,
  signal: AbortSignal,
): Promise<Surveyed[]> {
  const start = Date.now();
  for (let n = 0; ; n++) {
    const results = await Promise.all(endpoints.map((endpoint) => surveyOne(endpoint, { wanted, policy }, signal)));
    signal.throwIfAborted();
    const good = results.flatMap((result) => ('info' in result ? [result] : []));
    const failures = results.flatMap((result) => ('failure' in result ? [result.failure] : []));
    const fatal = failures.find(({ code, retry }) => code === 'infer/version-differs' && retry === 'never');
    if (fatal !== undefined) throw fatal;
    if (good.length > 0) {
      for (const { code, message, where } of failures)
        emit({ type: 'warning', code, text: `${where.join(': ')}: ${message}` });
      return good;
    }
    const busy = failures.some(({ retry }) => retry === 'later');
    const passing = failures.some(
      ({ retry, code }) => retry === 'later' || (retry === 'elsewhere' && code !== 'infer/no-model'),
    );
    // a busy server is there: it is worth the time that a batch would get
    if (!passing || Date.now() - start > (busy ? policy.budgetMs : policy.startMs)) throw failures[0]!;
    if (n === 0)
      emit({ type: 'note', text: `${failures[0]!.where.join(': ')}: ${failures[0]!.message}; trying again` });
    await sleep(Math.max(pauseOf(n, policy), busy ? (failures[0]!.retryAfterMs ?? 0) : 0), undefined, { signal });
  }
}

async function surveyOne(
  endpoint: Endpoint,
  { wanted, policy }: Omit<SurveySetting, 'emit'>,
  signal: AbortSignal,
): Promise<Surveyed | { readonly failure: ServerError }> {
  const { url } = endpoint;
  const limit = AbortSignal.timeout(policy.surveyMs);
  try {
    return { endpoint, url, info: await survey(endpoint, wanted, AbortSignal.any([signal, limit])) };
  } catch (failure) {
    if (signal.aborted) throw signal.reason;
    if (failure instanceof ServerError) return { failure };
    if (limit.aborted) return { failure: lostError(url, new Error(`no answer within ${policy.surveyMs / 1000} s`)) };
    throw failure;
  }
}
