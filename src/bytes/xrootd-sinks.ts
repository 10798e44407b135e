// Owns where the data of an answer go: straight into the arrays that were asked for, each length and offset checked first.
import { BODY_BYTES_MAX, notProtocol, PIECE_HEADER_BYTES } from './xrootd-wire.ts';

/** Takes the data of one answer, in order. `room` is where the next bytes go, empty once all came; then `filled` says how many did. */
export interface Sink {
  room(): Uint8Array;
  /** Errors: remote/protocol for what was not asked for. */
  filled(count: number): void;
  /** Bytes that are still missing for a complete answer; undefined where any length will do. */
  missing(): number | undefined;
}

const EMPTY = new Uint8Array(0);
const FIRST_BYTES = 256;

export interface BodySink extends Sink {
  body(): Buffer;
}

/** Keeps the answer as it is: of requests for anything but file data. */
export function bodySink(where: readonly string[]): BodySink {
  let bytes = Buffer.allocUnsafe(FIRST_BYTES);
  let used = 0;
  return {
    room() {
      if (used === bytes.length) {
        if (used >= BODY_BYTES_MAX) throw notProtocol('an answer is longer than any should be', where);
        const wider = Buffer.allocUnsafe(used * 4);
        wider.set(bytes);
        bytes = wider;
      }
      return bytes.subarray(used);
    },
    filled: (count) => {
      used += count;
    },
    missing: () => undefined,
    body: () => bytes.subarray(0, used),
  };
}

/** The bytes of one kXR_read, which must be as many as `into` has. */
export function readSink(into: Uint8Array): Sink {
  let used = 0;
  return {
    room: () => into.subarray(used),
    filled: (count) => {
      used += count;
    },
    missing: () => into.length - used,
  };
}

interface VectorPiece {
  readonly offset: number;
  readonly into: Uint8Array;
}

/** The pieces of one kXR_readv, in the order asked for: each comes behind its handle, length and offset. */
export function vectorSink(handle: Uint8Array, pieces: readonly VectorPiece[], where: readonly string[]): Sink {
  const head = Buffer.alloc(PIECE_HEADER_BYTES);
  let index = 0;
  let used = 0;
  let inHead = true;
  let left = pieces.reduce((sum, { into }) => sum + into.length + PIECE_HEADER_BYTES, 0);
  const check = ({ offset, into }: VectorPiece): void => {
    const same = head.subarray(0, 4).equals(handle);
    if (!same || head.readInt32BE(4) !== into.length || head.readBigInt64BE(8) !== BigInt(offset)) {
      throw notProtocol(`a vector read gave something else than bytes ${offset}-${offset + into.length - 1}`, where);
    }
  };
  return {
    room: () => (index === pieces.length ? EMPTY : inHead ? head.subarray(used) : pieces[index]!.into.subarray(used)),
    filled(count) {
      used += count;
      left -= count;
      if (inHead && used === PIECE_HEADER_BYTES) {
        check(pieces[index]!);
        inHead = false;
        used = 0;
      } else if (!inHead && used === pieces[index]!.into.length) {
        index++;
        inHead = true;
        used = 0;
      }
    },
    missing: () => left,
  };
}

/** For the answer to a request that nobody waits for any more. */
export function nowhere(): Sink {
  const bytes = new Uint8Array(1 << 16);
  return { room: () => bytes, filled: () => {}, missing: () => undefined };
}
