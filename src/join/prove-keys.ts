// Owns the comparison of keys that came from an index with the source itself, for every row whose payload is moved.
import { ColweaveError } from '../core/errors.ts';
import { keyText } from '../core/key-spec.ts';
import { firstDifference } from '../keys/index-table.ts';
import { readKeys } from '../keys/read.ts';
import { type Dataset, locateRow } from '../source/dataset.ts';
import type { SourcePlan } from './plan.ts';

/** Rows lo .. hi of the source. Errors: key/stale-index with the first row that differs; those of `readKeys`. */
export async function proveKeys(
  { keys, keysFromIndex }: SourcePlan,
  dataset: Dataset,
  { lo, hi }: { readonly lo: number; readonly hi: number },
  signal?: AbortSignal,
): Promise<void> {
  if (!keysFromIndex || lo === hi) return;
  const own = await readKeys(dataset, keys.spec, { start: lo, end: hi }, signal);
  const row = firstDifference(keys, lo, own, 0, hi - lo);
  if (row < 0) return;
  const { uri, entry } = locateRow(dataset.descriptor, lo + row);
  throw new ColweaveError('key/stale-index', 'the file holds other events than its key index says', {
    where: [uri, `entry ${entry}`],
    details: [`in the file: ${keyText(own, row)}`, `in the index: ${keyText(keys, lo + row)}`],
  });
}
