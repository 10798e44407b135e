// Owns the list of input formats, and opening a file by what its first bytes say it is.
import { openStore } from '../bytes/open.ts';
import { ColweaveError } from '../core/errors.ts';
import { arrowFormat } from './arrow.ts';
import { isNoAnswer, openCached, reopenCached } from './cached.ts';
import type { Input } from './inputs.ts';
import { cachedLayout } from './own-metadata.ts';
import { parquetFormat } from './parquet.ts';
import { PARTITIONED, type PartitionLayout, partitionTypes, withPartition } from './partition.ts';
import { failedAll, isForAnother, reopenAnywhere, withReplicas } from './replicas.ts';
import { rootRntuple } from './root-rntuple.ts';
import { rootTtree } from './root-ttree.ts';
import type { FileDescriptor, OpenOptions, SourceFile, SourceFormat } from './types.ts';

/** The first format that recognises a file reads it. */
export const SOURCE_FORMATS: readonly SourceFormat[] = [rootTtree, rootRntuple, parquetFormat, arrowFormat];

const HEAD_BYTES = 64;

/** Through the cache where one is given. Errors: source/remote, source/not-found, source/not-readable, source/not-root, cache/offline-miss and those of the format. */
export async function openSource(uri: string, options: OpenOptions, signal?: AbortSignal): Promise<SourceFile> {
  const { cache, mustAnswer = false, ...own } = options;
  const direct = () => openDirect(uri, own, signal);
  return cache === undefined
    ? direct()
    : openCached(uri, own.tree, cache, { direct, reopen: reopenSource, mustAnswer });
}

async function openDirect(uri: string, options: OpenOptions, signal?: AbortSignal): Promise<SourceFile> {
  const head = await readHead(uri);
  const format = SOURCE_FORMATS.find((candidate) => candidate.recognises(head, uri));
  const namedRoot = uri.endsWith('.root');
  if (!format || (namedRoot && !format.name.startsWith('root-'))) {
    const expected = namedRoot ? 'not a ROOT file' : 'neither ROOT, Parquet nor Arrow';
    throw new ColweaveError('source/not-root', `${expected}: it looks like ${describeBytes(head)}`, { where: [uri] });
  }
  const file = await format.open(uri, options, signal);
  const { replicas = [] } = options;
  if (replicas.length === 0) return file;
  return withReplicas({ ...file, descriptor: { ...file.descriptor, replicas } }, format.reopen);
}

/** The same with the columns that the folders of the input give. `types`: those of the keys over all files of the source. */
export async function openInput(
  input: Input,
  options: OpenOptions & { readonly types?: ReturnType<typeof partitionTypes> } = {},
  signal?: AbortSignal,
): Promise<SourceFile> {
  const { uri, tree, partition, replicas = [] } = input;
  const name = tree ?? options.tree;
  const cache = input.cache ?? options.cache;
  const own = { ...(name === undefined ? {} : { tree: name }), ...(cache === undefined ? {} : { cache }) };
  const file = await openAnywhere([uri, ...replicas], own, signal);
  if (partition === undefined) return file;
  const types = options.types ?? partitionTypes([{ uri, partition }]);
  try {
    return withPartition(
      file,
      partition.map((key) => ({ ...key, ...types.get(key.name)! })),
    );
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The servers in turn; what a cache knows of the file counts when none of them answers. */
async function openAnywhere(
  uris: readonly string[],
  options: OpenOptions,
  signal: AbortSignal | undefined,
): Promise<SourceFile> {
  const { cache } = options;
  const openOne = (own: OpenOptions) => (uri: string, replicas: readonly string[]) =>
    openSource(uri, { ...own, replicas }, signal);
  if (uris.length === 1 || cache === undefined) return openFirst(uris, openOne(options));
  try {
    return await openFirst(uris, openOne({ ...options, mustAnswer: true }));
  } catch (error) {
    if (cache.offline || !isNoAnswer(error)) throw error;
    const known = { ...options, cache: { ...cache, offline: true } };
    return await openFirst(uris, openOne(known)).catch(() => {
      throw error;
    });
  }
}

/** The first that opens; those after it are for later. Errors: that of the first server, with what the others said. */
async function openFirst(
  uris: readonly string[],
  open: (uri: string, replicas: readonly string[]) => Promise<SourceFile>,
): Promise<SourceFile> {
  const failed: ColweaveError[] = [];
  for (const [i, uri] of uris.entries()) {
    try {
      return await open(uri, uris.slice(i + 1));
    } catch (error) {
      if (!isForAnother(error) || uris.length === 1) throw error;
      failed.push(error);
    }
  }
  throw failedAll(failed as [ColweaveError, ...ColweaveError[]]);
}

export async function reopenSource(descriptor: FileDescriptor): Promise<SourceFile> {
  if (descriptor.format === PARTITIONED) {
    const { inner, partition } = descriptor.layout as PartitionLayout;
    return withPartition(await reopenSource(inner), partition);
  }
  const cached = cachedLayout(descriptor);
  if (cached !== undefined) return reopenCached(descriptor, cached, reopenSource);
  const format = SOURCE_FORMATS.find(({ name }) => name === descriptor.format);
  if (!format) throw new Error(`no format ${descriptor.format}`);
  return reopenAnywhere(descriptor, format.reopen);
}

async function readHead(uri: string): Promise<Uint8Array> {
  const store = await openStore(uri);
  try {
    const [head] = await store.read([{ offset: 0, length: Math.min(HEAD_BYTES, store.size) }]);
    return head!;
  } finally {
    await store.close();
  }
}

const SIGNATURES: readonly (readonly [signature: string, what: string])[] = [
  ['root', 'ROOT'],
  ['PAR1', 'Parquet'],
  ['ARROW1', 'an Arrow file'],
  ['\x89HDF', 'HDF5'],
  ['\x1f\x8b', 'gzip'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['PK', 'a zip archive'],
  ['<', 'a web page or XML (a download that failed?)'],
  ['{', 'JSON'],
];

/** What a file looks like, for messages. */
export function describeBytes(head: Uint8Array): string {
  if (head.length === 0) return 'an empty file';
  const start = Buffer.from(head).toString('latin1');
  const known = SIGNATURES.find(([signature]) => start.trimStart().startsWith(signature));
  if (known) return known[1];
  if (/^[\t\n\r\x20-\x7e]*$/.test(start)) return 'text';
  if (head.every((byte) => byte === 0)) return 'zeros';
  return `unknown data (it begins with ${Buffer.from(head.subarray(0, 4)).toString('hex')})`;
}
