// Owns the list of places that whole files can be put to, and which of them a name belongs to.
import { ColweaveError } from '../core/errors.ts';
import { XROOTD_SCHEMES } from './remote.ts';

/** A kind of server that takes files: one file an implementation, one line in the registry. */
export interface ByteTargetKind {
  /** Lower case, without `://`. */
  readonly schemes: readonly string[];
  /** Loads what is needed to write there. */
  open(): Promise<ByteTarget>;
}

export interface ByteTarget {
  /** Is something under that name? Errors: credentials/..., remote/... */
  exists(uri: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Sends a local file that is whole and checked, and returns when the server has all of it under that name. Until then,
   * and after a failure, what was there before is there, or nothing. Replaces what is there.
   * Errors: credentials/..., remote/..., output/not-writable, output/disk-full.
   */
  upload(path: string, uri: string, signal?: AbortSignal): Promise<void>;
}

const BYTE_TARGETS: readonly ByteTargetKind[] = [
  { schemes: ['s3'], open: async () => (await import('./s3-target.ts')).s3Target },
  {
    schemes: XROOTD_SCHEMES,
    open: async () => (await import('./xrootd-target.ts')).xrootdTarget,
  },
];

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Does this name a place on a server (whether it can be written to or not)? */
export function isRemoteTarget(output: string): boolean {
  return SCHEME.test(output);
}

/** Errors: output/not-writable for a scheme that nothing is written to. */
export async function targetFor(uri: string): Promise<ByteTarget> {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase() ?? '';
  const kind = BYTE_TARGETS.find(({ schemes }) => schemes.includes(scheme));
  if (kind !== undefined) return kind.open();
  const known = BYTE_TARGETS.flatMap(({ schemes }) => schemes.map((each) => `${each}://`));
  throw new ColweaveError('output/not-writable', `nothing can be written to ${scheme}://`, {
    where: [uri],
    hint: `write to a file, or to one of ${known.join(', ')}`,
  });
}
