// Owns the list of byte stores, which of them a name belongs to (a scheme such as https, or a path), and what stays open.
import { withBlockCache } from './block-cache.ts';
import { openFileStore } from './file.ts';
import { refuseRemote, XROOTD_SCHEMES } from './remote.ts';
import type { ByteStore } from './types.ts';

/** A kind of place that bytes are read from: one file an implementation, one line in the registry. */
export interface ByteStoreKind {
  readonly name: string;
  /** Lower case, without `://`. */
  readonly schemes: readonly string[];
  /** Connects and learns the size. Errors: source/not-found, source/not-readable and those of the kind. */
  open(uri: string, signal?: AbortSignal): Promise<ByteStore>;
}

/** Loaded when they are used: what Node has for the network takes tens of milliseconds, in every thread. */
export const BYTE_STORES: readonly ByteStoreKind[] = [
  {
    name: 'http',
    schemes: ['http', 'https', 'dav', 'davs'],
    open: async (uri, signal) => (await import('./http.ts')).openHttp(uri, {}, signal),
  },
  { name: 's3', schemes: ['s3'], open: async (uri, signal) => (await import('./s3.ts')).openS3(uri, signal) },
  {
    name: 'xrootd',
    schemes: XROOTD_SCHEMES,
    open: async (uri, signal) => (await import('./xrootd.ts')).openXrootdStore(uri, {}, signal),
  },
];

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Errors: those of the store's kind; source/remote for a scheme that none reads. */
export async function openStore(uri: string, signal?: AbortSignal): Promise<ByteStore> {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  const kind = scheme === undefined ? undefined : BYTE_STORES.find(({ schemes }) => schemes.includes(scheme));
  if (kind) return takeIdle(uri) ?? keptOpen(withBlockCache(await kind.open(uri, signal)));
  refuseRemote(uri);
  return openFileStore(uri);
}

/** One thing is opened several times in a row (its first bytes looked at, its trees listed): the last store is used again. */
const IDLE_MS = 5000;
const idle = new Map<string, { readonly store: ByteStore; readonly timer: NodeJS.Timeout }>();

function takeIdle(uri: string): ByteStore | undefined {
  const found = idle.get(uri);
  if (found === undefined) return undefined;
  clearTimeout(found.timer);
  idle.delete(uri);
  return keptOpen(found.store);
}

/** Closes what is kept open of a thing that is about to be replaced: some servers let nobody write while somebody reads. */
export async function closeIdle(uri: string): Promise<void> {
  const found = idle.get(uri);
  if (found === undefined) return;
  clearTimeout(found.timer);
  idle.delete(uri);
  await found.store.close();
}

/** Closing it keeps it for a while, unless something went wrong with it. */
function keptOpen(store: ByteStore): ByteStore {
  let sound = true;
  let open = true;
  const watched = <T>(reading: Promise<T>): Promise<T> =>
    reading.catch((cause) => {
      sound = false;
      throw cause;
    });
  const { readInto } = store;
  return {
    ...store,
    read: (ranges, signal) => watched(store.read(ranges, signal)),
    ...(readInto === undefined ? {} : { readInto: (ranges, room, signal) => watched(readInto(ranges, room, signal)) }),
    async close() {
      if (!open) return;
      open = false;
      if (!sound || idle.has(store.uri)) return store.close();
      const timer = setTimeout(() => {
        idle.delete(store.uri);
        store.close().catch(() => {});
      }, IDLE_MS);
      timer.unref();
      idle.set(store.uri, { store, timer });
    },
  };
}
