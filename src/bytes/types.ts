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
  /** Reads cost a journey: worth asking ahead, and worth keeping what was read. Absent: a local file. */
  readonly isRemote?: boolean;
  /** Starts reading ranges that will be read soon, each as it stands here. A hint: nothing waits for it. */
  askAhead?(ranges: readonly ByteRange[]): void;
  /** What the server says that the whole object sums to; undefined where it does not say. */
  checksum?(signal?: AbortSignal): Promise<Digest | undefined>;
  /** All bytes, compared with that sum. Absent: a local file. */
  readWhole?(signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Digest {
  readonly algorithm: 'adler32';
  /** 8 lower-case digits. */
  readonly hex: string;
}
