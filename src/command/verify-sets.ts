// Owns what verify says of files as sets of events: relations between two sets, and lumi blocks. No receipt is needed.
import { writeFileSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { canonicalJson, type LumiRanges } from '../core/receipt.ts';
import { readKeys } from '../keys/read.ts';
import { keySpecFor } from '../keys/spec.ts';
import { expandInputs } from '../source/inputs.ts';
import { openSource } from '../source/registry.ts';
import type { SourceFile } from '../source/types.ts';
import { compareSets, eventSet } from '../verify/event-sets.ts';
import { isDamage } from '../verify/findings.ts';
import { addLumis, expandLumis, type LumiEvents, totalEvents } from '../verify/lumi.ts';
import { processedLumis } from '../verify/lumi-blocks.ts';
import { checkMask, lossesByRun, maskText, type RunLoss, readMask } from '../verify/lumi-json.ts';
import { datasetOf } from '../verify/output-file.ts';
import { lumiEvidence } from './lumi-evidence.ts';
import { receiptOf } from './receipts.ts';
import { memoryHere } from './resources.ts';
import type { CommandContext, LumiReport, RelationReport, VerifyOptions } from './types.ts';

/** The program itself and what reading takes; sorting gets the rest, in halves: records and what is not collected yet. */
const PROGRAM_BYTES = 150 * 2 ** 20;

export function sortMemory({ memoryBytes }: VerifyOptions): number {
  const limit = memoryBytes ?? memoryHere();
  return Math.max(2 ** 20, (limit - PROGRAM_BYTES) / 2);
}

/** Opens files in order. Errors: those of sources; whatever is open then is closed. */
export async function openAll(
  words: readonly string[],
  tree: string | undefined,
  signal: AbortSignal,
): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  try {
    for (const input of expandInputs(words)) {
      const name = input.tree ?? tree;
      files.push(await openSource(input.uri, name === undefined ? {} : { tree: name }, signal));
    }
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

export async function closeAll(files: readonly SourceFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

const urisOf = (files: readonly SourceFile[]): string[] => files.map(({ descriptor }) => descriptor.uri);

function keyOf([first]: readonly SourceFile[], on: string | undefined): KeySpec {
  return keySpecFor(on, first!.descriptor.schema, [first!.descriptor.uri]);
}

/** Errors: those of sources and keys, memory/not-enough. */
export async function checkRelation(
  { outputs, relation, on, tree, ...rest }: VerifyOptions,
  { emit, signal }: CommandContext,
): Promise<RelationReport> {
  const opened: SourceFile[] = [];
  try {
    const left = await openAll(outputs, tree, signal);
    opened.push(...left);
    const right = await openAll(relation!.files, tree, signal);
    opened.push(...right);
    emit({ type: 'progress', stage: 'compare events', done: 0, total: 1 });
    const sets = { left: eventSet(left), right: eventSet(right) };
    const limits = { memoryBytes: sortMemory({ outputs, ...rest }), signal };
    const { findings, ...counts } = await compareSets(relation!.kind, sets, keyOf(left, on), limits);
    emit({ type: 'progress', stage: 'compare events', done: 1, total: 1 });
    return {
      kind: relation!.kind,
      left: { files: urisOf(left), rows: sets.left.rows },
      right: { files: urisOf(right), rows: sets.right.rows },
      ...counts,
      holds: !findings.some(isDamage),
      findings,
    };
  } finally {
    await closeAll(opened);
  }
}

const KEY_ROWS = 1 << 20;

/** Errors: verify/not-a-mask, key/absent where the key has no lumi block, output/not-writable, those of sources. */
export async function checkLumis(
  { outputs, against, on, tree, lumis: mask, writeLumis }: VerifyOptions,
  { signal }: CommandContext,
): Promise<LumiReport> {
  const wanted = mask === undefined ? undefined : readMask(mask);
  const files = await openAll(outputs, tree, signal);
  try {
    const events: LumiEvents = new Map();
    for (const file of files) await addFile(events, file, on, signal);
    const evidence = await lumiEvidence(files, against, signal);
    const processed = processedLumis(events, evidence);
    if (writeLumis !== undefined) writeMask(writeLumis, maskText(processed));
    return {
      blocks: events.size,
      ...(evidence.processed === undefined ? {} : { empty: processed.size - events.size }),
      events: totalEvents(events),
      runs: lossesOf(files, events),
      ...(mask === undefined ? {} : { mask }),
      ...(writeLumis === undefined ? {} : { written: writeLumis }),
      findings: [...evidence.findings, ...(wanted === undefined ? [] : checkMask(events, wanted, evidence))],
    };
  } finally {
    await closeAll(files);
  }
}

async function addFile(events: LumiEvents, file: SourceFile, on: string | undefined, signal: AbortSignal) {
  const spec = keyOf([file], on ?? (receiptOf(file)?.spec.on as string[] | undefined)?.join(','));
  const names = spec.columns.map(({ name }) => name);
  if (!names.includes('run') || !names.includes('luminosityBlock')) {
    throw new ColweaveError('key/absent', 'the key has no run and luminosityBlock', { where: [file.descriptor.uri] });
  }
  const { rows } = file.descriptor;
  for (let start = 0; start < rows; start += KEY_ROWS)
    addLumis(events, await readKeys(datasetOf(file), spec, { start, end: Math.min(rows, start + KEY_ROWS) }, signal));
}

function writeMask(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new ColweaveError('output/not-writable', 'the lumi blocks cannot be written', { where: [path], cause });
  }
}

/** Files of one join state the lumi blocks of the whole primary: counted once. */
function lossesOf(files: readonly SourceFile[], out: LumiEvents): readonly RunLoss[] {
  const joins = new Map<string, LumiRanges>();
  for (const file of files) {
    const receipt = receiptOf(file);
    if (receipt === undefined) continue;
    const { lumis, sources } = receipt;
    joins.set(canonicalJson([sources[0]?.files ?? [], lumis.in]), lumis.in);
  }
  const into: LumiEvents = new Map();
  for (const ranges of joins.values()) {
    for (const [name, count] of expandLumis(ranges, Number.MAX_SAFE_INTEGER) ?? [])
      into.set(name, (into.get(name) ?? 0) + count);
  }
  return lossesByRun(rangesOf(into), out);
}

function rangesOf(events: LumiEvents): LumiRanges {
  const runs = Map.groupBy([...events], ([name]) => name.split(':')[0]!);
  return [...runs].map(([run, blocks]) => {
    const stretches = blocks.map(([name, count]) => {
      const lumi = Number(name.split(':')[1]);
      return [lumi, lumi, count] as const;
    });
    return [run, stretches] as const;
  });
}
