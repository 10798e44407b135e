// Owns the refusal of a column that was asked for by name and cannot be read: its type is named, not its absence.
import { ColweaveError } from '../core/errors.ts';
import { fieldNamed } from '../core/schema.ts';
import type { Dataset } from '../source/dataset.ts';

/** `columns`: the globs of -c over output names; one that is no name of an unreadable column is none of our business. */
export function refuseUnreadable(columns: readonly string[], datasets: readonly Dataset[]): void {
  for (const name of columns) {
    for (const { descriptor, unreadable } of datasets) {
      const { label, schema, files } = descriptor;
      const asked = unreadable.find((column) => name === column.name || name === `${column.name}_${label}`);
      if (asked === undefined || fieldNamed(schema, asked.name) !== undefined) continue;
      if (datasets.some((other) => fieldNamed(other.descriptor.schema, name) !== undefined)) continue;
      throw new ColweaveError(
        'source/unreadable-column',
        `column "${asked.name}" (${asked.type}) cannot be read: ${asked.reason}`,
        { where: [files[0]!.descriptor.uri], hint: `leave it out of -c` },
      );
    }
  }
}
