// Owns what the fetch command takes and gives.

import type { CacheCounts } from '../cache/jobs.ts';
import type { CacheCheck, CachedFile, CacheGc, GcLimits } from '../cache/survey.ts';
import type { CommandContext, FailedDataset, JoinOptions } from './types.ts';

/** Which cache, if any. */
export interface CacheChoice {
  /** A directory, or `off`; absent = $COLWEAVE_CACHE, else the command's own default. */
  readonly cache?: string;
  /** No server is asked. */
  readonly offline?: boolean;
}

export interface FetchOptions
  extends CacheChoice,
    Pick<
      JoinOptions,
      'on' | 'tree' | 'redirector' | 'columns' | 'schema' | 'compression' | 'dropUnreadable' | 'jobs' | 'memoryBytes'
    > {
  readonly sources: readonly string[];
  /** A directory (a file for each source file) when it ends in `/`, is one, or has no data file's ending. */
  readonly output: string;
  /** Absent = by the name of the output, else Parquet. */
  readonly format?: 'parquet' | 'arrow';
  readonly force: boolean;
  readonly redo: boolean;
}

export interface CacheTask {
  readonly task: 'ls' | 'gc' | 'check';
  readonly cache?: string;
  readonly limits: GcLimits;
}

export interface FetchedFile {
  /** Without credentials. */
  readonly uri: string;
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly upToDate: boolean;
}

export interface FetchReport {
  readonly files: readonly FetchedFile[];
  readonly failed: readonly (FailedDataset & { readonly uri: string })[];
  readonly manifest: string;
  readonly cache?: CacheCounts & { readonly folder: string };
}

export type CacheReport =
  | { readonly task: 'ls'; readonly folder: string; readonly files: readonly CachedFile[] }
  | ({ readonly task: 'gc'; readonly folder: string } & CacheGc)
  | ({ readonly task: 'check'; readonly folder: string } & CacheCheck);

export type RunFetch = (options: FetchOptions, context: CommandContext) => Promise<FetchReport>;
export type RunCacheTask = (task: CacheTask, context: CommandContext) => Promise<CacheReport>;
