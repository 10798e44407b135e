// Owns the JoinPlan: everything that moving the payload needs, as plain data that threads share.
import type { KeySpec } from '../core/key-spec.ts';
import type { Field } from '../core/schema.ts';
import type { KeyStore } from '../keys/store.ts';
import type { DatasetDescriptor } from '../source/dataset.ts';
import type { Overlap } from './duplicates.ts';
import type { How, RowMap } from './match.ts';
import type { Witness } from './witness-plan.ts';

/** A column that is not written, since another one says the same (--dedup). */
export interface EqualColumn {
  /** What it would be called. */
  readonly name: string;
  readonly source: number;
  readonly from: string;
  /** The output column that holds it. */
  readonly column: string;
}

/** How the rows of a source reach the output: read in place, read a span and gather, or scatter in one sequential pass. */
export type Path = 'primary' | 'aligned' | 'local' | 'shuffle';

export interface OutColumn {
  readonly field: Field;
  /** `file`, `entry`: where a source has the event (--map-only); `score`: made from others by a model (--infer), after all of them. */
  readonly kind: 'key' | 'payload' | 'missing' | 'file' | 'entry' | 'score';
  /** Index of the source; for `missing` the one that misses. */
  readonly source: number;
  /** The column's name in its source. */
  readonly from: string;
  /** Raw bytes of one row on the average, by metadata. */
  readonly rowBytes: number;
  /** Key columns: place in the key. */
  readonly keyIndex?: number;
}

/** Two columns of list lengths that must agree row by row, or the join would pair objects with others. */
export interface LengthCheck {
  /** A list of `source`, checked against the counter `counter` of `counterSource`. */
  readonly source: number;
  readonly list: string;
  readonly counterSource: number;
  readonly counter: string;
}

export interface SourcePlan {
  readonly dataset: DatasetDescriptor;
  readonly label: string;
  readonly keys: KeyStore;
  readonly map: RowMap;
  readonly path: Path;
  readonly why: string;
  /** Shuffled sources: the output row of each source row, -1 = not in the output. */
  readonly targets?: Int32Array;
  /** Why each output row has no event of this source: 0 present, 1 no such event, 2 lumi absent; absent = none missing. */
  readonly reasons?: Uint8Array;
  /** Columns that say the same as others and are not written. */
  readonly dropped: readonly string[];
  readonly matched: number;
  readonly missing: number;
  readonly extra: number;
  /** Primary: rows that an earlier primary dataset has too, not in the output. */
  readonly duplicates: number;
}

/** One output file and the output rows it holds. */
export interface OutPart {
  /** File name inside the output directory, or the output itself. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** In a directory: the rows start .. end of this source are this part's business, whether they are in the output or not. */
  readonly of?: { readonly source: number; readonly start: number; readonly end: number };
}

/** Rows of one row group: rows start .. end of the output, all of one part. */
export interface Block {
  readonly part: number;
  readonly start: number;
  readonly end: number;
}

export interface JoinPlan {
  readonly key: KeySpec;
  readonly how: How;
  readonly layout: 'arrow' | 'nano';
  /** Value written where an event is missing, instead of null. */
  readonly fill?: number;
  readonly sources: readonly SourcePlan[];
  readonly columns: readonly OutColumn[];
  readonly checks: readonly LengthCheck[];
  readonly equal: readonly EqualColumn[];
  readonly witnesses: readonly Witness[];
  readonly rowsOut: number;
  readonly rowGroupRows: number;
  readonly parts: readonly OutPart[];
  readonly blocks: readonly Block[];
  readonly notes: readonly string[];
  /** Events that several primary datasets have, by pair: the first one's are taken. */
  readonly overlaps: readonly Overlap[];
  /** Output columns that scores are made from: a block gives them away beside what it encodes. */
  readonly scored?: readonly string[];
}

/** Columns that the tasks of a join write: all but scores, which stand last. */
export function writtenColumns({ columns }: JoinPlan): readonly OutColumn[] {
  return columns.filter(({ kind }) => kind !== 'score');
}
