// Owns where verify's tasks run: here, or on the threads of a pool, each with the same files opened by itself.
import { makeArena } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { type KeySpec, type KeyTable, keyStride } from '../core/key-spec.ts';
import { readKeys } from '../keys/read.ts';
import { type Pool, registerJob } from '../pool/pool.ts';
import { closeDataset, type Dataset, type DatasetDescriptor, forgetRead, reopenDataset } from '../source/dataset.ts';
import { reopenSource } from '../source/registry.ts';
import type { FileDescriptor, SourceFile } from '../source/types.ts';
import { type BlockContext, type BlockResult, type BlockTask, checkBlock } from './block.ts';
import { datasetOf, type RowRange } from './output-file.ts';
import { type Piece, type ReadTask, readPiece } from './pieces.ts';
import { mergeRows, type SortedKeys, sortKeys } from './sort-merge.ts';

/** Plain data: keys of rows of a source, or of the file under test. */
interface KeysTask {
  /** Which of the sources; absent = the file under test. */
  readonly dataset?: number | undefined;
  readonly spec: KeySpec;
  readonly range: RowRange;
  /** Key words of all rows, which threads share. */
  readonly words: Uint32Array;
}

/** What a task does with its input on whichever thread; inputs and results are plain data. */
interface Tasks {
  keys(task: KeysTask): Promise<void>;
  sort(keys: KeyTable): Promise<SortedKeys>;
  merge(tables: { readonly left: SortedKeys; readonly right: SortedKeys }): Promise<Int32Array>;
  read(task: ReadTask): Promise<Piece>;
  block(task: BlockTask): Promise<BlockResult>;
}

export interface Work {
  /** Tasks that run at once; each is on a seat of 0 .. width. */
  readonly width: number;
  run<K extends keyof Tasks>(name: K, input: Parameters<Tasks[K]>[0], seat: number): ReturnType<Tasks[K]>;
  /** What the next tasks are about; sources are counted in this order. */
  openSources(datasets: readonly Dataset[]): Promise<void>;
  close(): Promise<void>;
}

type Files = Pick<BlockContext, 'file' | 'datasets'>;

function tasksOf(files: () => Files, arena: BlockContext['arena'], signal: AbortSignal): Tasks {
  const context = (): BlockContext => ({ ...files(), arena });
  return {
    async keys({ dataset, spec, range, words }) {
      const { file, datasets } = files();
      const source = dataset === undefined ? datasetOf(file) : datasets[dataset]!;
      const stride = keyStride(spec);
      await readKeys(source, spec, range, signal, words.subarray(range.start * stride, range.end * stride));
      forgetRead(source);
    },
    sort: async (keys) => sortKeys(keys),
    merge: async ({ left, right }) => mergeRows(left, right),
    read: (task) => readPiece(context(), task, signal),
    block: (task) => checkBlock(context(), task, signal),
  };
}

/** In this thread. */
export function workHere(file: SourceFile, signal: AbortSignal): Work {
  const arena = makeArena();
  let datasets: readonly Dataset[] = [];
  const tasks = tasksOf(() => ({ file, datasets }), arena, signal);
  return {
    width: 1,
    run: (name, input) => (tasks[name] as (given: unknown) => never)(input),
    openSources: async (opened) => {
      datasets = opened;
    },
    close: async () => arena.close(),
  };
}

/** On the threads of a pool, which outlasts it. */
export async function workOnPool(pool: Pool, file: SourceFile): Promise<Work> {
  await pool.everywhere('check/open', { descriptor: file.descriptor } satisfies OpenInput);
  return {
    width: pool.size,
    run: (name, input, seat) => pool.run('check/task', { name, input } satisfies TaskInput, seat) as never,
    openSources: async (datasets) => {
      const descriptors = datasets.map(({ descriptor }) => descriptor);
      await pool.everywhere('check/open-sources', descriptors satisfies OpenSourcesInput);
    },
    close: () => pool.everywhere('check/close', undefined),
  };
}

interface OpenInput {
  readonly descriptor: FileDescriptor;
}
type OpenSourcesInput = readonly DatasetDescriptor[];
interface TaskInput {
  readonly name: keyof Tasks;
  readonly input: unknown;
}

/** What a worker holds between tasks. */
let held: { file?: SourceFile; datasets: readonly Dataset[]; tasks: Tasks } | undefined;

function heldFiles(): Files {
  invariant(held?.file !== undefined, 'a file was opened');
  return { file: held.file, datasets: held.datasets };
}

async function closeHeld(): Promise<void> {
  await held?.file?.close();
  for (const dataset of held?.datasets ?? []) await closeDataset(dataset);
}

/** Called once in a worker, before it serves. */
export function registerVerifyJobs(): void {
  registerJob('check/open', async ({ descriptor }: OpenInput) => {
    await closeHeld();
    const tasks = held?.tasks ?? tasksOf(heldFiles, makeArena(), new AbortController().signal);
    held = { file: await reopenSource(descriptor), datasets: [], tasks };
    return { output: undefined };
  });
  registerJob('check/open-sources', async (descriptors: OpenSourcesInput) => {
    invariant(held !== undefined, 'a file was opened');
    for (const descriptor of descriptors) held.datasets = [...held.datasets, await reopenDataset(descriptor)];
    return { output: undefined };
  });
  registerJob('check/task', async ({ name, input }: TaskInput) => {
    invariant(held !== undefined, 'a file was opened');
    return { output: await (held.tasks[name] as (given: unknown) => Promise<unknown>)(input) };
  });
  registerJob('check/close', async () => {
    await closeHeld();
    if (held !== undefined) held = { datasets: [], tasks: held.tasks };
    return { output: undefined };
  });
}
