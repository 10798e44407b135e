// Owns when a join starts its threads before its plan is known: they load while files are opened.
import { existsSync, statSync } from 'node:fs';
import { isRemote } from '../bytes/remote.ts';
import { type Pool, startPool } from '../pool/pool.ts';
import type { Dataset } from '../source/dataset.ts';
import type { Input } from '../source/inputs.ts';
import { targetOf } from './finished.ts';
import { threadsHere } from './resources.ts';
import type { JoinOptions } from './types.ts';

/** Inputs from which it is worth it. */
const EARLY_BYTES = 64 * 2 ** 20;

export function startEarly({ jobs }: JoinOptions, inputBytes: number): Pool | undefined {
  const threads = jobs ?? threadsHere();
  return threads < 2 || inputBytes < EARLY_BYTES ? undefined : startPool(threads, 'join');
}

/** An output that is up to date is left alone: then no thread is needed. */
export function mayBeFresh({ output, redo }: JoinOptions): boolean {
  return redo !== true && output !== undefined && existsSync(targetOf(output));
}

/** Before anything is opened; of files on servers nothing is known. */
export function bytesOnDisk(inputs: readonly Input[]): number {
  const sizeOf = (uri: string) => (isRemote(uri) ? 0 : (statSync(uri, { throwIfNoEntry: false })?.size ?? 0));
  return inputs.reduce((sum, { uri }) => sum + sizeOf(uri), 0);
}

export function bytesIn(datasets: readonly Dataset[]): number {
  const files = datasets.flatMap(({ descriptor }) => descriptor.files);
  return files.reduce((sum, { descriptor }) => sum + descriptor.identity.size, 0);
}

/** Rows of all sources from which threads that have only begun to load read and match keys sooner than this one alone. */
const MANY_KEYS = 4 * 2 ** 20;

export function manyKeys(datasets: readonly Dataset[]): boolean {
  return datasets.reduce((sum, { descriptor }) => sum + descriptor.rows, 0) >= MANY_KEYS;
}
