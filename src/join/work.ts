// Owns the two tasks of a join, scatter and block, and where they run: in this thread, or on a pool of workers.
import { type Arena, FRESH, makeArena } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { Seal } from '../core/seal.ts';
import { type Pool, registerJob } from '../pool/pool.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { openSink } from '../sink/registry.ts';
import type { SinkFormat, SinkOptions } from '../sink/types.ts';
import { type Dataset, reopenDataset } from '../source/dataset.ts';
import { type BlockContext, type BlockResult, makeBlock } from './block.ts';
import type { SegmentsOf } from './block-view.ts';
import { type SealTask, sealRows } from './dedup.ts';
import type { JoinPlan } from './plan.ts';
import { type Scattered, type ScatterPlace, type ScatterTask, scatterRows } from './shuffle.ts';

/** Runs tasks; up to `width` at a time are worth asking for. */
export interface Executor<Encoded> {
  readonly width: number;
  scatter(task: ScatterTask): Promise<Scattered>;
  /** Seals of columns as read, before anything is moved. */
  seal(task: SealTask): Promise<readonly Seal[]>;
  block(index: number, segments: SegmentsOf['bySource']): Promise<BlockResult<Encoded>>;
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
    scatter: (task) => scatterRows(plan, datasets[task.source]!, task, { scratch, arena, signal }),
    seal: (task) => sealRows(plan, datasets[task.source]!, task, { arena, signal }),
    block: (index, segments) => makeBlock(context, plan.blocks[index]!, { bySource: segments, scratch }, signal),
    close: async () => arena.close(),
  };
}

interface SetUp {
  readonly plan: JoinPlan;
  readonly format: string;
  readonly options: SinkOptions;
  readonly scratch: Scratch | undefined;
}
interface BlockInput {
  readonly index: number;
  readonly segments: SegmentsOf['bySource'];
}

/** On the threads of a pool, each with the same plan and its own open files; the pool closes with the executor. */
export async function poolExecutor<Encoded>(
  plan: JoinPlan,
  format: string,
  options: SinkOptions,
  { pool, scratch }: { readonly pool: Pool; readonly scratch?: Scratch | undefined },
): Promise<Executor<Encoded>> {
  try {
    await pool.everywhere('join/set-up', { plan, format, options, scratch } satisfies SetUp);
  } catch (error) {
    await pool.close();
    throw error;
  }
  return {
    width: pool.size,
    scatter: async (task) => (await pool.run('join/scatter', task)) as Scattered,
    seal: async (task) => (await pool.run('join/seal', task)) as readonly Seal[],
    block: async (index, segments) =>
      (await pool.run('join/block', { index, segments } satisfies BlockInput)) as BlockResult<Encoded>,
    close: () => pool.close(),
  };
}

/** What a worker holds between tasks; set up again for another plan of the same sources it goes on with the same open files. */
let held: { readonly context: BlockContext<unknown>; readonly scatter: ScatterPlace } | undefined;
const never = new AbortController().signal;

/** Called once in a worker, before it serves. */
export function registerJoinJobs(): void {
  registerJob('join/set-up', async ({ plan, format, options, scratch }: SetUp) => {
    const datasets =
      held?.context.datasets ?? (await Promise.all(plan.sources.map(({ dataset }) => reopenDataset(dataset))));
    const arena = held?.scatter.arena ?? makeArena();
    const sink = await openSink(format);
    const context = { plan, datasets, format: sink, options, arena: blockArena(sink, arena) };
    held = { context, scatter: { scratch, arena } };
    return { output: undefined };
  });
  registerJob('join/scatter', async (task: ScatterTask) => {
    invariant(held !== undefined, 'the worker was set up');
    const { plan, datasets } = held.context;
    return { output: await scatterRows(plan, datasets[task.source]!, task, held.scatter) };
  });
  registerJob('join/seal', async (task: SealTask) => {
    invariant(held !== undefined, 'the worker was set up');
    const { plan, datasets } = held.context;
    return { output: await sealRows(plan, datasets[task.source]!, task, held.scatter) };
  });
  registerJob('join/block', async ({ index, segments }: BlockInput) => {
    invariant(held !== undefined, 'the worker was set up');
    const { context, scatter } = held;
    const own = { bySource: segments, scratch: scatter.scratch };
    const output = await makeBlock(context, context.plan.blocks[index]!, own, never);
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
