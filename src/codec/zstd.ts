// Owns zstd: one frame to a known number of bytes and back, by node:zlib's synchronous calls (the async ones are slower).
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { ColweaveError } from '../core/errors.ts';

/** Room beyond the expected size, so that one pass sees the end of the frame and a second buffer is never needed. */
const OUTPUT_SLACK_BYTES = 64;

/** The `size` bytes that `source` holds; any other number of bytes is source/damaged. */
export function decompressZstd(source: Uint8Array, size: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = zstdDecompressSync(source, {
      chunkSize: size + OUTPUT_SLACK_BYTES,
      maxOutputLength: Math.max(1, size),
    });
  } catch (cause) {
    throw new ColweaveError('source/damaged', `zstd data do not decompress to ${size} bytes`, { cause });
  }
  if (bytes.length !== size) {
    throw new ColweaveError('source/damaged', `zstd data hold ${bytes.length} bytes, expected ${size}`);
  }
  return bytes;
}

/** One frame. The same source and level give the same bytes on one Node version. */
export function compressZstd(source: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(source, {
    chunkSize: boundBytes(source.length),
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
}

/** At least ZSTD_COMPRESSBOUND, so that one output buffer is enough. */
function boundBytes(size: number): number {
  return size + (size >> 7) + 1024;
}
