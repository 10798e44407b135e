// Owns outputs on servers: made in scratch, checked by the receipt, then sent; nothing is under the name before that.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRemoteTarget, targetFor } from '../bytes/target.ts';
import { ColweaveError } from '../core/errors.ts';
import { fileName } from '../core/text.ts';
import { scratchFolder } from '../scratch/scratch.ts';
import { makeSpool } from '../sink/stale-parts.ts';
import type { CommandContext, FreshReport, JoinOptions, JoinReport, OutputSummary, RunJoin } from './types.ts';
import { runVerify } from './verify.ts';

export function goesToServer({
  output,
  published,
  dryRun,
}: Pick<JoinOptions, 'output' | 'published' | 'dryRun'>): boolean {
  return output !== undefined && published === undefined && !dryRun && isRemoteTarget(output);
}

/** `run` joins to a local file. Errors: usage/bad-option, output/..., credentials/..., remote/..., and those of the join. */
export async function joinToServer(
  options: JoinOptions,
  context: CommandContext,
  run: RunJoin,
): Promise<JoinReport | FreshReport> {
  const url = options.output!;
  const { carry = [], receipt, depfile, eventsPerFile, targetBytes } = options;
  refuseOthers(url, {
    '--carry': carry.length > 0,
    '--receipt': receipt,
    '--depfile': depfile !== undefined,
    '--events-per-file': eventsPerFile !== undefined,
    '--target-size': targetBytes !== undefined,
  });
  return sendToServer(url, context, (path) => run({ ...options, output: path, published: url }, context));
}

interface Made {
  readonly outputs: readonly OutputSummary[];
}

/** `make` writes a local file. Errors: output/..., credentials/..., remote/..., and those of `make`. */
export async function sendToServer<R extends Made>(
  url: string,
  context: CommandContext,
  make: (path: string) => Promise<R | FreshReport>,
): Promise<R | FreshReport> {
  const target = await targetFor(url);
  const folder = scratchIn(scratchFolder());
  try {
    const path = join(folder, fileName(url));
    const report = await make(path);
    if ('upToDate' in report) return report;
    await checkWhole(path, context);
    const bytes = report.outputs.reduce((sum, output) => sum + output.bytes, 0);
    context.emit({ type: 'progress', stage: 'send', done: 0, total: bytes });
    context.signal.throwIfAborted();
    await target.upload(path, url, context.signal);
    context.emit({ type: 'progress', stage: 'send', done: bytes, total: bytes });
    return { ...report, outputs: report.outputs.map((output) => ({ ...output, path: url })) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function scratchIn(parent: string): string {
  try {
    return makeSpool(parent);
  } catch (cause) {
    throw new ColweaveError('memory/not-enough', 'no scratch folder can be made', { where: [parent], cause });
  }
}

/** One file is sent, which is there as a whole or not at all; of several that could not be said. */
export function refuseOthers(url: string, asked: Readonly<Record<string, boolean>>): void {
  const all: Readonly<Record<string, boolean>> = { 'a directory': url.endsWith('/'), ...asked };
  const other = Object.keys(all).find((name) => all[name]);
  if (other === undefined) return;
  throw new ColweaveError('usage/bad-option', `an output on a server is one file, which ${other} does not go with`, {
    where: [url],
    hint: 'write to a directory here, and copy it; the receipt is in the file',
  });
}

/** What was written is read back before anybody else can: a disk that lies is found here. */
async function checkWhole(path: string, context: CommandContext): Promise<void> {
  const { files } = await runVerify({ outputs: [path], against: [] }, { ...context, emit: () => {} });
  const [file] = files;
  if (file?.verdict === 'verified') return;
  throw new ColweaveError('join/seal-mismatch', 'the file in scratch does not hold what was written: it was not sent', {
    where: [path],
    details: (file?.findings ?? []).map(({ text }) => text),
  });
}
