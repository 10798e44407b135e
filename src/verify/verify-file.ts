// Owns the checks of one file in their order: its keys, the sources, then every block once, for the receipt and against the sources.
import type { Emit } from '../core/events.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import type { Receipt } from '../core/receipt.ts';
import { keySpecFor } from '../keys/spec.ts';
import type { Pool } from '../pool/pool.ts';
import type { Input } from '../source/inputs.ts';
import type { SourceFile } from '../source/types.ts';
import { type AgainstTest, checkMatched, checkPlaces, checkValues, matchSources } from './against.ts';
import { type BlocksReport, type BlocksWanted, checkBlocks } from './check-blocks.ts';
import { asFinding, checkReceipt, type FileContent, flagsOf, tornColumns } from './check-receipt.ts';
import type { MatchedSource } from './events.ts';
import { fillOf } from './filled.ts';
import type { Finding } from './findings.ts';
import { checkIdentity } from './identity.ts';
import { factsOf, streamedFacts } from './key-facts.ts';
import { inOrder, outputKeys, type Workplace } from './key-tables.ts';
import { checkRowGroups, isRegrouped } from './row-groups.ts';
import { startSchedule } from './schedule.ts';
import type { SortedKeys } from './sort-merge.ts';
import { checkWitnesses } from './witness.ts';
import { type Work, workHere, workOnPool } from './work.ts';

export interface FileContentTest {
  readonly path: string;
  readonly file: SourceFile;
  readonly receipt: Receipt | undefined;
  /** Of the sources to compare with; none = what the receipt says is all there is. */
  readonly inputs: readonly Input[];
  /** Threads, for files that are worth them. */
  readonly pool: Pool | undefined;
  /** For the keys of a file that is compared with its receipt alone. */
  readonly memoryBytes: number;
}

/** Errors: those of the sources; all that is wrong with the file is a finding. */
export async function verifyContent(
  test: FileContentTest,
  { emit, signal }: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<readonly Finding[]> {
  const { file, pool } = test;
  let work: Work;
  try {
    work = pool === undefined ? workHere(file, signal) : await workOnPool(pool, file);
  } catch (error) {
    return [asFinding(error)];
  }
  const schedule = startSchedule(work.width, signal);
  try {
    return await checkContent(test, { work, schedule, signal }, emit);
  } finally {
    await schedule.stop();
    await work.close();
  }
}

/** A row of a table of keys while it is sorted. */
const TABLE_ROW_BYTES = 64;

async function checkContent(test: FileContentTest, place: Workplace, emit: Emit): Promise<readonly Finding[]> {
  const { path, file, receipt, inputs, memoryBytes } = test;
  const { rows, schema } = file.descriptor;
  let keys: KeyTable;
  try {
    const spec = keySpecFor(receipt && (receipt.spec.on as string[]).join(','), schema, [path]);
    const large = rows * TABLE_ROW_BYTES > memoryBytes;
    if (large && receipt !== undefined && inputs.length === 0) return await checkLarge(test, receipt, spec, place);
    keys = await outputKeys(place, file, spec);
  } catch (error) {
    return [asFinding(error)];
  }
  const sorted = inOrder(place, keys);
  sorted.catch(() => {}); // thrown where it is waited for
  if (inputs.length > 0) return checkWithSources(test, { keys, sorted }, place, emit);
  try {
    const blocks = await checkBlocks(place, { ...whatFor(test, keys.spec, keys), sources: [] });
    if (receipt === undefined) return tornColumns(blocks.torn);
    return checkReceipt({ path, file, receipt, keys: factsOf(await sorted) }, content(test, blocks));
  } catch (error) {
    return [asFinding(error)];
  }
}

/** In memory that does not grow with the file: its keys pass through scratch here, while threads read the blocks. */
async function checkLarge(
  test: FileContentTest,
  receipt: Receipt,
  spec: KeySpec,
  place: Workplace,
): Promise<readonly Finding[]> {
  const { path, file, memoryBytes } = test;
  const reading = checkBlocks(place, { ...whatFor(test, spec), sources: [] });
  reading.catch(() => {}); // thrown where it is waited for
  const facts = await streamedFacts(file, spec, { memoryBytes, signal: place.signal });
  const blocks = await reading;
  const keys = { ...facts, lumis: () => blocks.lumis };
  return checkReceipt({ path, file, receipt, keys }, content(test, blocks));
}

/** What the receipt says and what the sources say, of one reading of the file. */
async function checkWithSources(
  test: FileContentTest,
  { keys, sorted }: { readonly keys: KeyTable; readonly sorted: Promise<SortedKeys> },
  place: Workplace,
  emit: Emit,
): Promise<readonly Finding[]> {
  const { path, file, receipt, inputs } = test;
  const matched = await matchSources(test, { spec: keys.spec, sorted }, inputs, { place, emit });
  try {
    const full: AgainstTest = { path, file, receipt, keys: await sorted };
    const { sources } = matched;
    const reading = checkBlocks(place, { ...whatFor(test, keys.spec, keys), sources });
    const [blocks, events, witnesses, places] = await Promise.all([
      reading,
      afterTurn(() => checkMatched(full, matched, emit)),
      receipt === undefined ? [] : checkStated(full, sources, receipt, place.signal),
      checkPlaces(full, sources, place.signal),
    ]);
    const values = checkValues(full, blocks.comparisons);
    const closer = [...matched.findings, ...events, ...witnesses, ...values, ...places];
    if (receipt === undefined) return [...tornColumns(blocks.torn), ...closer];
    const findings = checkReceipt({ path, file, receipt, keys: factsOf(full.keys) }, content(test, blocks));
    return [...findings.filter(({ code }) => !closer.some((other) => other.code === code)), ...closer];
  } finally {
    await matched.close();
  }
}

/** What the receipt says of its sources beside the columns: witnesses, and where events come from. */
async function checkStated(
  test: AgainstTest,
  sources: readonly MatchedSource[],
  receipt: Receipt,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const witnesses = await checkWitnesses(test, sources, receipt, signal);
  return [...witnesses, ...(await checkIdentity(sources, receipt, signal))];
}

/** Threads get their work first. */
async function afterTurn<T>(work: () => T): Promise<T> {
  await new Promise(setImmediate);
  return work();
}

function whatFor({ file, receipt }: FileContentTest, spec: KeySpec, keys?: KeyTable): Omit<BlocksWanted, 'sources'> {
  const own = { file, spec, keys, fill: fillOf(receipt) };
  if (receipt === undefined) return { ...own, hashes: false };
  return { ...own, flags: flagsOf(receipt), hashes: !isRegrouped(file.descriptor, receipt) };
}

function content({ file, receipt }: FileContentTest, { seals, torn, hashes }: BlocksReport): FileContent {
  const { descriptor } = file;
  const groups = checkRowGroups(descriptor, receipt!, isRegrouped(descriptor, receipt!), hashes);
  return { seals, torn, groups };
}
