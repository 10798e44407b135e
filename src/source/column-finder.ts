// Owns finding the columns of one file by name, and saying what is wrong with a name that finds none.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import type { UnreadableColumn } from './types.ts';

/** A column by its name. Errors: source/unreadable-column with type and reason, source/no-column with the nearest names. */
export function columnFinder<T>(
  columns: ReadonlyMap<string, T>,
  unreadable: readonly UnreadableColumn[],
  where: readonly string[],
): (name: string) => T {
  return (name) => {
    const column = columns.get(name);
    if (column !== undefined) return column;
    const known = unreadable.find((other) => other.name === name);
    if (known) {
      const what = `column "${name}" (${known.type}) cannot be read: ${known.reason}`;
      throw new ColweaveError('source/unreadable-column', what, { where });
    }
    const near = nearestNames(name, columns.keys());
    throw new ColweaveError('source/no-column', `no column "${name}"`, { where, near });
  };
}
