// Owns reading all of a remote object: what came is compared with the sum that the server tells, and read again where they differ.
import { ColweaveError } from '../core/errors.ts';
import { adler32Hex } from './adler32.ts';
import type { ByteStore, Digest } from './types.ts';

/** The way here spoils few copies; a server whose sum is not that of its file spoils all. */
const TRIES_MAX = 3;

/** Not through what is kept of the object. Errors: those of reading; remote/protocol where no copy has the server's sum. */
export async function readWhole(store: ByteStore, signal?: AbortSignal): Promise<Uint8Array> {
  const { uri, size } = store;
  for (let tries = 1; ; tries++) {
    const [[bytes], digest] = await Promise.all([
      store.read([{ offset: 0, length: size }], signal),
      sumOf(store, signal),
    ]);
    const own = digest === undefined ? undefined : adler32Hex(bytes!);
    if (own === digest?.hex) return bytes!;
    if (tries < TRIES_MAX) continue;
    throw new ColweaveError('remote/protocol', 'what comes is not what the server says that it has', {
      where: [uri],
      details: [`adler32 of what came: ${own}, of the server: ${digest?.hex}`, `read ${tries} times`],
    });
  }
}

/** A server that has no sum to tell, or cannot make one now, still has the file. */
async function sumOf({ checksum }: ByteStore, signal: AbortSignal | undefined): Promise<Digest | undefined> {
  return checksum?.(signal).catch((cause: unknown) => {
    if (signal?.aborted || !(cause instanceof ColweaveError)) throw cause;
    return undefined;
  });
}
