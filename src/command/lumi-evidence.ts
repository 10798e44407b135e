// Owns finding the LuminosityBlocks trees that belong to files: inside them, carried along beside them, or in the sources that were given.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import { expandInputs } from '../source/inputs.ts';
import { openSource } from '../source/registry.ts';
import type { SourceFile } from '../source/types.ts';
import { type Finding, finding } from '../verify/findings.ts';
import { expandLumis } from '../verify/lumi.ts';
import { addBlocks, LUMI_TREE, type LumiEvidence } from '../verify/lumi-blocks.ts';
import { readRowGroups } from '../verify/row-groups.ts';
import { carriedPath } from './carry.ts';
import { receiptOf } from './receipts.ts';

export interface FoundEvidence extends LumiEvidence {
  /** Files or trees that were read. */
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
}

/** Errors: those of the sources given; a tree that is not there is no evidence. */
export async function lumiEvidence(
  files: readonly SourceFile[],
  against: readonly string[],
  signal: AbortSignal,
): Promise<FoundEvidence> {
  const processed = new Set<string>();
  const read: string[] = [];
  const findings: Finding[] = [];
  const kept = new Set<string>();
  const losing = new Set<string>();
  const beside = new Set<string>();
  for (const file of files) {
    const { uri } = file.descriptor;
    if (await addTree(processed, uri, signal)) read.push(uri);
    const receipt = receiptOf(file);
    const into = receipt !== undefined && mayLose(receipt) ? losing : kept;
    for (const [name, count] of expandLumis(receipt?.lumis.in ?? [], Number.MAX_SAFE_INTEGER) ?? [])
      if (count > 0) into.add(name);
    const carried = carriedBeside(uri);
    if (receipt === undefined || carried === undefined || beside.has(carried)) continue;
    beside.add(carried);
    const wrong = await addCarried(processed, carried, receipt, signal);
    if (wrong === undefined) read.push(carried);
    else findings.push(wrong);
  }
  for (const { uri } of against.length === 0 ? [] : expandInputs(against))
    if (await addTree(processed, uri, signal)) read.push(uri);
  return { processed: read.length === 0 ? undefined : processed, kept, losing, files: read, findings };
}

/** Does an event of the primary go where a friend has none of it? */
const mayLose = ({ spec, policies }: Receipt): boolean =>
  spec.how === 'inner' || spec.how === 'right' || policies.missing === 'drop';

async function addTree(blocks: Set<string>, uri: string, signal: AbortSignal): Promise<boolean> {
  let file: SourceFile;
  try {
    file = await openSource(uri, { tree: LUMI_TREE }, signal);
  } catch (error) {
    if (error instanceof ColweaveError && error.code === 'source/no-tree') return false;
    throw error;
  }
  try {
    return file.descriptor.identity.tree === LUMI_TREE && (await addBlocks(blocks, file, signal));
  } finally {
    await file.close();
  }
}

function carriedBeside(uri: string): string | undefined {
  const own = carriedPath(uri, LUMI_TREE);
  return [own, join(dirname(uri), `_${LUMI_TREE}.parquet`)].find((path) => path !== uri && existsSync(path));
}

/** undefined = it is what the join wrote beside, and its blocks were added. */
async function addCarried(
  blocks: Set<string>,
  path: string,
  receipt: Receipt,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  const stated = (receipt.spec.carried ?? []) as readonly ({ readonly tree: string } & Receipt['output'])[];
  const own = stated.find(({ tree }) => tree === LUMI_TREE);
  const file = await openSource(path, {}, signal);
  try {
    const same = own !== undefined && (await readRowGroups(file.descriptor, { ...receipt, output: own }, signal));
    if (same && !same.regrouped && same.changed.length === 0 && (await addBlocks(blocks, file, signal)))
      return undefined;
    return finding('verify/source-changed', `${path} is not what was carried along with the join: it proves nothing`);
  } finally {
    await file.close();
  }
}
