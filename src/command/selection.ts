// Owns --where as the commands see it: compiled against the primary, evaluated before anything of a friend is read.
import { ColweaveError } from '../core/errors.ts';
import { compileWhere } from '../core/where/where.ts';
import { selectTogether } from '../join/key-jobs.ts';
import { type Selection, selectEvents } from '../join/where/select.ts';
import type { Pool } from '../pool/pool.ts';
import type { Dataset } from '../source/dataset.ts';
import type { CommandContext, JoinOptions, SelectionSummary } from './types.ts';

/** Several --where: all must hold. `pool`: threads that have the files open. Errors: where/expression, where/value, those of reading. */
export async function selectPrimary(
  { where }: JoinOptions,
  primary: Dataset,
  { pool, emit, signal }: CommandContext & { readonly pool: Pool | undefined },
): Promise<Selection | undefined> {
  if (where === undefined) return undefined;
  emit({ type: 'progress', stage: 'select', done: 0, total: primary.descriptor.rows });
  const asked = compiled(where, primary);
  const selection =
    pool === undefined
      ? await selectEvents(primary, asked, signal)
      : await selectTogether(primary, asked, pool, signal);
  emit({ type: 'progress', stage: 'select', done: primary.descriptor.rows, total: primary.descriptor.rows });
  return selection;
}

function compiled(where: string, { descriptor, unreadable }: Dataset) {
  try {
    return compileWhere(where, descriptor.schema, unreadable);
  } catch (error) {
    if (!(error instanceof ColweaveError) || error.near.length === 0) throw error;
    const { message, near, hint, details } = error;
    throw new ColweaveError(error.code, message, { where: [descriptor.files[0]!.descriptor.uri], near, hint, details });
  }
}

export function selectionSummary({ where, selected, terms }: Selection): SelectionSummary {
  return { where, rows: selected.length, terms };
}
