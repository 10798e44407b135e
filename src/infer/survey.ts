// Owns what must be so before a server gets rows: it serves the model, in the pinned version, configured as on the others.
import { nearestNames } from '../core/text.ts';
import { newestOf } from './model-info.ts';
import { type Retry, ServerError } from './server-error.ts';
import type { Endpoint, ModelInfo, ServedModel, TensorSpec } from './types.ts';

/** What servers are asked for; `version` `` = not pinned yet. */
export interface Wanted {
  readonly name: string;
  readonly version: string;
}

/** Asks the index first: a saturated site refuses only that. Errors: a ServerError; infer/no-model with `retry: later` while it loads. */
export async function survey(endpoint: Endpoint, wanted: Wanted, signal: AbortSignal): Promise<ModelInfo> {
  const { name, version } = wanted;
  const index = await endpoint.index?.(signal);
  const lines = index?.filter((line) => line.name === name);
  if (index !== undefined && lines?.length === 0) {
    throw new ServerError('infer/no-model', `the server has no model ${name}`, {
      where: [endpoint.url],
      retry: 'never',
      near: nearestNames(name, new Set(index.map((line) => line.name))),
    });
  }
  if (!(await endpoint.ready(signal, wanted))) await whyNotReady(endpoint, wanted, signal);
  const told = await endpoint.model(name, version, signal);
  const info = told.versions.length > 0 ? told : withVersions(told, lines ?? []);
  if (version !== '' && info.version !== version) throw versionDiffers(endpoint.url, wanted, info.version);
  return info;
}

/** MLServer says State.READY over gRPC. */
function isReady({ state }: ServedModel): boolean {
  return /(?:^|\.)READY$/.test(state);
}

/** MLServer names its versions in the index alone. */
function withVersions(info: ModelInfo, lines: readonly ServedModel[]): ModelInfo {
  const versions = lines.filter((line) => isReady(line) && line.version !== '').map((line) => line.version);
  return { ...info, versions, version: info.version === '' ? newestOf(versions) : info.version };
}

/** Never returns: loading, in other versions only, or not there. */
async function whyNotReady(endpoint: Endpoint, { name, version }: Wanted, signal: AbortSignal): Promise<never> {
  const lines = (await endpoint.index?.(signal))?.filter((line) => line.name === name) ?? [];
  const ready = lines.filter(isReady).map((line) => line.version);
  if (version !== '' && ready.length > 0 && !ready.includes(version)) {
    throw versionDiffers(endpoint.url, { name, version }, ready.join(', '));
  }
  // one says that it is ready, one that it is not: by chance once, and again and again where two servers have one URL
  if (ready.length > 0) throw versionDiffers(endpoint.url, { name, version }, SOME, 'elsewhere');
  const loading = lines.some(({ state }) => state === 'LOADING');
  const reason = lines.map((line) => line.reason).find((text) => text !== '') ?? '';
  throw new ServerError('infer/no-model', `model ${name} is not ready${reason === '' ? '' : ` (${reason})`}`, {
    where: [endpoint.url],
    retry: loading ? 'later' : 'elsewhere',
  });
}

/** In place of a version: what a balancer in front shows. */
export const SOME = 'not by all servers behind this URL';

export function versionDiffers(
  url: string,
  { name, version }: Wanted,
  found: string,
  retry: Retry = 'never',
): ServerError {
  const served = found === SOME ? `and served ${SOME}` : `${found || 'none'} is served`;
  return new ServerError('infer/version-differs', `version ${version || 'any'} of ${name} was asked for, ${served}`, {
    where: [url],
    retry,
  });
}

/** The newest version that all serve; `` = they have no versions. Errors: infer/version-differs. */
export function commonVersion(surveys: readonly { readonly url: string; readonly info: ModelInfo }[]): string {
  const [first, ...others] = surveys;
  if (first === undefined) return '';
  if (surveys.every(({ info }) => info.versions.length === 0)) return first.info.version;
  const common = first.info.versions.filter((version) => others.every(({ info }) => info.versions.includes(version)));
  if (common.length > 0) return newestOf(common);
  throw new ServerError('infer/version-differs', `the servers have no version of ${first.info.name} in common`, {
    where: [first.url],
    retry: 'never',
    details: surveys.map(({ url, info }) => `${url}: ${info.versions.join(', ') || 'none'}`),
  });
}

/** One model everywhere. Errors: infer/version-differs, which says what differs. */
export function checkSame(pinned: ModelInfo, other: ModelInfo, url: string): void {
  const text = (specs: readonly TensorSpec[]): string =>
    specs.map(({ name, type, shape }) => `${name} ${type} [${shape.join(', ')}]`).join('; ');
  const differences = [
    ['version', pinned.version, other.version],
    ['inputs', text(pinned.inputs), text(other.inputs)],
    ['outputs', text(pinned.outputs), text(other.outputs)],
    // a server of another make may not tell its configuration
    ['configuration', pinned.configHash ?? other.configHash ?? '', other.configHash ?? pinned.configHash ?? ''],
  ].filter(([, mine, theirs]) => mine !== theirs);
  const [first] = differences;
  if (first === undefined) return;
  throw new ServerError(
    'infer/version-differs',
    `the servers do not serve the same ${pinned.name}: ${first[0]} differs`,
    {
      where: [url],
      retry: 'never',
      details: differences.map(([what, mine, theirs]) => `${what}: ${theirs} here, ${mine} elsewhere`),
    },
  );
}
