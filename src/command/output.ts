// Owns where a join's output goes: one file or a directory, made ready before and completed after.
import { existsSync, mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { canonicalJson, receiptText } from '../core/receipt.ts';
import type { JoinPlan } from '../join/plan.ts';
import type { WrittenPart } from '../join/run.ts';
import type { Dataset } from '../source/dataset.ts';
import { TOOL } from './version.ts';

export interface OutputPlace {
  /** Final path of each part. */
  readonly targets: readonly string[];
  /** The file of a directory whose presence means complete; written last. */
  readonly summary?: string;
  /** A directory that was made for this output, and goes again when the join fails. */
  readonly made?: string;
}

/** `dir/`, or a directory that is there. */
export function isDirectory(output: string): boolean {
  return output.endsWith('/') || (existsSync(output) && statSync(output).isDirectory());
}

/** Errors: output/exists, output/not-writable. */
export function preparePlace(
  output: string,
  plan: JoinPlan,
  datasets: readonly Dataset[],
  force: boolean,
): OutputPlace {
  refuseOverwritingInput(output, datasets);
  if (output === '-' || !isDirectory(output)) return { targets: plan.parts.map(() => output) };
  const made = makeFolder(output);
  const summary = join(output, '_receipt.json');
  if (existsSync(summary)) retireSummary(summary, force);
  const targets = plan.parts.map(({ name }) => join(output, name));
  return made === undefined ? { targets, summary } : { targets, summary, made };
}

/** After a failure: an empty directory that was made for the output goes. */
export function abandonPlace({ made }: OutputPlace): void {
  if (made === undefined) return;
  try {
    rmdirSync(made);
  } catch {
    // not empty: somebody else's files stay
  }
}

/** The output must not be one of the files it is made from. */
function refuseOverwritingInput(output: string, datasets: readonly Dataset[]): void {
  const inputs = datasets.flatMap(({ descriptor }) => descriptor.files.map((file) => resolve(file.descriptor.uri)));
  if (!inputs.includes(resolve(output))) return;
  throw new ColweaveError('output/not-writable', 'the output is one of the input files', {
    where: [output],
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

/** `_receipt.json` means complete: it goes before anything else changes, and comes back last. */
function retireSummary(path: string, force: boolean): void {
  if (!force) throw new ColweaveError('output/exists', 'the output directory holds a finished join', { where: [path] });
  rmSync(path);
}

/** Receipts beside the outputs on request, and the sum that says a directory is complete. */
export function writeSidecars(parts: readonly WrittenPart[], { summary }: OutputPlace, receipts: boolean): void {
  for (const { path, receipt } of receipts ? parts : []) {
    if (path !== '-') writeFileSync(`${path}.receipt.json`, `${receiptText(receipt)}\n`);
  }
  if (summary === undefined) return;
  const files = parts.map(({ path, rows, receipt }) => ({
    name: basename(path),
    rows,
    keySeal: receipt.output.keySeal,
  }));
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  writeFileSync(summary, `${canonicalJson({ format: 'receipt-sum/1', tool: TOOL, rows, files })}\n`);
}
