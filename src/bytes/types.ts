// Owns the seam to bytes: random-access reads of one object, wherever it lives.

/** Bytes offset .. offset + length. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Reads are exact: a range that the object does not hold is `source/truncated`. */
export interface ByteStore {
  readonly uri: string;
  readonly size: number;
  /** One array a range, in order; arrays may share memory and must not be written to. */
  read(ranges: readonly ByteRange[], signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  /**
   * The same, but what fits into `room` is put there: such arrays hold until the caller gives `room` away again. For
   * readers that are done with the bytes before they read on; a store without it allocates.
   */
  readInto?(ranges: readonly ByteRange[], room: Uint8Array, signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  close(): Promise<void>;
}
