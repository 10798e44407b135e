// Owns the seam to inputs: one file of columns, and how a worker thread opens it again without reading its metadata.
import type { CacheAccess } from '../cache/place.ts';
import type { Take } from '../core/arena.ts';
import type { Column } from '../core/column.ts';
import type { FileIdentity } from '../core/receipt.ts';
import type { Schema } from '../core/schema.ts';

/** Plain data (structured clone): all that is needed to read columns of a file whose metadata was read before. */
export interface FileDescriptor {
  readonly format: string;
  readonly uri: string;
  readonly rows: number;
  readonly schema: Schema;
  readonly identity: FileIdentity;
  /** Whatever the format's reader needs. */
  readonly layout: unknown;
  /** Other servers' names of the same file, for when this one fails in mid-read. */
  readonly replicas?: readonly string[];
}

/** What a descriptor of a file behind a cache holds. */
export interface CachedLayout {
  readonly access: CacheAccess;
  /** The file itself; absent = its server was not asked, or did not answer. */
  readonly inner?: FileDescriptor;
  readonly ownFormat: string;
  /** The text of the receipt in the file. */
  readonly receipt?: string;
}

export interface UnreadableColumn {
  readonly name: string;
  /** The file's own name of the type. */
  readonly type: string;
  readonly reason: string;
}

/** How a column lies in its file, for people. */
export interface ColumnStorage {
  /** Baskets, pages or column chunks: what is read at a time. */
  readonly blocks: number;
  /** As the file names what it was written with; `` where it does not say. */
  readonly codec: string;
}

/** Another object of the same file. */
export interface FileObject {
  readonly name: string;
  readonly type: string;
}

/** One open file (ROOT: one tree of it). */
export interface SourceFile {
  readonly descriptor: FileDescriptor;
  /** Columns that cannot be read, named in the plan; an error only when asked for. */
  readonly unreadable: readonly UnreadableColumn[];
  /** Columns left out because another says the same (per-branch counters of uproot-written files). */
  readonly redundant: readonly string[];
  /** Compressed bytes that reading these columns whole costs. */
  bytesOf(names: readonly string[]): number;
  /** Decompressed bytes of these columns, by metadata alone. */
  rawBytesOf(names: readonly string[]): number;
  /** Absent where the format has nothing to say. */
  storageOf?(name: string): ColumnStorage;
  /** All objects of the file, for formats whose files hold several. */
  objects?(): Promise<readonly FileObject[]>;
  /**
   * Rows rowStart .. rowEnd (exclusive) of the named columns, in the order of `names`. Lists with the same counter share
   * one `offsets` object. Arrays may come from `take`, then they last as its arena says. `needed`, one byte a row from
   * rowStart: values of rows that are 0 there are not looked at and may be anything, so that what holds only such rows need
   * not be read; how long their lists are is always right.
   * Errors: source/no-column, source/truncated, source/damaged, source/unreadable-column.
   */
  read(
    names: readonly string[],
    rowStart: number,
    rowEnd: number,
    signal?: AbortSignal,
    take?: Take,
    needed?: Uint8Array,
  ): Promise<readonly Column[]>;
  /** These rows will be read soon: where that needs a server, it is asked now. Nothing else happens. */
  askAhead?(names: readonly string[], rowStart: number, rowEnd: number): void;
  /** Gives up what was kept for a read that goes on where the last one ended: the next one begins elsewhere. */
  forget?(): void;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** The tree to read; absent = `Events`, or the only tree there is. */
  readonly tree?: string;
  /** Columns are read from there, and put there; absent = from the file. */
  readonly cache?: CacheAccess;
  /** Other servers' names of the same file: each is asked, in turn, when the one before fails in mid-read. */
  readonly replicas?: readonly string[];
  /** What the cache knows of a file whose server does not answer is not enough: there are others to ask. */
  readonly mustAnswer?: boolean;
}

/** A format: one file an implementation, one line in the registry. */
export interface SourceFormat {
  readonly name: string;
  /** Does a file that starts with these (up to 64) bytes belong to this format? */
  recognises(head: Uint8Array, uri: string): boolean;
  open(uri: string, options: OpenOptions, signal?: AbortSignal): Promise<SourceFile>;
  /** Opens a file from its descriptor: in a worker, or again. Metadata is not read, the file's size and identity are. */
  reopen(descriptor: FileDescriptor): Promise<SourceFile>;
}
