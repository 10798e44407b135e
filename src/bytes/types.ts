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
  close(): Promise<void>;
}
