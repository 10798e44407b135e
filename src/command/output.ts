// Owns where a join's output goes: one file or a directory, made ready before and completed after.
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { canonicalJson, receiptText } from '../core/receipt.ts';
import type { JoinPlan } from '../join/plan.ts';
import type { WrittenPart } from '../join/run.ts';
import { openSource } from '../source/registry.ts';
import type { Request } from './request.ts';
import { TOOL } from './version.ts';
import { readIfThere, writeWhole } from './whole-file.ts';

/** The file of an output directory whose presence means complete. */
export const SUM_FILE = '_receipt.json';

/** Beside it from the first file that is published to the last: names of files that are ours, should we not get to the end. */
const CLAIM_FILE = '_receipt.unfinished.json';

/** receipt-sum/1: what the files of a directory are. */
interface ReceiptSum {
  readonly tool: string;
  readonly request?: Request;
  readonly rows: number;
  readonly files: readonly {
    readonly name: string;
    readonly rows: number;
    readonly keySeal: string;
    readonly identity?: { readonly size: number; readonly id: string };
  }[];
}

export interface OutputPlace {
  /** Final path of each part. */
  readonly targets: readonly string[];
  /** The file of a directory whose presence means complete; written last. */
  readonly summary?: string;
  /** Files of the finished join that was there before, which this one does not replace. */
  readonly stale?: readonly string[];
  /** A directory that was made for this output, and goes again when the join fails. */
  readonly made?: string;
}

/** `dir/`, or a directory that is there. */
export function isDirectory(output: string): boolean {
  return output.endsWith('/') || (existsSync(output) && statSync(output).isDirectory());
}

/** `inputs`: all files that the output is made from. Errors: output/exists, output/not-writable. */
export function preparePlace(
  output: string,
  plan: JoinPlan,
  inputs: readonly string[],
  { force, depfile }: { readonly force: boolean; readonly depfile?: string },
): OutputPlace {
  refuseOverwritingInput([output, ...(depfile === undefined ? [] : [depfile])], inputs);
  if (output === '-' || !isDirectory(output)) return { targets: plan.parts.map(() => output) };
  const made = makeFolder(output);
  const summary = join(output, SUM_FILE);
  if (existsSync(summary) && !force) {
    throw new ColweaveError('output/exists', 'the output directory holds a finished join', { where: [summary] });
  }
  const names = plan.parts.map(({ name }) => name);
  const before = [SUM_FILE, CLAIM_FILE].flatMap((file) => readSum(output, file)?.files ?? []).map(({ name }) => name);
  refuseStrays(output, [...names, ...before]);
  const targets = names.map((name) => join(output, name));
  const stale = before.filter((name) => !names.includes(name)).map((name) => join(output, name));
  refuseOverwritingInput([...targets, ...stale], inputs);
  return { targets, summary, stale, ...(made === undefined ? {} : { made }) };
}

/** After a failure: empty directories that were made for the output go, from the inside out. */
export function abandonPlace({ made, summary }: OutputPlace): void {
  if (made === undefined || summary === undefined) return;
  const top = resolve(made);
  try {
    for (let folder = resolve(dirname(summary)); folder.startsWith(top); folder = dirname(folder)) rmdirSync(folder);
  } catch {
    // not empty: somebody else's files stay
  }
}

/** No file that is written or removed may be one of those it is made from, under whichever name. Errors: output/not-writable. */
export function refuseOverwritingInput(outputs: readonly string[], inputs: readonly string[]): void {
  const idOf = (path: string) => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? resolve(path) : `${stat.dev}:${stat.ino}`;
  };
  const known = new Set(inputs.map(idOf));
  const taken = outputs.find((path) => known.has(idOf(path)));
  if (taken === undefined) return;
  throw new ColweaveError('output/not-writable', 'the output is one of the input files', {
    where: [taken],
    hint: 'write elsewhere',
  });
}

/** Gives the first directory it made, if any. */
function makeFolder(folder: string): string | undefined {
  try {
    return mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ColweaveError('output/not-writable', 'the output directory cannot be made', { where: [folder], cause });
  }
}

/** Whoever reads `dir/*.parquet` would count the events of a file of somebody else too. */
function refuseStrays(folder: string, known: readonly string[]): void {
  const stray = readdirSync(folder).find((name) => name.endsWith('.parquet') && !known.includes(name));
  if (stray === undefined) return;
  throw new ColweaveError('output/exists', 'the output directory holds a Parquet file that is no part of this join', {
    where: [join(folder, stray)],
    hint: 'remove it, or write to a directory of its own',
  });
}

export function readSum(
  folder: string,
  file = SUM_FILE,
): (Pick<ReceiptSum, 'files'> & Partial<ReceiptSum>) | undefined {
  try {
    const sum = JSON.parse(readIfThere(join(folder, file)) ?? '') as ReceiptSum;
    return Array.isArray(sum.files) && sum.files.every(({ name }) => name === basename(name)) ? sum : undefined;
  } catch {
    return undefined;
  }
}

/** `_receipt.json` means complete: it goes before anything else changes, and comes back last. */
export function retireSummary({ summary, targets, stale = [] }: OutputPlace): void {
  if (summary === undefined) return;
  const files = [...targets, ...stale].map((path) => ({ name: basename(path) }));
  writeWhole(join(dirname(summary), CLAIM_FILE), `${canonicalJson({ format: 'receipt-sum/1', files })}\n`);
  rmSync(summary, { force: true });
}

/** Receipts beside the outputs on request, and the sum that says a directory is complete. */
export async function writeSidecars(
  parts: readonly WrittenPart[],
  { summary, stale = [] }: OutputPlace,
  {
    receipts,
    request,
    identify,
  }: { readonly receipts: boolean; readonly request: Request; readonly identify: boolean },
): Promise<void> {
  for (const { path, receipt } of receipts ? parts : []) {
    if (path !== '-') writeWhole(`${path}.receipt.json`, `${receiptText(receipt)}\n`);
  }
  if (summary === undefined) return;
  for (const path of stale) for (const each of [path, `${path}.receipt.json`]) rmSync(each, { force: true });
  const files: ReceiptSum['files'][number][] = [];
  for (const { path, rows, receipt } of parts) {
    const identity = identify ? { identity: await identityOf(path) } : {};
    files.push({ name: basename(path), rows, keySeal: receipt.output.keySeal, ...identity });
  }
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  writeWhole(summary, `${canonicalJson({ format: 'receipt-sum/1', tool: TOOL, request, rows, files })}\n`);
  rmSync(join(dirname(summary), CLAIM_FILE), { force: true });
}

async function identityOf(path: string): Promise<{ readonly size: number; readonly id: string }> {
  const file = await openSource(path, {});
  await file.close();
  const { size, id } = file.descriptor.identity;
  return { size, id };
}
