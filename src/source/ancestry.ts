// Owns reading what files say of where their events come from: processing history, sums of generator weights, the receipts of joins.
import { inParallel } from '../bytes/parallel.ts';
import type { Ancestry, GeneratedWeights, History } from '../core/ancestry.ts';
import type { Column } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { canonicalJson, type Receipt } from '../core/receipt.ts';
import type { Dataset } from './dataset.ts';
import { cachedLayout, ownFormat, ownReceipt } from './own-metadata.ts';
import { openSource } from './registry.ts';
import type { FileDescriptor, SourceFile } from './types.ts';

/** Files of a source that are looked at: other trees of each are opened. */
const FILES_MAX = 100;
const AT_ONCE_MAX = 8;
/** Runs of a file, at most: real ones have tens. */
const RUNS_MAX = 100_000;
const HISTORY_ROWS_MAX = 1000;

/** The trees beside it are those of CMS; ATLAS has a MetaData too, of hundreds of branches that say other things. */
const CMS_TREE = 'Events';

interface OfFile {
  readonly histories: readonly History[];
  readonly weights?: GeneratedWeights;
  readonly parents: readonly { readonly name: string; readonly id: string }[];
}

/** undefined = the files say nothing. */
export async function readAncestry(dataset: Dataset, signal: AbortSignal): Promise<Ancestry | undefined> {
  return (await readOrigins(dataset, signal)).ancestry;
}

export interface Origins {
  readonly ancestry?: Ancestry;
  /** Of each file looked at that has some. */
  readonly weights: readonly { readonly uri: string; readonly weights: GeneratedWeights }[];
}

/** What cannot be read is as if it were not there: it is evidence, no data. */
export async function readOrigins(dataset: Dataset, signal: AbortSignal): Promise<Origins> {
  const looked = dataset.files.slice(0, FILES_MAX);
  const found = new Array<OfFile>(looked.length);
  // the same files whether here or on a server, where each costs journeys: the receipt must not differ
  await inParallel([...looked.entries()], AT_ONCE_MAX, async ([i, file]) => {
    signal.throwIfAborted();
    found[i] = (await receiptOf(file.descriptor)) ?? (await ofRoot(file, signal));
  });
  const all = found.every(({ histories }) => histories.length > 0);
  const histories = all ? distinct(found.flatMap((each) => each.histories)) : [];
  const parents = distinct(found.flatMap((each) => each.parents));
  const weights = addWeights(found.flatMap((each) => (each.weights === undefined ? [] : [each.weights])));
  const each = found.flatMap(({ weights: own }, i) =>
    own === undefined ? [] : [{ uri: looked[i]!.descriptor.uri, weights: own }],
  );
  if (histories.length === 0 && parents.length === 0 && weights === undefined) return { weights: each };
  const ancestry = {
    files: looked.length,
    histories,
    ...(weights === undefined ? {} : { weights }),
    ...(parents.length === 0 ? {} : { parents }),
  };
  return { ancestry, weights: each };
}

function distinct<T>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [canonicalJson(item), item])).values()];
}

function addWeights(parts: readonly GeneratedWeights[]): GeneratedWeights | undefined {
  if (parts.length === 0) return undefined;
  const sum = (pick: (part: GeneratedWeights) => number) => parts.reduce((total, part) => total + pick(part), 0);
  return {
    files: sum(({ files }) => files),
    count: sum(({ count }) => count),
    sumw: sum(({ sumw }) => sumw),
    sumw2: sum(({ sumw2 }) => sumw2),
  };
}

/** An output of a join has the history of its primary, and all files that it was joined from. */
async function receiptOf(descriptor: FileDescriptor): Promise<OfFile | undefined> {
  const text = ownReceipt(descriptor);
  if (text === undefined) return undefined;
  try {
    const { sources } = JSON.parse(text) as Receipt;
    const { histories = [], weights } = sources[0]?.ancestry ?? {};
    const parents = sources.flatMap(({ files }) => files.map(({ name, identity: { id } }) => ({ name, id })));
    return { histories, parents, ...(weights === undefined ? {} : { weights }) };
  } catch {
    return undefined; // verify says what is wrong with it
  }
}

async function ofRoot(file: SourceFile, signal: AbortSignal): Promise<OfFile> {
  const nothing: OfFile = { histories: [], parents: [] };
  const { identity } = file.descriptor;
  if (!ownFormat(file.descriptor).startsWith('root-') || identity.tree !== CMS_TREE || file.objects === undefined)
    return nothing;
  try {
    const names = new Set((await file.objects()).map(({ name }) => name));
    const histories = names.has('MetaData') ? await inTree(file, 'MetaData', signal, readHistories) : [];
    const weights = names.has('Runs') ? await inTree(file, 'Runs', signal, readWeights) : undefined;
    return { ...nothing, histories, ...(weights === undefined ? {} : { weights }) };
  } catch (error) {
    // a server that does not answer now is no file that says nothing: the receipt would depend on the weather
    if (error instanceof ColweaveError && !error.code.startsWith('remote/')) return nothing;
    throw error;
  }
}

async function inTree<T>(
  { descriptor }: SourceFile,
  tree: string,
  signal: AbortSignal,
  read: (file: SourceFile, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cache = cachedLayout(descriptor)?.access;
  const file = await openSource(descriptor.uri, { tree, ...(cache === undefined ? {} : { cache }) }, signal);
  try {
    return await read(file, signal);
  } finally {
    await file.close();
  }
}

/** Branches of edm::ProcessHistory, split or not; one list of steps an item. */
const STEP_COLUMNS = [/\bprocessName_$/, /\breleaseVersion_$/, /\bparameterSetID_(\.hash_)?$/];

async function readHistories({ descriptor, read }: SourceFile, signal: AbortSignal): Promise<readonly History[]> {
  const names = descriptor.schema.fields
    .filter(({ type }) => type.kind === 'list' && type.item.kind === 'list' && type.item.item.kind === 'utf8')
    .map(({ name }) => name);
  const wanted = STEP_COLUMNS.map((pattern) => names.find((name) => pattern.test(name)));
  if (wanted.includes(undefined) || descriptor.rows > HISTORY_ROWS_MAX) return [];
  const columns = await read(wanted as string[], 0, descriptor.rows, signal);
  const [processes, releases, configs] = columns.map(listsOfTexts);
  return distinct(
    processes!.flatMap((steps, h) =>
      steps.length === 0
        ? []
        : [
            steps.map((process, k) => ({
              process: process.toString(),
              release: (releases![h]?.[k]?.toString() ?? '').replaceAll('"', ''),
              config: configs![h]?.[k]?.toString('hex') ?? '',
            })),
          ],
    ),
  );
}

/** The inner lists of all rows. */
function listsOfTexts(column: Column): Buffer[][] {
  if (column.kind !== 'list' || column.items.kind !== 'list' || column.items.items.kind !== 'utf8') return [];
  const { offsets, length, items } = column.items;
  const texts = items as Extract<Column, { kind: 'utf8' }>;
  return Array.from({ length }, (_, i) =>
    Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, k) => {
      const at = offsets[i]! + k;
      return Buffer.from(texts.bytes.subarray(texts.offsets[at]!, texts.offsets[at + 1]!));
    }),
  );
}

/** NanoAOD v5 and v6 have an underscore behind the names. */
async function readWeights(
  { descriptor, read }: SourceFile,
  signal: AbortSignal,
): Promise<GeneratedWeights | undefined> {
  const { rows, schema } = descriptor;
  const wanted = ['Count', 'Sumw', 'Sumw2'].map((what) =>
    schema.fields.find(({ name, type }) => name.replace(/_$/, '') === `genEvent${what}` && type.kind === 'flat'),
  );
  if (wanted.includes(undefined) || rows === 0 || rows > RUNS_MAX) return undefined;
  const columns = await read(
    wanted.map((field) => field!.name),
    0,
    rows,
    signal,
  );
  const [count, sumw, sumw2] = columns.map((column) =>
    column.kind === 'flat' ? [...column.values].reduce<number>((sum, value) => sum + Number(value), 0) : 0,
  );
  return { files: 1, count: count!, sumw: sumw!, sumw2: sumw2! };
}
