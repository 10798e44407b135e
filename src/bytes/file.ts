// Owns reading a local file as a ByteStore: neighbouring ranges become one read.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import { checkRange, coalesce, truncated } from './ranges.ts';
import type { ByteRange, ByteStore } from './types.ts';

/**
 * Ranges nearer than this are read together. A call costs under a microsecond, so wider gaps gain nothing, and with
 * 64 KiB four columns of a NanoAOD tree cost twice their own bytes.
 */
const GAP_BYTES_MAX = 8 * 1024;
/** No single read grows beyond this by joining ranges, so that freed ranges do not pin much memory. */
const READ_BYTES_MAX = 8 * 1024 * 1024;

/** Errors: source/not-found, source/not-readable; from `read`, source/truncated. */
export function openFileStore(path: string): ByteStore {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw new ColweaveError('source/not-readable', 'it is a directory', { where: [path] });
    return fileStore(path, descriptor, status.size);
  } catch (cause) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw openError(path, cause);
  }
}

function openError(path: string, cause: unknown): ColweaveError {
  if (cause instanceof ColweaveError) return cause;
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new ColweaveError('source/not-found', 'no such file', { where: [path], cause });
  }
  const why = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : (cause as Error).message;
  return new ColweaveError('source/not-readable', `cannot open the file: ${why}`, { where: [path], cause });
}

function fileStore(path: string, descriptor: number, size: number): ByteStore {
  let open = true;
  const readRanges = (ranges: readonly ByteRange[], room: Uint8Array | undefined, signal?: AbortSignal) => {
    const out = new Array<Uint8Array>(ranges.length);
    let used = 0;
    for (const group of coalesce(ranges, { gapBytesMax: GAP_BYTES_MAX, groupBytesMax: READ_BYTES_MAX })) {
      signal?.throwIfAborted();
      checkRange(path, group, size);
      const fits = room !== undefined && used + group.length <= room.length;
      const bytes = fits ? room.subarray(used, used + group.length) : Buffer.allocUnsafeSlow(group.length);
      if (fits) used += group.length;
      readExactly(path, descriptor, group.offset, bytes);
      for (const index of group.members) {
        const { offset, length } = ranges[index]!;
        out[index] = bytes.subarray(offset - group.offset, offset - group.offset + length);
      }
    }
    return out;
  };
  return {
    uri: path,
    size,
    read: async (ranges, signal) => readRanges(ranges, undefined, signal),
    readInto: async (ranges, room, signal) => readRanges(ranges, room, signal),
    async close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

/** Fills `bytes`. */
function readExactly(path: string, descriptor: number, offset: number, bytes: Uint8Array): void {
  const { length } = bytes;
  let done = 0;
  while (done < length) {
    let count: number;
    try {
      count = readSync(descriptor, bytes, done, length - done, offset + done);
    } catch (cause) {
      throw new ColweaveError('source/not-readable', `cannot read the file: ${(cause as Error).message}`, {
        where: [path, `byte ${offset + done}`],
        cause,
      });
    }
    if (count === 0) throw truncated(path, offset + length, fstatSync(descriptor).size);
    done += count;
  }
}
