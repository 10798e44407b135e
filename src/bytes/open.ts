// Owns the list of byte stores, and which of them a name belongs to: a scheme such as https, or a path.
import { openFileStore } from './file.ts';
import { openHttp } from './http.ts';
import { refuseRemote } from './remote.ts';
import type { ByteStore } from './types.ts';
import { XROOTD_STORE } from './xrootd.ts';

/** A kind of place that bytes are read from: one file an implementation, one line in the registry. */
export interface ByteStoreKind {
  readonly name: string;
  /** Lower case, without `://`. */
  readonly schemes: readonly string[];
  /** Connects and learns the size. Errors: source/not-found, source/not-readable and those of the kind. */
  open(uri: string, signal?: AbortSignal): Promise<ByteStore>;
}

export const BYTE_STORES: readonly ByteStoreKind[] = [
  { name: 'http', schemes: ['http', 'https', 'dav', 'davs'], open: (uri, signal) => openHttp(uri, {}, signal) },
  XROOTD_STORE,
];

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Errors: those of the store's kind; source/remote for a scheme that none reads. */
export async function openStore(uri: string, signal?: AbortSignal): Promise<ByteStore> {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  const kind = scheme === undefined ? undefined : BYTE_STORES.find(({ schemes }) => schemes.includes(scheme));
  if (kind) return kind.open(uri, signal);
  refuseRemote(uri);
  return openFileStore(uri);
}
