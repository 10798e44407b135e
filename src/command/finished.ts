// Owns stopping early: an output that is up to date is left alone, one that is something else is not replaced unasked.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isRemoteTarget } from '../bytes/target.ts';
import { ColweaveError } from '../core/errors.ts';
import { carriedPath } from './carry.ts';
import { depfileText, writeDepfile } from './depfile.ts';
import { restoreSidecars, standingOf, touchIfOlder } from './fresh.ts';
import { inputsOf, type Opened } from './open-sources.ts';
import { isDirectory, SUM_FILE } from './output.ts';
import type { Request } from './request.ts';
import type { CommandContext, FreshReport, JoinOptions } from './types.ts';

/** What make calls the output: the file, or what is written last into a directory. */
export function targetOf(output: string): string {
  return isDirectory(output) ? `${output.replace(/\/+$/, '')}/${SUM_FILE}` : output;
}

/** An output by the name that it has when it is published, and what is asked of it. */
export interface AskedOutput {
  readonly output: string;
  readonly writer: string;
  readonly force: boolean;
  readonly redo: boolean;
  /** Something that belongs to it is lost, or not finished. */
  readonly again: boolean;
  readonly receipt: boolean;
  readonly depfile?: string | undefined;
  readonly request: Request;
  readonly inputs: readonly string[];
}

/** `report`: there is nothing to do. `replace`: the same output is there and is to be made again. */
export interface Finished {
  readonly report?: FreshReport;
  readonly replace: boolean;
}

/** Errors: output/exists. */
export async function finishIfStanding(
  { output, writer, force, redo, again, receipt, depfile, request, inputs }: AskedOutput,
  signal: AbortSignal,
): Promise<Finished> {
  if (depfile !== undefined) refuseBadDepfile(depfile, targetOf(output), inputs);
  const standing = await standingOf(output, isDirectory(output), request, { writer, signal });
  if (standing.kind === 'none') return { replace: false };
  if (standing.kind === 'other') {
    if (force) return { replace: false };
    throw new ColweaveError('output/exists', `the output is there already, and ${standing.why}`, { where: [output] });
  }
  if (redo || again) return { replace: true };
  if (receipt) restoreSidecars(standing.outputs);
  if (depfile !== undefined) writeDepfile(depfile, targetOf(output), inputs);
  if (!isRemoteTarget(output)) touchIfOlder(targetOf(output), inputs);
  const outputs = standing.outputs.map(({ path, rows, bytes, rowGroups }) => ({ path, rows, bytes, rowGroups }));
  return { report: { upToDate: true, outputs }, replace: false };
}

/** Of a join. Errors: output/exists. */
export async function finishIfFresh(
  options: JoinOptions,
  opened: Opened,
  { signal }: CommandContext,
): Promise<Finished> {
  const { writer, force, redo = false, receipt, depfile, carry = [] } = options;
  const output = options.published ?? options.output;
  if (options.dryRun || output === undefined || output === '-') return { replace: false };
  const again = carry.some((tree) => !existsSync(carriedPath(output, tree)));
  const { request } = opened;
  const inputs = inputsOf(opened, options);
  return finishIfStanding({ output, writer, force, redo, again, receipt, depfile, request, inputs }, signal);
}

/** What would stop the writing of the depfile is told before the work. */
function refuseBadDepfile(depfile: string, target: string, inputs: readonly string[]): void {
  depfileText(target, inputs);
  if (existsSync(dirname(depfile))) return;
  throw new ColweaveError('output/not-writable', 'the directory of the depfile does not exist', { where: [depfile] });
}
