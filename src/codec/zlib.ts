// Owns deflate in its three wrappings, zlib (ROOT), raw (ROOT before 2005) and gzip (Parquet), by node:zlib.
import {
  constants,
  createInflate,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  inflateSync,
  type ZlibOptions,
} from 'node:zlib';
import { ColweaveError } from '../core/errors.ts';
import { type Context, contextOf } from './handle.ts';

/** Room beyond the expected size, so that one pass sees the end of the stream; node:zlib wants chunks of 64 at least. */
const OUTPUT_SLACK_BYTES = 64;

/** The `size` bytes of a zlib stream; any other number of bytes is source/damaged. */
export function inflateZlib(source: Uint8Array, size: number): Uint8Array {
  return inflateExactly('zlib', inflateSync, source, size);
}

/** Fills `target` with a zlib stream; any other number of bytes is source/damaged. */
export function inflateZlibInto(source: Uint8Array, target: Uint8Array): void {
  inflater ??= makeInflater() ?? 'none';
  if (inflater === 'none') {
    target.set(inflateZlib(source, target.length));
    return;
  }
  let left: readonly [room: number, unread: number];
  try {
    inflater.reset();
    left = inflater.run(constants.Z_FINISH, source, target);
  } catch (cause) {
    inflater = undefined;
    throw new ColweaveError('source/damaged', `zlib data do not decompress to ${target.length} bytes`, { cause });
  }
  if (left[0] === 0 && left[1] === 0) return;
  throw new ColweaveError('source/damaged', `zlib data do not decompress to just ${target.length} bytes`);
}

/** One a thread: a quarter less time for blocks of ROOT's size. */
let inflater: Context | 'none' | undefined;

function makeInflater(): Context | null {
  const context = contextOf(createInflate());
  const sample = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const [packed, target] = [deflateSync(sample), new Uint8Array(8)];
  try {
    for (let time = 0; time < 2; time++) {
      context?.reset();
      const left = context?.run(constants.Z_FINISH, packed, target.fill(0));
      if (left?.[0] !== 0 || left[1] !== 0 || Buffer.compare(target, sample) !== 0) return null;
    }
    return context;
  } catch {
    return null;
  }
}

/** The `size` bytes of a bare deflate stream. */
export function inflateRaw(source: Uint8Array, size: number): Uint8Array {
  return inflateExactly('deflate', inflateRawSync, source, size);
}

/** The `size` bytes of a gzip file (one member or several). */
export function decompressGzip(source: Uint8Array, size: number): Uint8Array {
  return inflateExactly('gzip', gunzipSync, source, size);
}

/** A gzip member without a time stamp: the same source and level give the same bytes. */
export function compressGzip(source: Uint8Array, level: number): Uint8Array {
  return gzipSync(source, { level });
}

function inflateExactly(
  name: string,
  inflate: (source: Uint8Array, options: ZlibOptions) => Uint8Array,
  source: Uint8Array,
  size: number,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = inflate(source, { chunkSize: size + OUTPUT_SLACK_BYTES, maxOutputLength: Math.max(1, size) });
  } catch (cause) {
    throw new ColweaveError('source/damaged', `${name} data do not decompress to ${size} bytes`, { cause });
  }
  if (bytes.length !== size) {
    throw new ColweaveError('source/damaged', `${name} data hold ${bytes.length} bytes, expected ${size}`);
  }
  return bytes;
}
