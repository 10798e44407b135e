// Owns whether an output that is there is what this join would write: by its receipt and footers, never by time stamps.
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { isRemoteTarget, targetFor } from '../bytes/target.ts';
import { ColweaveError } from '../core/errors.ts';
import { RECEIPT_KEY, type Receipt, receiptDigest } from '../core/receipt.ts';
import { CREATED_BY } from '../sink/parquet/footer.ts';
import { parquetCreator, parquetMetadata, parquetRowGroups } from '../source/parquet.ts';
import { openSource } from '../source/registry.ts';
import type { FileDescriptor } from '../source/types.ts';
import { readSum, SUM_FILE } from './output.ts';
import type { Request } from './request.ts';
import type { OutputSummary } from './types.ts';
import { TOOL } from './version.ts';
import { writeIfOther } from './whole-file.ts';

/** What is at the output's name: nothing, this very output, or something else. */
export type Standing =
  | { readonly kind: 'none' }
  | { readonly kind: 'fresh'; readonly outputs: readonly FreshOutput[] }
  | { readonly kind: 'other'; readonly why: string };

export interface FreshOutput extends OutputSummary {
  readonly receipt: string;
}

/** Who is named in the footers that our writers make; Arrow files have none and are always made again. */
const CREATORS: Readonly<Record<string, string>> = { parquet: CREATED_BY, parquetjs: 'parquet.js' };

/** Reads footers only. */
export async function standingOf(
  output: string,
  perFile: boolean,
  request: Request,
  { writer, signal }: { readonly writer: string; readonly signal: AbortSignal },
): Promise<Standing> {
  const path = perFile ? join(output, SUM_FILE) : output;
  const isThere = isRemoteTarget(output) ? await (await targetFor(output)).exists(output, signal) : existsSync(path);
  if (!isThere) return { kind: 'none' };
  if (CREATORS[writer] === undefined) return { kind: 'other', why: 'whether it is up to date cannot be told' };
  try {
    const look = { writer, signal };
    return perFile ? await directoryStanding(output, request, look) : await fileStanding(path, request, look);
  } catch (error) {
    if (!(error instanceof ColweaveError) || /^(credentials|remote)\//.test(error.code)) throw error;
    return { kind: 'other', why: `it is no whole output of colweave (${error.code})` };
  }
}

interface Look {
  readonly writer: string;
  readonly signal: AbortSignal;
}

async function fileStanding(path: string, request: Request, look: Look): Promise<Standing> {
  if (!isRemoteTarget(path) && !statSync(path).isFile()) return { kind: 'none' }; // devices and pipes: the writer says what is wrong
  const { output, why } = await freshFile(path, request, look);
  return output === undefined ? { kind: 'other', why } : { kind: 'fresh', outputs: [output] };
}

async function directoryStanding(folder: string, request: Request, look: Look): Promise<Standing> {
  const sum = readSum(folder);
  if (sum === undefined) return { kind: 'other', why: `its ${SUM_FILE} is not as colweave wrote it` };
  const differs = otherRequest(sum.tool, sum.request, request);
  if (differs !== undefined) return { kind: 'other', why: differs };
  const stray = readdirSync(folder).find(
    (name) => name.endsWith('.parquet') && !sum.files.some((file) => file.name === name),
  );
  if (stray !== undefined) return { kind: 'other', why: `it holds ${stray}, which the join did not write` };
  const outputs: FreshOutput[] = [];
  for (const { name, identity } of sum.files) {
    const path = join(folder, name);
    if (!existsSync(path)) return { kind: 'other', why: `${name} is gone` };
    const { output, why, descriptor } = await freshFile(path, request, look);
    if (output === undefined) return { kind: 'other', why: `${name}: ${why}` };
    const same = descriptor.identity.size === identity?.size && descriptor.identity.id === identity.id;
    if (!same) return { kind: 'other', why: `${name} was changed` };
    outputs.push(output);
  }
  return { kind: 'fresh', outputs };
}

interface Looked {
  readonly output: FreshOutput | undefined;
  readonly why: string;
  readonly descriptor: FileDescriptor;
}

/** A reader of ours opened it, so footer, row groups and their places agree with the file's size. */
async function freshFile(path: string, request: Request, { writer, signal }: Look): Promise<Looked> {
  const file = await openSource(path, {}, signal);
  const { descriptor } = file;
  await file.close();
  const other = (why: string): Looked => ({ output: undefined, why, descriptor });
  const text = descriptor.format === 'parquet' ? parquetMetadata(descriptor).get(RECEIPT_KEY) : undefined;
  const receipt = text === undefined ? undefined : parseReceipt(text);
  if (text === undefined || receipt === undefined) return other('it has no receipt of colweave');
  if (parquetCreator(descriptor) !== CREATORS[writer]) return other('another program wrote it again');
  const differs = otherRequest(receipt.tool, receipt.spec.request, request);
  if (differs !== undefined) return other(differs);
  const groups = parquetRowGroups(descriptor).map(({ rows }) => rows);
  const written = receipt.output.rowGroups.map(({ rows }) => rows);
  const names = new Set([...descriptor.schema.fields, ...file.unreadable].map(({ name }) => name));
  const whole =
    receipt.sha256 === receiptDigest(receipt) &&
    descriptor.rows === receipt.output.rows &&
    groups.join() === written.join() &&
    receipt.output.columns.every(({ name }) => names.has(name));
  if (!whole) return other('it does not hold what its receipt says');
  const bytes = descriptor.identity.size;
  return {
    output: { path, rows: descriptor.rows, bytes, rowGroups: groups.length, receipt: text },
    why: '',
    descriptor,
  };
}

function parseReceipt(text: string): Receipt | undefined {
  try {
    const receipt = JSON.parse(text) as Receipt;
    return typeof receipt.spec === 'object' && Array.isArray(receipt.output?.rowGroups) ? receipt : undefined;
  } catch {
    return undefined;
  }
}

function otherRequest(tool: unknown, found: unknown, wanted: Request): string | undefined {
  const { inputs, options } = (found ?? {}) as Partial<Request>;
  if (tool !== TOOL) return `another version made it (${String(tool)})`;
  if (inputs === undefined) return 'its receipt does not say what was asked';
  if (inputs !== wanted.inputs) return 'it was made from other inputs';
  return options === wanted.options ? undefined : 'it was made with other options';
}

/** Sidecars that are asked for and lost are written again: the receipts are in the files. */
export function restoreSidecars(outputs: readonly FreshOutput[]): void {
  for (const { path, receipt } of outputs) writeIfOther(`${path}.receipt.json`, `${receipt}\n`);
}

/** make goes by time stamps: an output that is up to date and older than an input gets a new one, or make asks for ever. */
export function touchIfOlder(target: string, inputs: readonly string[]): void {
  const newest = Math.max(0, ...inputs.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
  if (newest <= statSync(target).mtimeMs) return;
  // an input with a time to come must not be newer either; a millisecond, as times are cut to what Date holds
  const time = new Date(Math.max(Date.now(), newest + 1));
  try {
    utimesSync(target, time, time);
  } catch {
    // somebody else's file: it is up to date all the same
  }
}
