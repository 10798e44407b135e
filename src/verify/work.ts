// Owns sealing the row groups of a file on several threads: each opens the file itself and shares the table of keys.
import type { KeyTable } from '../core/key-spec.ts';
import type { Pool } from '../pool/pool.ts';
import { reopenSource } from '../source/registry.ts';
import type { FileDescriptor, SourceFile } from '../source/types.ts';
import type { RowRange } from './output-file.ts';
import { type Flags, type RangeSeals, sealRange } from './seals.ts';

export interface SealSetUp {
  readonly descriptor: FileDescriptor;
  readonly keys: KeyTable;
  readonly flags: Flags;
}

/** What a worker holds between tasks. */
let held: { readonly file: SourceFile; readonly setUp: SealSetUp } | undefined;
const never = new AbortController().signal;

/** Worker's side of `seal/set-up`. */
export async function setUpSealing(setUp: SealSetUp): Promise<void> {
  await held?.file.close();
  held = { file: await reopenSource(setUp.descriptor), setUp };
}

/** Worker's side of `seal/range`. */
export async function sealHere(range: RowRange): Promise<RangeSeals> {
  const { file, setUp } = held!;
  return sealRange(file, setUp.keys, setUp.flags, range, never);
}

/** Seals ranges on the threads of a pool; results in the order of the ranges. */
export async function sealOnPool(pool: Pool, setUp: SealSetUp, ranges: readonly RowRange[]): Promise<RangeSeals[]> {
  await pool.everywhere('seal/set-up', setUp);
  return Promise.all(ranges.map((range) => pool.run('seal/range', range) as Promise<RangeSeals>));
}
