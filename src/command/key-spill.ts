// Owns whether the keys of a join pass through scratch, and the scratch files that they pass through.
import { type KeySpec, keyStride } from '../core/key-spec.ts';
import { closeScratch, openScratch, type Scratch, scratchFolder } from '../scratch/scratch.ts';
import type { Dataset } from '../source/dataset.ts';
import { keyBytes, PROGRAM_BYTES } from './budget.ts';
import { memoryHere } from './resources.ts';
import type { JoinOptions } from './types.ts';

/** Both are absent where keys fit. Files are closed when no thread works with them any more. */
export interface KeySpill {
  /** Keys as they were read: for as long as the join lasts. */
  keys?: Scratch;
  /** Keys sorted into partitions: until they are matched. */
  sorted?: Scratch;
}

/**
 * Opens scratch where the keys of all sources, and as much again to match them, are more than there is room for. With a key
 * index, or a selection whose events alone are matched, they stay in memory: few are, or they were read before.
 */
export function spillIfShort(
  spill: KeySpill,
  { memoryBytes, where, how, keyIndex }: JoinOptions,
  key: KeySpec,
  datasets: readonly Dataset[],
): void {
  const selects = where !== undefined && (how === 'left' || how === 'inner');
  if (selects || keyIndex !== undefined) return;
  const rows = datasets.map(({ descriptor }) => descriptor.rows);
  if (PROGRAM_BYTES + keyBytes(rows, keyStride(key)) <= (memoryBytes ?? memoryHere())) return;
  spill.keys = openScratch(scratchFolder());
  spill.sorted = openScratch(scratchFolder());
}

export function dropSorted(spill: KeySpill): void {
  if (spill.sorted !== undefined) closeScratch(spill.sorted);
  delete spill.sorted;
}

export function closeSpill(spill: KeySpill): void {
  dropSorted(spill);
  if (spill.keys !== undefined) closeScratch(spill.keys);
  delete spill.keys;
}
