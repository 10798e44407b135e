// Owns reading a local file as a ByteStore: neighbouring ranges become one read.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
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
    for (const group of coalesce(ranges)) {
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

interface Group {
  offset: number;
  length: number;
  readonly members: number[];
}

/** Ranges in file order, joined where the gap is small; `members` are their indices in `ranges`. */
function coalesce(ranges: readonly ByteRange[]): Group[] {
  const order = ranges.map((_, index) => index).sort((left, right) => ranges[left]!.offset - ranges[right]!.offset);
  const groups: Group[] = [];
  let last: Group | undefined;
  for (const index of order) {
    const { offset, length } = ranges[index]!;
    const joined = last ? Math.max(last.length, offset + length - last.offset) : 0;
    if (last && offset <= last.offset + last.length + GAP_BYTES_MAX && joined <= READ_BYTES_MAX) {
      last.length = joined;
      last.members.push(index);
    } else {
      last = { offset, length, members: [index] };
      groups.push(last);
    }
  }
  return groups;
}

/** A damaged length must not become memory, nor a damaged position a read of whatever comes next. */
function checkRange(path: string, { offset, length }: ByteRange, size: number): void {
  if (!(Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0)) {
    throw new ColweaveError('source/damaged', 'a position in the file is impossible', { where: [path] });
  }
  if (length > 0 && offset + length > size) throw truncated(path, offset + length, size);
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

function truncated(path: string, expectedEnd: number, size: number): ColweaveError {
  return new ColweaveError('source/truncated', `the file ends at byte ${size}, its data go on to ${expectedEnd}`, {
    where: [path],
  });
}
