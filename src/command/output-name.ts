// Owns what the name of an output file says about its format.
import { ColweaveError } from '../core/errors.ts';

const ARROW = /\.(arrows?|feather)$/i;
/** What people call files of formats that nothing here writes. */
const OTHER = /\.(root|csv|tsv|txt|json|jsonl|ndjson|h5|hdf5|npy|npz|orc|avro|pkl|db|sqlite)$/i;

/** The writer that a name asks for. Errors: usage/bad-option where it is that of a format which is not written here. */
export function writerNamed(output: string): 'parquet' | 'arrow' {
  const other = OTHER.exec(output);
  if (other !== null)
    throw new ColweaveError(
      'usage/bad-option',
      `${output} would be no ${other[0]} file: Parquet and Arrow are written`,
      {
        hint: `name it ${output.slice(0, other.index)}.parquet or ${output.slice(0, other.index)}.arrows`,
      },
    );
  return ARROW.test(output) ? 'arrow' : 'parquet';
}
