// Owns the verify command: for each file the receipt, check 2, and check 3 where sources are given.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import { keySpecFor } from '../keys/spec.ts';
import { type Pool, startPool } from '../pool/pool.ts';
import { expandInputs } from '../source/inputs.ts';
import { ownReceipt } from '../source/own-metadata.ts';
import { openSource } from '../source/registry.ts';
import type { SourceFile } from '../source/types.ts';
import { asFinding } from '../verify/check-receipt.ts';
import { checkDirectory, hasSummary } from '../verify/directory.ts';
import { eventSet, repeatedIn } from '../verify/event-sets.ts';
import { type Finding, finding, isDamage } from '../verify/findings.ts';
import { checkParts } from '../verify/parts.ts';
import { type ReadReceipt, readReceipt } from '../verify/receipt-shape.ts';
import { verifyContent } from '../verify/verify-file.ts';
import { receiptBeside, receiptOf } from './receipts.ts';
import { threadsHere } from './resources.ts';
import type { CommandContext, RunVerify, VerifyOptions, VerifyReport } from './types.ts';
import { checkLumis, checkRelation, closeAll, openAll, sortMemory } from './verify-sets.ts';
import { cacheText, withCache } from './with-cache.ts';

type FileReport = VerifyReport['files'][number];

/** Errors: verify/no-receipt, verify/not-data, and those of the sources; all that is wrong with an output is a finding. */
export const runVerify: RunVerify = async (options, context) => {
  if (options.cache === undefined && options.offline !== true) return verify(options, context);
  // $COLWEAVE_CACHE alone says nothing here: what a join left in a cache is no evidence unless it is asked for
  const { result, cache } = await withCache(options, false, context, (inner) => verify(options, inner));
  if (cache !== undefined) context.emit({ type: 'note', text: cacheText(cache) });
  return result;
};

const verify: RunVerify = async (options, context) => {
  if (options.relation !== undefined) return { files: [], relation: await checkRelation(options, context) };
  const words = options.parts === undefined ? options.outputs : [...options.outputs, options.parts];
  const outputs = expandOutputs(words);
  const given = options.against.length === 0 ? [] : expandInputs(options.against);
  const { cache } = context;
  const sources = cache === undefined ? given : given.map((input) => ({ ...input, cache }));
  const files: (FileReport | undefined)[] = [];
  const pool = startThreads(outputs, options.jobs);
  try {
    for (const [done, path] of outputs.entries()) {
      context.emit({ type: 'progress', stage: 'verify', done, total: outputs.length });
      files.push(await verifyFile(path, { ...options, sources, pool }, context));
    }
  } finally {
    await pool?.close();
  }
  context.emit({ type: 'progress', stage: 'verify', done: outputs.length, total: outputs.length });
  const whole = options.parts === undefined ? [] : await verifyParts(options.parts, options, context);
  const wantsLumis = options.lumis !== undefined || options.writeLumis !== undefined;
  const lumis = wantsLumis ? { lumis: await checkLumis({ ...options, outputs }, context) } : {};
  return { files: [...directories(words), ...whole, ...files.filter((file) => file !== undefined)], ...lumis };
};

/** Only what is wrong with a directory as a whole: its files have reports of their own. */
function directories(words: readonly string[]): FileReport[] {
  return words
    .filter((word) => hasSummary(word))
    .map((word) => reportOf(word, undefined, false, checkDirectory(word)))
    .filter(({ findings }) => findings.length > 0);
}

interface FileOptions extends VerifyOptions {
  readonly sources: ReturnType<typeof expandInputs>;
  readonly pool: Pool | undefined;
}

/** Outputs from which threads are worth starting. */
const THREADS_BYTES = 16 * 2 ** 20;

function startThreads(paths: readonly string[], jobs: number | undefined): Pool | undefined {
  const threads = jobs ?? threadsHere();
  const most = Math.max(...paths.map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0));
  return threads < 2 || most < THREADS_BYTES ? undefined : startPool(threads, 'check');
}

/** What a join wrote for rows of a friend alone begins with `_`, which inputs leave out. */
function expandOutputs(words: readonly string[]): readonly string[] {
  try {
    return words.flatMap((word) => {
      const paths = expandInputs([word]).map(({ uri }) => uri);
      if (!statSync(word, { throwIfNoEntry: false })?.isDirectory()) return paths;
      const only = readdirSync(word).filter((name) => /^_only_.*\.parquet$/.test(name));
      return [...paths, ...only.sort().map((name) => join(word, name))];
    });
  } catch (cause) {
    if (!(cause instanceof ColweaveError) || cause.code !== 'source/not-found') throw cause;
    throw new ColweaveError('verify/not-data', cause.message, { where: cause.where, near: cause.near });
  }
}

/** Errors: verify/not-data where the directory holds no part. */
async function verifyParts(folder: string, options: VerifyOptions, { signal }: CommandContext): Promise<FileReport[]> {
  const files = await openAll(expandOutputs([folder]), options.tree, signal);
  try {
    const parts = files.flatMap((file) => {
      const receipt = receiptOf(file);
      return receipt === undefined ? [] : [{ path: file.descriptor.uri, receipt }];
    });
    if (parts.length < files.length) return []; // each such file has a report of its own
    const spec = keySpecFor((parts[0]!.receipt.spec.on as string[]).join(','), files[0]!.descriptor.schema, [folder]);
    const set = eventSet(files);
    const repeated = await repeatedIn(set, spec, { memoryBytes: sortMemory(options), signal });
    const report = reportOf(folder, undefined, false, [...checkParts(parts), ...repeated]);
    return [{ ...report, rows: set.rows, columns: files[0]!.descriptor.schema.fields.length, parts: files.length }];
  } finally {
    await closeAll(files);
  }
}

/** undefined: the file has no receipt, and only its lumi blocks were asked for. */
async function verifyFile(
  path: string,
  options: FileOptions,
  context: CommandContext,
): Promise<FileReport | undefined> {
  let file: SourceFile;
  try {
    file = await openSource(path, options.tree === undefined ? {} : { tree: options.tree }, context.signal);
  } catch (error) {
    return reportOf(path, undefined, false, [unopened(error, path)]);
  }
  try {
    const read = receiptFor(path, file, options);
    if (read === undefined && options.sources.length === 0) {
      if (options.lumis !== undefined || options.writeLumis !== undefined) return undefined;
      throw new ColweaveError('verify/no-receipt', 'the file has no receipt', { where: [path] });
    }
    const findings = [...(read?.findings ?? []), ...(await checkFile(path, file, read?.receipt, options, context))];
    return reportOf(path, file, options.sources.length > 0, findings);
  } finally {
    await file.close();
  }
}

/** A file named as data whose bytes are not is damaged; anything else was not meant. */
function unopened(error: unknown, path: string): Finding {
  if (
    error instanceof ColweaveError &&
    error.code === 'source/not-root' &&
    !/\.(parquet|pq|arrows?|root)$/i.test(path)
  ) {
    throw new ColweaveError('verify/not-data', error.message, { where: error.where });
  }
  if (error instanceof ColweaveError && ['source/not-readable', 'source/no-tree'].includes(error.code)) throw error;
  return asFinding(error);
}

/** `--receipt FILE`, else the file's own, else OUT.receipt.json beside it. */
function receiptFor(path: string, file: SourceFile, { receipt }: VerifyOptions): ReadReceipt | undefined {
  const own = ownReceipt(file.descriptor);
  const beside = receiptBeside(path);
  const given = receipt ?? (own === undefined && existsSync(beside) ? beside : undefined);
  if (given === undefined) return own === undefined ? undefined : readReceipt(own);
  const text = readSidecar(given);
  const read = readReceipt(text);
  if (own === undefined || own.trimEnd() === text.trimEnd()) return read;
  const other = finding('verify/receipt-edited', `the receipt inside the file is not the one in ${given}`);
  return { ...read, findings: [...read.findings, other] };
}

function readSidecar(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ColweaveError('verify/no-receipt', 'the receipt cannot be read', { where: [path], cause });
  }
}

async function checkFile(
  path: string,
  file: SourceFile,
  receipt: Receipt | undefined,
  { sources, pool, ...options }: FileOptions,
  { emit, signal }: CommandContext,
): Promise<readonly Finding[]> {
  if (receipt === undefined && sources.length === 0) return [];
  const memoryBytes = sortMemory(options);
  return verifyContent({ path, file, receipt, inputs: sources, pool, memoryBytes }, { emit, signal });
}

function reportOf(
  path: string,
  file: SourceFile | undefined,
  against: boolean,
  findings: readonly Finding[],
): FileReport {
  const damaged = findings.some(isDamage);
  return {
    path,
    verdict: damaged ? 'mixed-or-damaged' : findings.length > 0 ? 'rewritten' : 'verified',
    rows: file?.descriptor.rows ?? 0,
    columns: file?.descriptor.schema.fields.length ?? 0,
    against,
    findings,
  };
}
