// Owns hashing the bytes of a file as they are stored, a part at a time.
import { createHash } from 'node:crypto';
import { openStore } from '../bytes/open.ts';
import type { ByteRange } from '../bytes/types.ts';
import { ColweaveError } from '../core/errors.ts';

/** sha256 of some ranges, one after the other; empty where they cannot be read: then they are not what was written. */
export async function hashStored(uri: string, ranges: readonly ByteRange[], signal: AbortSignal): Promise<string> {
  try {
    return await hashOf(uri, ranges, signal);
  } catch (error) {
    if (!(error instanceof ColweaveError)) throw error;
    return '';
  }
}

/** Stored bytes read at a time. */
const READ_BYTES = 4 * 2 ** 20;
let hashRoom: Uint8Array | undefined;

async function hashOf(uri: string, ranges: readonly ByteRange[], signal: AbortSignal): Promise<string> {
  const store = await openStore(uri);
  try {
    const hash = createHash('sha256');
    const room = hashRoom ?? new Uint8Array(READ_BYTES);
    hashRoom = undefined;
    for (const { offset, length } of ranges) {
      for (let done = 0; done < length; done += READ_BYTES) {
        const part = [{ offset: offset + done, length: Math.min(READ_BYTES, length - done) }];
        const [bytes] = await (store.readInto?.(part, room, signal) ?? store.read(part, signal));
        hash.update(bytes!);
      }
    }
    hashRoom = room;
    return hash.digest('hex');
  } finally {
    await store.close();
  }
}
