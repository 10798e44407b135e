// Owns telling ROOT files apart: by their UUID, or by all of their bytes.
import { createHash } from 'node:crypto';
import { openStore } from '../../bytes/open.ts';
import type { ByteStore } from '../../bytes/types.ts';
import { ColweaveError } from '../../core/errors.ts';
import type { FileDescriptor } from '../types.ts';
import { type RootHeader, readUuid } from './file-header.ts';

/** Read at a time to make a hash. */
const HASH_BYTES = 4 * 2 ** 20;

export interface NamedFile {
  readonly id: string;
  /** Where the UUID is; -1 where there is none that says something. */
  readonly uuidOffset: number;
}

export async function identify(store: ByteStore, header: RootHeader): Promise<NamedFile> {
  const named = header.uuidOffset >= 0 && !/^0*$/.test(header.uuid);
  return named ? { id: header.uuid, uuidOffset: header.uuidOffset } : { id: await contentHash(store), uuidOffset: -1 };
}

/** Files without a UUID (older than 2001, or made by ROOT's `?reproducible=`) are told apart by all of their bytes. */
async function contentHash(store: ByteStore): Promise<string> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < store.size; offset += HASH_BYTES) {
    const [bytes] = await store.read([{ offset, length: Math.min(HASH_BYTES, store.size - offset) }]);
    hash.update(bytes!);
  }
  return hash.digest('hex');
}

/** The bytes of a file that was described before. Errors: source/damaged, or remote/changed, where it is another one now. */
export async function openAgain(descriptor: FileDescriptor): Promise<ByteStore> {
  const store = await openStore(descriptor.uri);
  const { uuidOffset } = descriptor.layout as Pick<NamedFile, 'uuidOffset'>;
  const { size, id } = descriptor.identity;
  try {
    const same = store.size === size && (uuidOffset < 0 || (await readUuid(store, uuidOffset)) === id);
    if (same) return store;
    throw new ColweaveError(
      store.isRemote ? 'remote/changed' : 'source/damaged',
      'the file is not the one that was opened before',
      {
        where: [descriptor.uri],
        hint: 'do not replace inputs while they are read',
      },
    );
  } catch (cause) {
    await store.close();
    throw cause;
  }
}

/** Puts the place in front of whatever an error says of the place already. */
export async function placed<T>(where: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof ColweaveError) || cause.where[0] === where[0]) throw cause;
    throw new ColweaveError(cause.code, cause.message, {
      where: [...where, ...cause.where],
      near: cause.near,
      hint: cause.hint,
      details: cause.details,
      cause: cause.cause,
    });
  }
}
