// Owns what the schema command takes and gives.
import type { FileObject, UnreadableColumn } from '../source/types.ts';
import type { CommandContext } from './types.ts';

export interface SchemaOptions {
  readonly files: readonly string[];
  readonly tree?: string;
  /** Globs over column names, `!GLOB` leaves out. Empty = all. */
  readonly columns: readonly string[];
}

export interface ColumnEntry {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly counter?: string;
  readonly doc?: string;
  /** Baskets, pages or column chunks. */
  readonly blocks: number;
  readonly codec: string;
  /** Bytes in the file, without those of the counter. */
  readonly storedBytes: number;
  readonly rawBytes: number;
}

export interface FileSchema {
  readonly path: string;
  readonly format: string;
  readonly tree?: string;
  readonly rows: number;
  readonly bytes: number;
  /** Absent where no key column of CMS or ATLAS was found. */
  readonly key?: { readonly name: string; readonly columns: readonly string[] };
  readonly others: readonly FileObject[];
  readonly columns: readonly ColumnEntry[];
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

export interface SchemaReport {
  readonly files: readonly FileSchema[];
}

export type RunSchema = (options: SchemaOptions, context: CommandContext) => Promise<SchemaReport>;
