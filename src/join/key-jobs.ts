// Owns what threads of a pool do with keys: read those of different files at once into shared tables, sort and match partitions.
import { releaseBytes } from '../core/arena.ts';
import { type KeySpec, keyStride } from '../core/key-spec.ts';
import { addSeals, NO_SEAL, type Seal, sealTable } from '../core/seal.ts';
import type { Where } from '../core/where/where.ts';
import { type KeySegment, sortIntoPartitions } from '../keys/partition.ts';
import { checkKeyColumns, keyCuts, type RowRange, readIntoStore } from '../keys/read.ts';
import { type KeyStore, keyRange, makeKeyStore } from '../keys/store.ts';
import { type Pool, registerJob } from '../pool/pool.ts';
import { appendScratch, type Scratch } from '../scratch/scratch.ts';
import { type Dataset, type DatasetDescriptor, forgetRead } from '../source/dataset.ts';
import { heldDataset, holdDatasets } from './held.ts';
import { inOrder } from './lanes.ts';
import { type MatchTask, matchPartitions, type PartitionMatch } from './match-partition.ts';
import { type SelectedRows, type Selection, selectionOf, selectRows } from './where/select.ts';

interface ReadTask {
  /** Among the datasets that all threads have open. */
  readonly source: number;
  readonly start: number;
  readonly end: number;
}

interface ReadInput extends ReadTask {
  readonly spec: KeySpec;
  /** Of all rows of the source. */
  readonly keys: KeyStore;
}

/** Called in each thread of the pool, before it serves. */
export function registerKeyJobs(): void {
  registerJob('keys/open', async (descriptors: readonly DatasetDescriptor[]) => {
    await holdDatasets(descriptors);
    return { output: undefined };
  });
  registerJob('keys/read', async ({ source, spec, keys, start, end }: ReadInput) => {
    await readIntoStore(heldDataset(source), spec, keys, { start, end });
    forgetRead(heldDataset(source));
    return { output: undefined };
  });
  registerJob('keys/select', async ({ where, start, end }: SelectInput) => {
    const dataset = heldDataset(0);
    const output = await selectRows(dataset, where, { start, end });
    forgetRead(dataset);
    return { output };
  });
  registerJob('keys/seal', async ({ keys, start, end }: SealInput) => ({
    output: sealTable(keyRange(keys, start, end)),
  }));
  registerJob('keys/sort', async (task: SortTask) => ({ output: sortRows(task, true) }));
  registerJob('keys/match', async (task: MatchTask) => ({ output: matchPartitions(task) }));
}

/** Rows of a source to sort into partitions. */
export interface SortTask {
  readonly keys: KeyStore;
  readonly start: number;
  readonly end: number;
  readonly bits: number;
  /** Where the sorted rows go; absent = into shared memory. */
  readonly scratch: Scratch | undefined;
}

/** `shared`: other threads match what is sorted here; else it can be given back at once when all is matched. */
function sortRows({ keys, start, end, bits, scratch }: SortTask, shared: boolean): KeySegment {
  const bytes = (end - start) * (keys.stride + 1) * 4;
  const inShared = shared && scratch === undefined;
  const words = new Uint32Array(inShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
  const bounds = sortIntoPartitions(keyRange(keys, start, end), start, bits, words);
  if (scratch === undefined) return { bounds, stored: { kind: 'memory', words } };
  const offset = appendScratch(scratch, new Uint8Array(words.buffer));
  releaseBytes(words);
  return { bounds, stored: { kind: 'scratch', offset } };
}

/** Who matches keys: this thread, or those of a pool. */
export interface KeyCrew {
  readonly width: number;
  /** Where sorted rows go when memory is short. */
  readonly scratch?: Scratch | undefined;
  /** Rows sorted at a time, and rows of a partition, where they are not left to this: so that tests need few. */
  readonly sortRows?: number;
  readonly partitionRows?: number;
  sort(task: SortTask, seat: number): Promise<KeySegment>;
  match(task: MatchTask, seat: number): Promise<PartitionMatch>;
}

export const INLINE_CREW: KeyCrew = {
  width: 1,
  sort: async (task) => sortRows(task, false),
  match: async (task) => matchPartitions(task),
};

/** With few rows, telling the others costs more than it saves. */
const POOL_ROWS_MIN = 1 << 16;

export function keyCrew(pool: Pool | undefined, rows: number, scratch?: Scratch): KeyCrew {
  if (pool === undefined || rows < POOL_ROWS_MIN) return { ...INLINE_CREW, scratch };
  return poolCrew(pool, scratch);
}

export function poolCrew(pool: Pool, scratch: Scratch | undefined): KeyCrew {
  return {
    width: pool.size,
    scratch,
    sort: async (task, seat) => (await pool.run('keys/sort', task, seat)) as KeySegment,
    match: async (task, seat) => (await pool.run('keys/match', task, seat)) as PartitionMatch,
  };
}

interface SelectInput {
  readonly where: Where;
  readonly start: number;
  readonly end: number;
}

/** The selection of the primary's events, on all threads. Errors: those of `selectEvents`. */
export async function selectTogether(
  dataset: Dataset,
  where: Where,
  pool: Pool,
  signal: AbortSignal,
): Promise<Selection> {
  const lanes = { width: pool.size, runMax: 1, share: 1 };
  const select = ({ start, end }: RowRange, { seat }: { readonly seat: number }) =>
    pool.run('keys/select', { where, start, end } satisfies SelectInput, seat) as Promise<SelectedRows>;
  const parts: SelectedRows[] = [];
  for await (const { result } of inOrder(keyCuts(dataset), lanes, select)) {
    signal.throwIfAborted();
    parts.push(result);
  }
  return selectionOf(dataset.descriptor.rows, where, parts);
}

interface SealInput {
  readonly keys: KeyStore;
  readonly start: number;
  readonly end: number;
}

/** Rows sealed at a time. */
const SEAL_ROWS = 1 << 18;

/** The seal over the keys of all rows, of each of several sources. */
export async function sealSources(sources: readonly KeyStore[], pool: Pool | undefined): Promise<readonly Seal[]> {
  const tasks = sources.flatMap((keys, source) =>
    Array.from({ length: Math.ceil(keys.rows / SEAL_ROWS) }, (_, i) => {
      const start = i * SEAL_ROWS;
      return { source, keys, start, end: Math.min(keys.rows, start + SEAL_ROWS) };
    }),
  );
  const seals = sources.map(() => NO_SEAL);
  const lanes = { width: pool?.size ?? 1, runMax: 1, share: 1 };
  const seal = async ({ keys, start, end }: SealInput, { seat }: { readonly seat: number }) =>
    pool === undefined
      ? sealTable(keyRange(keys, start, end))
      : ((await pool.run('keys/seal', { keys, start, end } satisfies SealInput, seat)) as Seal);
  for await (const { task, result } of inOrder(tasks, lanes, seal)) {
    seals[task.source] = addSeals(seals[task.source]!, result);
  }
  return seals;
}

/** All threads open the files: before anything is read by them together. */
export async function openTogether(datasets: readonly Dataset[], pool: Pool): Promise<void> {
  await pool.everywhere(
    'keys/open',
    datasets.map(({ descriptor }) => descriptor),
  );
}

/** Keys of all rows of the datasets first .. end. Errors: those of `readKeys`, the first one by source and row. */
export async function readKeysTogether(
  datasets: readonly Dataset[],
  spec: KeySpec,
  { first, end }: { readonly first: number; readonly end: number },
  {
    pool,
    scratch,
    signal,
  }: { readonly pool: Pool; readonly scratch?: Scratch | undefined; readonly signal: AbortSignal },
): Promise<readonly KeyStore[]> {
  const own = datasets.slice(first, end);
  for (const dataset of own) checkKeyColumns(dataset, spec);
  const stride = keyStride(spec);
  const stores = own.map(({ descriptor: { rows } }) => makeKeyStore(spec, rows, stride, scratch));
  const tasks = own.flatMap((dataset, i): ReadInput[] =>
    keyCuts(dataset).map(({ start, end }) => ({ source: first + i, start, end, spec, keys: stores[i]! })),
  );
  const lanes = { width: pool.size, runMax: 1, share: 1 };
  for await (const _ of inOrder(tasks, lanes, (task, { seat }) => pool.run('keys/read', task, seat))) {
    signal.throwIfAborted();
  }
  return stores;
}
