// Owns what is fuzzed: each fixture of each format of the source registry, each codec alone, and receipts.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SOURCE_FORMATS } from '../../src/source/registry.ts';
import { codecSubjects } from './codecs.ts';
import { guardedRanges } from './guarded.ts';
import { GENERIC_MUTATIONS, type Mutation, type Range } from './mutate.ts';
import { ARROW_MUTATIONS } from './mutate-arrow.ts';
import { PARQUET_MUTATIONS } from './mutate-parquet.ts';
import { ROOT_MUTATIONS } from './mutate-root.ts';
import { type Reading, readFile } from './observe.ts';
import { receiptSubjects } from './receipts.ts';

export interface Subject {
  /** `reader/file`. */
  readonly name: string;
  readonly reader: string;
  readonly bytes: Buffer;
  readonly mutations: Readonly<{ [kind: string]: Mutation }>;
  /** Reads bytes that may be damaged. `path` is a file that may be written. */
  read(bytes: Buffer, path: string, halves: boolean): Promise<Reading>;
  /** Where a changed byte must be noticed, since a checksum covers it. */
  readonly guarded: readonly Range[];
  /** Larger files get fewer cases. */
  readonly weight: number;
}

const TOP = new URL('../../', import.meta.url).pathname;
const UNIT = join(TOP, 'test', 'unit');
const DATA = join(TOP, '..', 'shared', 'data');
/** Files above this are read too slowly to be read a thousand times. */
const FULL_WEIGHT_BYTES = 200_000;

const AIMED: Readonly<{ [format: string]: Readonly<{ [kind: string]: Mutation }> }> = {
  'root-ttree': ROOT_MUTATIONS,
  parquet: PARQUET_MUTATIONS,
  arrow: ARROW_MUTATIONS,
};

function files(data: boolean): string[] {
  const fixtures = readdirSync(UNIT)
    .filter((name) => name.endsWith('-fixtures'))
    .map((name) => join(UNIT, name));
  const folders = [join(TOP, 'fixtures'), ...fixtures, ...(data && existsSync(DATA) ? [DATA] : [])];
  return folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.(root|parquet|arrows?|feather)$/.test(name))
      .sort()
      .map((name) => join(folder, name)),
  );
}

function fileSubject(path: string): Subject | undefined {
  const bytes = readFileSync(path);
  const format = SOURCE_FORMATS.find((candidate) => candidate.recognises(bytes.subarray(0, 64), path));
  if (format === undefined) return undefined;
  const { name } = format;
  const suffix = /\.[a-z]+$/.exec(path)![0];
  return {
    name: `${name}/${basename(path)}`,
    reader: name,
    bytes,
    mutations: { ...GENERIC_MUTATIONS, ...AIMED[name] },
    read: (changed, scratch, halves) => {
      writeFileSync(scratch + suffix, changed);
      return readFile(scratch + suffix, halves);
    },
    guarded: guardedRanges(name, bytes),
    weight: path.startsWith(DATA) ? 0.05 : bytes.length > FULL_WEIGHT_BYTES ? 0.5 : 1,
  };
}

/** What costs more than it is worth in a short run: real files, and the join that makes a receipt. */
export interface SubjectChoice {
  readonly data: boolean;
  readonly receipts: boolean;
}

/** All of them; a new format or fixture is among them without a word here. */
export async function allSubjects({ data, receipts }: SubjectChoice): Promise<readonly Subject[]> {
  const read = files(data)
    .map(fileSubject)
    .filter((subject) => subject !== undefined);
  return [...read, ...codecSubjects(), ...(receipts ? await receiptSubjects() : [])];
}
