// Owns the open files that a thread of the pool holds between the tasks of a join.
import { invariant } from '../core/check.ts';
import { type Dataset, type DatasetDescriptor, reopenDataset } from '../source/dataset.ts';

let held: readonly Dataset[] | undefined;

/** The files of these sources, opened at the first call. */
export async function holdDatasets(descriptors: readonly DatasetDescriptor[]): Promise<readonly Dataset[]> {
  held ??= await Promise.all(descriptors.map(reopenDataset));
  return held;
}

/** What is held of that source. */
export function heldDataset(source: number): Dataset {
  const dataset = held?.[source];
  invariant(dataset !== undefined, 'the thread has the files open');
  return dataset;
}
