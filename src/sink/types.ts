// Owns the seam to outputs: encode (pure, in any thread), then append in order, then finish or abort.
import type { Column } from '../core/column.ts';
import type { Field, Schema } from '../core/schema.ts';

export interface SinkOptions {
  readonly compression: 'zstd' | 'snappy' | 'none';
  readonly level?: number;
}

/** What a finished file says of itself: sha256 (hex) of the column-chunk bytes of each row group, and the bytes of the file. */
export interface Fingerprint {
  readonly bytes: number;
  readonly rowGroups: readonly { readonly rows: number; readonly sha256: string }[];
}

/** One output being written. Nothing is at the target before `commit`, and nothing is left after `abort`. */
export interface Sink<Encoded> {
  /** One row group: the encoded columns in schema order, not to be looked at again. Calls do not overlap. */
  append(rows: number, encoded: readonly Encoded[]): Promise<void>;
  /** What the row groups so far are, for the receipt that goes into the metadata. */
  fingerprint(): Fingerprint;
  /** Writes the footer with this metadata, flushes to disk; the file is still under its part name. */
  finish(metadata: Readonly<Record<string, string>>): Promise<void>;
  /** Renames to the final name: the last thing done. */
  commit(): Promise<void>;
  abort(): Promise<void>;
}

export interface SinkFormat<Encoded> {
  readonly name: string;
  /** What `encode` gives may hold arrays of the columns: they must live on. Without it, they may be used again. */
  readonly keepsColumns: boolean;
  /** Throws sink/cannot-write-type for a schema that this format cannot hold. */
  check(schema: Schema): void;
  /** Pure: the same columns and options give the same bytes. `Encoded` can be posted between threads. */
  encode(fields: readonly Field[], columns: readonly Column[], options: SinkOptions): Promise<readonly Encoded[]>;
  /** `target` is the final path; the sink writes beside it. `force` replaces an existing file (else output/exists). */
  open(target: string, schema: Schema, options: SinkOptions & { readonly force: boolean }): Promise<Sink<Encoded>>;
}
