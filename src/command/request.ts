// Owns the fingerprint of what was asked: equal fingerprints give equal outputs, so that finished work is not done again.

import { createHash } from 'node:crypto';
import { canonicalJson } from '../core/receipt.ts';
import { fileName } from '../core/text.ts';
import type { Dataset } from '../source/dataset.ts';
import type { JoinOptions } from './types.ts';

/** Recorded in the receipt as `spec.request`; the version of the program stands beside it. */
export interface Request {
  /** sha256 of the identities of all input files, by source and in order. */
  readonly inputs: string;
  /** sha256 of the options. */
  readonly options: string;
}

/**
 * Options that say where files are, or how fast to go, and so change no byte of the output. Any other option counts by
 * itself; one that names a file must be replaced by what that file says.
 */
const NEUTRAL: readonly (keyof JoinOptions)[] = [
  'primary',
  'inputs',
  'friends',
  'base',
  'redirector',
  'composeFile',
  'fileset',
  'output',
  'published',
  'depfile',
  'dryRun',
  'receipt',
  'force',
  'redo',
  'jobs',
  'memoryBytes',
  'keyIndex',
  'infer',
  'cache',
  'offline',
];

/** `sample`: the one agreed on. `perFile`: the output is a directory. `groups`: files of each primary dataset. */
export function requestOf(
  options: JoinOptions,
  datasets: readonly Dataset[],
  settled: {
    readonly sample: string | undefined;
    readonly perFile: boolean;
    readonly groups: readonly { readonly label: string; readonly files: number }[];
  },
): Request {
  const own = Object.entries(options).filter(([name]) => !(NEUTRAL as readonly string[]).includes(name));
  const friends = options.friends.map(({ files: _, base: _base, tree: _tree, ...rest }) => rest);
  return { inputs: digest(identities(datasets)), options: digest({ ...Object.fromEntries(own), ...settled, friends }) };
}

/** By source and in order: what tells its files from others. */
export function identities(datasets: readonly Dataset[]) {
  return datasets.map(({ descriptor }) =>
    descriptor.files.map(({ descriptor: { uri, identity } }) => ({ name: fileName(uri), identity })),
  );
}

const digest = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');
