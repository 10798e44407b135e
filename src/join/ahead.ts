// Owns asking servers for what a block will read, all sources at once, while the block before is still being made.
import { isRemote } from '../bytes/remote.ts';
import { askAhead, type Dataset, type DatasetDescriptor } from '../source/dataset.ts';
import { spanOf } from './block-view.ts';
import { keyNames } from './key-proof.ts';
import type { JoinPlan } from './plan.ts';
import { type ScatterTask, shuffledNames } from './shuffle.ts';

const isFarAway = ({ files }: DatasetDescriptor): boolean => files.some(({ descriptor: { uri } }) => isRemote(uri));
/** Some of its files are on servers. */
export const isFar = ({ descriptor }: Dataset): boolean => isFarAway(descriptor);

export const isFarPlan = ({ sources }: JoinPlan): boolean => sources.some(({ dataset }) => isFarAway(dataset));

function namesOf(plan: JoinPlan, source: number): readonly string[] {
  return [...new Set([...shuffledNames(plan, source), ...keyNames(plan, source)])];
}

/** The rows of each source that lie in place or in a span; those of a shuffled one were asked for when it was scattered. */
export function askBlock(plan: JoinPlan, datasets: readonly Dataset[], index: number): void {
  const block = plan.blocks[index];
  if (block === undefined) return;
  for (const [s, { map, path }] of plan.sources.entries()) {
    if (path === 'shuffle' || !isFar(datasets[s]!)) continue;
    const rows = map?.subarray(block.start, block.end);
    const { lo, hi } = rows === undefined ? { lo: block.start, hi: block.end } : spanOf(rows);
    askAhead(datasets[s]!, namesOf(plan, s), lo, hi);
  }
}

export function askScatter(plan: JoinPlan, datasets: readonly Dataset[], { source, start, end }: ScatterTask): void {
  if (isFar(datasets[source]!)) askAhead(datasets[source]!, namesOf(plan, source), start, end);
}
