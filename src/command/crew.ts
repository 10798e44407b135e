// Owns how many threads a join is worth, and the pool that starts as soon as this is known: it loads while keys are read.
import { isFar } from '../join/ahead.ts';
import type { OutColumn } from '../join/plan.ts';
import type { Selection } from '../join/where/select.ts';
import { type Pool, startPool } from '../pool/pool.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import { threadsHere } from './resources.ts';
import type { JoinOptions } from './types.ts';

/** Rows of all sources from which threads that have only begun to load read and match keys sooner than this one alone. */
const MANY_KEYS = 4 * 2 ** 20;
/** Raw bytes to be read, and twice those to be written, that are worth a thread: with less, its start takes what it saves. */
const BYTES_A_THREAD = 160 * 2 ** 20;
/** Rows of which all are read where one is wanted: about a basket. */
const CELL_BITS = 10;

/** The threads of one join, from when they start to its end. */
export interface Crew {
  pool?: Pool;
}

export async function closeCrew(crew: Crew): Promise<void> {
  await crew.pool?.close();
}

export function manyKeys(datasets: readonly Dataset[]): boolean {
  return datasets.reduce((sum, { descriptor }) => sum + descriptor.rows, 0) >= MANY_KEYS;
}

/** None where this thread is enough. */
export function startCrew(crew: Crew, threads: number): void {
  if (threads > 1) crew.pool ??= startPool(threads, 'join');
}

/** Just as many as the plan has room and work for. */
export async function settleCrew(crew: Crew, threads: number): Promise<Pool | undefined> {
  if (crew.pool !== undefined && crew.pool.size !== threads) {
    await crew.pool.close();
    delete crew.pool;
  }
  startCrew(crew, threads);
  return crew.pool;
}

export interface Worth {
  /** At most. */
  readonly threads: number;
  /** There is so much to do that they may start before the plan is known. */
  readonly soon: boolean;
}

/**
 * As many as were asked for, but not more than there is work for: of a skim or of a few columns a second thread is still
 * loading when the first has done them. Where servers are waited for, for data or for scores, threads always pay.
 */
export function threadsWorth(
  columns: readonly OutColumn[],
  datasets: readonly Dataset[],
  selection: Selection | undefined,
  { jobs = threadsHere(), infer }: Pick<JoinOptions, 'jobs' | 'infer'>,
): Worth {
  const bytes = bytesToRead(columns, datasets, selection) + 2 * bytesToWrite(columns, datasets[0]!, selection);
  const soon = bytes >= 2 * BYTES_A_THREAD;
  if (infer !== undefined || datasets.some(isFar)) return { threads: jobs, soon };
  const each = Number(process.env.COLWEAVE_THREAD_BYTES ?? BYTES_A_THREAD) || 1; // tests have little data, and want threads
  return { threads: Math.max(1, Math.min(jobs, Math.floor(bytes / each))), soon };
}

/** Of friends all: which of their rows are wanted is not known yet. */
function bytesToRead(
  columns: readonly OutColumn[],
  datasets: readonly Dataset[],
  selection: Selection | undefined,
): number {
  return datasets.reduce((sum, dataset, s) => {
    const names = columns.filter(({ kind, source }) => kind === 'payload' && source === s).map(({ from }) => from);
    const { raw } = datasetBytes(dataset, [...new Set(names)]);
    return sum + (s === 0 && selection !== undefined ? raw * partRead(selection.selected) : raw);
  }, 0);
}

function bytesToWrite(
  columns: readonly OutColumn[],
  { descriptor }: Dataset,
  selection: Selection | undefined,
): number {
  const rowBytes = columns.reduce((sum, column) => sum + column.rowBytes, 0);
  return rowBytes * (selection?.terms.at(-1)?.rows ?? descriptor.rows);
}

/** The part of the cells that hold a wanted row. */
function partRead(selected: Uint8Array): number {
  const cells = Math.ceil(selected.length / (1 << CELL_BITS));
  let read = 0;
  for (let row = selected.indexOf(1); row >= 0; row = selected.indexOf(1, ((row >> CELL_BITS) + 1) << CELL_BITS))
    read++;
  return read / Math.max(1, cells);
}
