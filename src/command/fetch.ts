// Owns the fetch command: columns of files anywhere into Parquet or Arrow files here, through the cache.
import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { inParallel } from '../bytes/parallel.ts';
import { isRemote } from '../bytes/remote.ts';
import { ColweaveError } from '../core/errors.ts';
import { canonicalJson, type FileIdentity, type Receipt } from '../core/receipt.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { expandInputs, type Input } from '../source/inputs.ts';
import { openSource } from '../source/registry.ts';
import { type Manifest, type ManifestFile, readManifest, sha256Of, writeManifest } from './fetch-manifest.ts';
import { outputNames } from './fetch-names.ts';
import type { FetchedFile, FetchOptions, FetchReport, RunFetch } from './fetch-types.ts';
import { runJoin } from './join.ts';
import { closeSources, openSources } from './open-sources.ts';
import { isDirectory } from './output.ts';
import { writerNamed } from './output-name.ts';
import { receiptOf } from './receipts.ts';
import { memoryHere, threadsHere } from './resources.ts';
import type { CommandContext, JoinOptions } from './types.ts';
import { TOOL } from './version.ts';
import { withCache } from './with-cache.ts';

const MANIFEST_FILE = '_fetch.json';
/** What is wrong with one file, or its server, need not stop the others. */
const ITS_OWN = [1, 3, 4, 75];

/** One output, of one file or of all. */
interface Task {
  readonly inputs: readonly Input[];
  readonly path: string;
}

/**
 * A file for each source file, or one of all. Each is published by itself: what is up to date is left alone, so that a
 * second run does what is left. Errors: those of a join of its files, cache/.
 */
export const runFetch: RunFetch = async (options, context) => {
  if (isRemote(options.output)) {
    const hint = 'fetch brings files here; join writes to servers';
    throw new ColweaveError('usage/bad-option', 'the output is on a server', { hint });
  }
  const inputs = expandInputs(
    options.sources,
    options.redirector === undefined ? {} : { redirector: options.redirector },
  );
  const perFile = isFolder(options.output);
  const format = options.format ?? writerNamed(options.output);
  const tasks = tasksOf(inputs, options.output, { perFile, format });
  const manifest = perFile ? join(options.output, MANIFEST_FILE) : `${options.output}.fetch.json`;
  const made = perFile ? makeFolder(options.output) : undefined;
  const remote = inputs.some(({ uri }) => isRemote(uri));
  try {
    const { result, cache } = await withCache(options, remote, context, (inner) =>
      fetchAll(tasks, { options, format, manifest }, inner),
    );
    return { ...result, manifest, ...(cache === undefined ? {} : { cache }) };
  } catch (error) {
    if (made !== undefined) removeEmpty(options.output, made);
    throw error;
  }
};

function isFolder(output: string): boolean {
  return isDirectory(output) || !/\.(parquet|arrows?|feather)$/i.test(output);
}

function tasksOf(
  inputs: readonly Input[],
  output: string,
  { perFile, format }: { readonly perFile: boolean; readonly format: string },
): readonly Task[] {
  if (!perFile) return [{ inputs, path: output }];
  const names = outputNames(inputs, format);
  return inputs.map((input, i) => ({ inputs: [input], path: join(output, names[i]!) }));
}

/** Gives the first directory it made, if any. */
function makeFolder(folder: string): string | undefined {
  try {
    return mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ColweaveError('output/not-writable', 'the output directory cannot be made', { where: [folder], cause });
  }
}

/** From the inside out, as long as nothing is in them. */
function removeEmpty(folder: string, made: string): void {
  const top = resolve(made);
  try {
    for (let at = resolve(folder); at.startsWith(top); at = dirname(at)) rmdirSync(at);
  } catch {
    // what was fetched stays
  }
}

interface Fetching {
  readonly options: FetchOptions;
  readonly format: 'parquet' | 'arrow';
  readonly manifest: string;
}

/** Files of servers at once: while one is opened or decoded, bytes of others travel. */
const REMOTE_AT_ONCE = 4;
/** The manifest of many files is long: it is not written after each. */
const RECORD_MS = 2000;

type Fetched = FetchedFile & { readonly identities: readonly FileIdentity[] };
type Failed = FetchReport['failed'][number];

async function fetchAll(
  tasks: readonly Task[],
  fetching: Fetching,
  context: CommandContext,
): Promise<Pick<FetchReport, 'files' | 'failed'>> {
  const many = tasks.length > 1;
  const remote = tasks.some(({ inputs }) => inputs.some(({ uri }) => isRemote(uri)));
  const width = remote ? Math.min(REMOTE_AT_ONCE, tasks.length) : 1;
  const own = many ? { ...fetching, options: shared(fetching.options, width) } : fetching;
  const before = readManifest(fetching.manifest);
  const ends: (Fetched | Failed | undefined)[] = tasks.map(() => undefined);
  let recorded = Date.now();
  const tell = () => {
    const done = ends.filter((end) => end !== undefined).length;
    // the files are what counts when there are several
    if (many) context.emit({ type: 'progress', stage: 'files', done, total: tasks.length });
    if (done < tasks.length && Date.now() - recorded < RECORD_MS) return;
    record(fetching, tasks, ends, before);
    recorded = Date.now();
  };
  try {
    await inParallel([...tasks.entries()], width, async ([i, task]) => {
      const inner = many ? { ...context, emit: quietly(context.emit) } : context;
      ends[i] = await fetchOne(task, own, before, inner).catch((error) => failure(error, task, many));
      tell();
    });
  } catch (error) {
    if (ends.some((end) => end !== undefined)) record(fetching, tasks, ends, before);
    throw error;
  }
  const files = ends.filter((end) => end !== undefined && !('code' in end)) as Fetched[];
  const failed = ends.filter((end) => end !== undefined && 'code' in end) as Failed[];
  return { files: files.map(({ identities: _, ...file }) => file), failed };
}

/** Threads and memory of one of `width` at a time. */
function shared(options: FetchOptions, width: number): FetchOptions {
  if (width === 1) return options;
  const jobs = Math.max(1, Math.floor((options.jobs ?? threadsHere()) / width));
  return { ...options, jobs, memoryBytes: Math.floor((options.memoryBytes ?? memoryHere()) / width) };
}

function failure(error: unknown, task: Task, many: boolean): Failed {
  if (!many || !(error instanceof ColweaveError) || !ITS_OWN.includes(error.exit)) throw error;
  const { code, exit, message, where, near, hint, details } = error;
  return { uri: uriOf(task), code, exit, message, where, near, hint, details };
}

/** Files in the order of the sources; those of an earlier run stay until this one has come to them. */
function record(
  { options: { columns }, manifest }: Fetching,
  tasks: readonly Task[],
  ends: readonly (Fetched | Failed | undefined)[],
  before: Manifest | undefined,
): void {
  const files: ManifestFile[] = [];
  const failed: Manifest['failed'][number][] = [];
  for (const [i, { path }] of tasks.entries()) {
    const end = ends[i];
    const output = basename(path);
    if (end === undefined) files.push(...(before?.files.filter((file) => file.output === output) ?? []));
    else if ('code' in end) failed.push({ uri: end.uri, code: end.code });
    else {
      const { uri, identities, rows, bytes, sha256 } = end;
      files.push({ uri, identities, output, rows, bytes, sha256 });
    }
  }
  const complete = ends.every((end) => end !== undefined) && failed.length === 0;
  writeManifest(manifest, { complete, columns, files, failed });
}

function quietly(emit: CommandContext['emit']): CommandContext['emit'] {
  return (event) => {
    if (event.type !== 'progress') emit(event);
  };
}

const uriOf = ({ inputs }: Task): string => inputs.map(({ uri }) => withoutSecrets(uri)).join(' ');

async function fetchOne(
  task: Task,
  { options, format }: Fetching,
  before: Manifest | undefined,
  context: CommandContext,
): Promise<Fetched> {
  const asked = joinOptions(task, options, format);
  const known = before?.files.find(({ output }) => output === basename(task.path));
  const uri = uriOf(task);
  const own = known === undefined ? undefined : await standing(task, { asked, known, format }, context);
  if (own === 'fresh' && !options.redo) return { ...known!, uri, path: task.path, upToDate: true };
  const report = await runJoin({ ...asked, force: asked.force || own === 'fresh' }, context);
  const upToDate = 'upToDate' in report;
  const { rows } = report.outputs[0]!;
  const bytes = statSync(task.path).size;
  const sha256 = upToDate && known?.bytes === bytes ? known.sha256 : await sha256Of(task.path, context.signal);
  return { uri, path: task.path, rows, bytes, sha256, upToDate, identities: await identitiesIn(task.path) };
}

/**
 * Whether the file that is there is what would be fetched. A join tells that of Parquet files by their footers; an Arrow file
 * has none, but the manifest has its sum.
 */
async function standing(
  { path }: Task,
  { asked, known, format }: { readonly asked: JoinOptions; readonly known: ManifestFile; readonly format: string },
  context: CommandContext,
): Promise<'fresh' | undefined> {
  if (format !== 'arrow' || !existsSync(path) || statSync(path).size !== known.bytes) return undefined;
  if ((await sha256Of(path, context.signal)) !== known.sha256) return undefined;
  const receipt = await receiptIn(path);
  const opened = await openSources(asked, context);
  try {
    const same = canonicalJson(receipt?.spec.request) === canonicalJson(opened.request) && receipt?.tool === TOOL;
    return same ? 'fresh' : undefined;
  } finally {
    await closeSources(opened);
  }
}

async function receiptIn(path: string): Promise<Receipt | undefined> {
  const file = await openSource(path, {});
  try {
    return receiptOf(file);
  } finally {
    await file.close();
  }
}

async function identitiesIn(path: string): Promise<readonly FileIdentity[]> {
  const files = (await receiptIn(path))?.sources[0]?.files ?? [];
  return files.map(({ identity }) => identity);
}

/** A join of the source with nothing: key columns are always there, every value is sealed, and the receipt says so. */
function joinOptions({ inputs, path }: Task, options: FetchOptions, format: 'parquet' | 'arrow'): JoinOptions {
  const { on, tree, columns, schema, compression, dropUnreadable, jobs, memoryBytes, force, redo } = options;
  return {
    primary: [],
    inputs,
    friends: [],
    how: 'left',
    ...(on === undefined ? {} : { on }),
    ...(tree === undefined ? {} : { tree }),
    columns,
    layout: 'arrow',
    missing: { kind: 'null' },
    schema,
    dropUnreadable,
    output: path,
    writer: format,
    compression,
    dryRun: false,
    receipt: false,
    force,
    redo,
    ...(jobs === undefined ? {} : { jobs }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}
