// Owns deflate in its three wrappings, zlib (ROOT), raw (ROOT before 2005) and gzip (Parquet), by node:zlib.
import { gunzipSync, gzipSync, inflateRawSync, inflateSync, type ZlibOptions } from 'node:zlib';
import { ColweaveError } from '../core/errors.ts';

/** Room beyond the expected size, so that one pass sees the end of the stream; node:zlib wants chunks of 64 at least. */
const OUTPUT_SLACK_BYTES = 64;

/** The `size` bytes of a zlib stream; any other number of bytes is source/damaged. */
export function inflateZlib(source: Uint8Array, size: number): Uint8Array {
  return inflateExactly('zlib', inflateSync, source, size);
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
