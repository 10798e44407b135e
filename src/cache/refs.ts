// Owns refs: what a name of a file led to when it was seen last. They let columns be found while no server answers.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileIdentity } from '../core/receipt.ts';
import type { Schema } from '../core/schema.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { type CacheAccess, partOf, writeInto } from './place.ts';

/** All that a file's metadata say which its columns do not. */
export interface FileRef {
  readonly format: 'ref/1';
  readonly uri: string;
  /** As asked for; '' = none was named. */
  readonly tree: string;
  /** When the server said so (ISO 8601). */
  readonly seen: string;
  readonly rows: number;
  readonly schema: Schema;
  readonly identity: FileIdentity;
  readonly unreadable: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
  readonly redundant: readonly string[];
  /** The name of the file's format. */
  readonly ownFormat: string;
  /** Other objects of the file. */
  readonly objects?: readonly { readonly name: string; readonly type: string }[];
  /** The text of the receipt that is in it. */
  readonly receipt?: string;
  /** By column: bytes as stored in the file, and decompressed. */
  readonly sizes: Readonly<Record<string, readonly [bytes: number, raw: number]>>;
}

/** A ref that says the same is written again after so long, to keep its time. */
const SEEN_MS = 60 * 60_000;

function refPath(access: Pick<CacheAccess, 'folder'>, uri: string, tree: string): string {
  const name = hash('sha256', JSON.stringify([withoutSecrets(uri), tree]), 'hex');
  return join(partOf(access, 'refs'), `${name}.json`);
}

/** A ref that is not as it was written is none. */
export function readRef(access: Pick<CacheAccess, 'folder'>, uri: string, tree = ''): FileRef | undefined {
  return parseRef(refPath(access, uri, tree));
}

export function parseRef(path: string): FileRef | undefined {
  try {
    const { sha256, ...ref } = JSON.parse(readFileSync(path, 'utf8')) as FileRef & { readonly sha256: string };
    return sha256 === digestOf(ref) && ref.format === 'ref/1' ? ref : undefined;
  } catch {
    return undefined;
  }
}

/** Errors: cache/unusable. */
export function writeRef(access: CacheAccess, about: Omit<FileRef, 'format' | 'seen'>): void {
  const uri = withoutSecrets(about.uri);
  const now = new Date();
  const ref: FileRef = { format: 'ref/1', ...about, uri, seen: now.toISOString() };
  const before = readRef(access, uri, about.tree);
  const age = before === undefined ? Number.POSITIVE_INFINITY : now.getTime() - Date.parse(before.seen);
  if (before !== undefined && age < SEEN_MS && digestOf({ ...ref, seen: before.seen }) === digestOf(before)) return;
  writeInto(access, refPath(access, uri, about.tree), JSON.stringify({ ...ref, sha256: digestOf(ref) }));
}

/** Of the text that JSON gives, in the order of the fields as written. */
const digestOf = (ref: object): string => hash('sha256', JSON.stringify(ref), 'hex');
