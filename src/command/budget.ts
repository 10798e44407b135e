// Owns what a join may take: threads and memory, and whether shuffled rows pass through scratch for it.
import { AHEAD_BYTES_MAX } from '../bytes/block-cache.ts';
import { RECENT_BYTES_MAX } from '../bytes/recent.ts';
import { REMEMBERED_BYTES_MAX } from '../bytes/remembered.ts';
import { isFarPlan } from '../join/ahead.ts';
import type { JoinPlan } from '../join/plan.ts';
import { SCATTER_ROWS } from '../join/shuffle.ts';
import { inScratch } from '../keys/store.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import { memoryHere, threadsHere } from './resources.ts';

/** Node, the program and its libraries, as measured. */
export const PROGRAM_BYTES = 90 * 2 ** 20;
/** A thread at work: its heap, a batch of columns read, moved and encoded, and what the allocator keeps of the last ones; as measured. */
const THREAD_BYTES = 100 * 2 ** 20;
/** Of a thread that reads from servers: what it asked for ahead, and what it may read again. */
const FAR_THREAD_BYTES = AHEAD_BYTES_MAX + RECENT_BYTES_MAX;

export interface Budget {
  readonly threads: number;
  /** What the plan needs: tables of keys and maps, threads, and shuffled rows unless they pass through scratch. */
  readonly memoryBytes: number;
  /** Raw bytes of shuffled sources that go through scratch; 0 = they stay in memory. */
  readonly scratchBytes: number;
}

/** Fewer threads before scratch is refused: a join goes on in a small batch slot, only slower. */
export function budgetFor(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  asked: { readonly jobs?: number; readonly memoryBytes?: number },
): Budget {
  const limit = asked.memoryBytes ?? memoryHere();
  const shuffled = shuffledBytes(plan, datasets);
  const isFar = isFarPlan(plan);
  const fixed = PROGRAM_BYTES + tableBytes(plan) + (isFar ? REMEMBERED_BYTES_MAX : 0);
  const rowBytes = plan.columns.reduce((sum, column) => sum + column.rowBytes, 0);
  const perThread = THREAD_BYTES + (isFar ? FAR_THREAD_BYTES : 0) + rowBytes * plan.rowGroupRows;
  const wanted = Math.max(1, Math.min(asked.jobs ?? threadsHere(), tasksOf(plan)));
  const threads = Math.max(1, Math.min(wanted, Math.floor((limit - fixed) / perThread)));
  const working = Math.round(fixed + threads * perThread);
  const spill = shuffled > 0 && working + shuffled > limit;
  return { threads, memoryBytes: spill ? working : working + shuffled, scratchBytes: spill ? shuffled : 0 };
}

/** As many threads as there are things to do at a time: there may be more to scatter than row groups to make. */
function tasksOf({ sources, blocks }: JoinPlan): number {
  const scattered = sources.map(({ path, dataset }) => (path === 'shuffle' ? dataset.rows / SCATTER_ROWS : 0));
  return Math.max(blocks.length, ...scattered.map(Math.ceil));
}

/** Keys of sources with so many rows, sorted once more to be matched, and what was found: the primary first. */
export function keyBytes(rows: readonly number[], stride: number): number {
  const tables = rows.reduce((sum, count) => sum + count * (2 * stride + 1) * 4, 0);
  const maps = rows.slice(1).reduce((sum, count) => sum + (rows[0]! + count) * 4, 0);
  return tables + maps;
}

/** Sources may share tables. */
function tableBytes({ sources }: JoinPlan): number {
  const tables = sources.flatMap(({ keys, map, targets }) => [inScratch(keys) ? undefined : keys.words, map, targets]);
  return [...new Set(tables)].reduce((sum, table) => sum + (table?.byteLength ?? 0), 0);
}

function shuffledBytes(plan: JoinPlan, datasets: readonly Dataset[]): number {
  return plan.sources.reduce((sum, { path }, s) => {
    if (path !== 'shuffle') return sum;
    const own = plan.columns.filter((column) => column.source === s && column.kind === 'payload');
    const names = own.map(({ from }) => from);
    const used = (plan.rowsOut - plan.sources[s]!.missing) / Math.max(1, plan.sources[s]!.dataset.rows);
    return sum + Math.ceil(datasetBytes(datasets[s]!, names).raw * Math.min(1, used));
  }, 0);
}
