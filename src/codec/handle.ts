// Owns the one way to use a zlib or zstd context again: making one costs more than a small basket takes to decompress.
// node:zlib has no public call for it, so its streams' own handle is used where it is what it has been since zstd came
// (each user checks it by a round trip); elsewhere the public calls serve.

export interface Context {
  /** Bytes of room left in the target, and of the source left unread. Throws what zlib says of bad data. */
  run(flush: number, source: Uint8Array, target: Uint8Array): readonly [room: number, unread: number];
  /** Forgets what it stands in the middle of. */
  reset(): void;
}

interface StreamInside {
  readonly _handle?: {
    writeSync(
      flush: number,
      source: Uint8Array,
      from: number,
      length: number,
      target: Uint8Array,
      at: number,
      room: number,
    ): void;
    reset?(): void;
    onerror?: (message: string, code: number) => void;
  };
  readonly _writeState?: Uint32Array;
}

/** Of a stream of node:zlib; null where its inside is not what we know. */
export function contextOf(stream: unknown): Context | null {
  const { _handle: handle, _writeState: state } = stream as StreamInside;
  if (typeof handle?.writeSync !== 'function' || state === undefined) return null;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  return {
    run(flush, source, target) {
      failure = undefined;
      handle.writeSync(flush, source, 0, source.length, target, 0, target.length);
      if (failure !== undefined) throw new Error(failure);
      void stream; // the stream owns the handle: it lives as long as the context
      return [state[0]!, state[1]!];
    },
    reset: () => handle.reset?.(),
  };
}
