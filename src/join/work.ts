// Owns the two tasks of a join, scatter and block, and where they run: in this thread, or on a pool of workers.
import { installReads, type Remembered, rememberedReads } from '../bytes/remembered.ts';
import { type Arena, FRESH, makeArena } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { Seal } from '../core/seal.ts';
import { type Pool, registerJob } from '../pool/pool.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { openSink } from '../sink/registry.ts';
import type { SinkFormat, SinkOptions } from '../sink/types.ts';
import { type Dataset, forgetRead } from '../source/dataset.ts';
import { askBlock, askScatter } from './ahead.ts';
import { type BlockContext, type BlockResult, makeBlock } from './block.ts';
import type { SegmentsOf } from './block-view.ts';
import { type SealTask, sealRows } from './dedup.ts';
import { holdDatasets } from './held.ts';
import { registerKeyJobs } from './key-jobs.ts';
import type { Lane } from './lanes.ts';
import type { JoinPlan } from './plan.ts';
import { type Scattered, type ScatterTask, scatterRows } from './shuffle.ts';

/** Runs tasks, one after the other on each of `width` seats. */
export interface Executor<Encoded> {
  readonly width: number;
  scatter(task: ScatterTask, lane: Lane): Promise<Scattered>;
  /** Seals of columns as read, before anything is moved. */
  seal(task: SealTask, lane: Lane): Promise<readonly Seal[]>;
  block(index: number, segments: SegmentsOf['bySource'], lane: Lane): Promise<BlockResult<Encoded>>;
  close(): Promise<void>;
}

interface InlinePlace {
  readonly scratch?: Scratch | undefined;
  readonly signal: AbortSignal;
  readonly arena?: Arena;
}

/** A sink that keeps columns after encoding them gets fresh arrays. */
function blockArena<Encoded>(format: SinkFormat<Encoded>, arena: Arena): Arena {
  return format.keepsColumns ? FRESH : arena;
}

export function inlineExecutor<Encoded>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<Encoded>,
  options: SinkOptions,
  { scratch, signal, arena = makeArena() }: InlinePlace,
): Executor<Encoded> {
  const context: BlockContext<Encoded> = { plan, datasets, format, options, arena: blockArena(format, arena) };
  return {
    width: 1,
    scatter: (task, { goesOn }) => {
      askScatter(plan, datasets, task);
      return scatterRows(plan, datasets[task.source]!, task, { scratch, arena, signal }).finally(() => {
        if (!goesOn) forgetRead(datasets[task.source]!);
      });
    },
    seal: (task, { goesOn }) =>
      sealRows(plan, datasets[task.source]!, task, { arena, signal }).finally(() => {
        if (!goesOn) forgetRead(datasets[task.source]!);
      }),
    block: (index, segments, { goesOn }) => {
      askBlock(plan, datasets, index);
      if (goesOn) askBlock(plan, datasets, index + 1);
      return makeBlock(context, plan.blocks[index]!, { bySource: segments, scratch }, signal).finally(() => {
        if (!goesOn) datasets.forEach(forgetRead);
      });
    },
    close: async () => arena.close(),
  };
}

interface SetUp {
  readonly plan: JoinPlan;
  readonly format: string;
  readonly options: SinkOptions;
  readonly scratch: Scratch | undefined;
  readonly reads: Remembered | undefined;
}
interface ScatterInput {
  readonly task: ScatterTask;
  readonly goesOn: boolean;
}
interface SealInput {
  readonly task: SealTask;
  readonly goesOn: boolean;
}
interface BlockInput {
  readonly index: number;
  readonly segments: SegmentsOf['bySource'];
  readonly goesOn: boolean;
}

/** On the threads of a pool, each with the same plan and its own open files; the pool closes with the executor. */
export async function poolExecutor<Encoded>(
  plan: JoinPlan,
  format: string,
  options: SinkOptions,
  { pool, scratch }: { readonly pool: Pool; readonly scratch?: Scratch | undefined },
): Promise<Executor<Encoded>> {
  try {
    await pool.everywhere('join/set-up', { plan, format, options, scratch, reads: rememberedReads() } satisfies SetUp);
  } catch (error) {
    await pool.close();
    throw error;
  }
  return {
    width: pool.size,
    scatter: async (task, { seat, goesOn }) =>
      (await pool.run('join/scatter', { task, goesOn } satisfies ScatterInput, seat)) as Scattered,
    seal: async (task, { seat, goesOn }) =>
      (await pool.run('join/seal', { task, goesOn } satisfies SealInput, seat)) as readonly Seal[],
    block: async (index, segments, { seat, goesOn }) => {
      const input: BlockInput = { index, segments, goesOn };
      return (await pool.run('join/block', input, seat)) as BlockResult<Encoded>;
    },
    close: () => pool.close(),
  };
}

/** What a thread of the pool holds between tasks. */
let held: { readonly arena: Arena; readonly executor: Executor<unknown> } | undefined;

/** Called once in a thread of the pool, before it serves. Set up again for another plan it goes on with the same open files. */
export function registerJoinJobs(): void {
  registerKeyJobs();
  registerJob('join/set-up', async ({ plan, format, options, scratch, reads }: SetUp) => {
    installReads(reads);
    const datasets = await holdDatasets(plan.sources.map(({ dataset }) => dataset));
    const arena = held?.arena ?? makeArena();
    const place = { scratch, signal: new AbortController().signal, arena };
    held = { arena, executor: inlineExecutor(plan, datasets, await openSink(format), options, place) };
    return { output: undefined };
  });
  registerJob('join/scatter', async ({ task, goesOn }: ScatterInput) => {
    invariant(held !== undefined, 'the thread was set up');
    return { output: await held.executor.scatter(task, { seat: 0, goesOn }) };
  });
  registerJob('join/seal', async ({ task, goesOn }: SealInput) => {
    invariant(held !== undefined, 'the thread was set up');
    return { output: await held.executor.seal(task, { seat: 0, goesOn }) };
  });
  registerJob('join/block', async ({ index, segments, goesOn }: BlockInput) => {
    invariant(held !== undefined, 'the thread was set up');
    const output = await held.executor.block(index, segments, { seat: 0, goesOn });
    return { output, transfer: buffersOf(output.encoded) };
  });
}

/** Buffers that an encoded column owns alone: they move to the main thread instead of being copied. */
function buffersOf(encoded: readonly unknown[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const column of encoded) {
    for (const value of Object.values(column as Record<string, unknown>)) {
      if (
        value instanceof Uint8Array &&
        value.buffer instanceof ArrayBuffer &&
        value.byteLength === value.buffer.byteLength
      )
        buffers.add(value.buffer);
    }
  }
  return [...buffers];
}
