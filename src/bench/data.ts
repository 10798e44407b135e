// Owns the data that a bench works on: files given, or made and remembered in a directory.
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { expandInputs } from '../source/inputs.ts';
import type { BenchCase, DataWanted } from './cases.ts';
import { lastLine, runCommand } from './measure.ts';
import { type FoundPython, PYTHON_ENV, scriptOf } from './python.ts';
import type { InputSummary } from './types.ts';

/** Cases that work on the same files. */
export interface BenchData {
  readonly name: string;
  readonly cases: readonly BenchCase[];
  readonly primary: readonly string[];
  readonly friend: readonly string[];
}

export interface Making {
  readonly folder: string;
  readonly events: number;
  readonly seed: number;
}

/** What a directory holds, so that it is made once. */
interface Made {
  readonly events: number;
  readonly seed: number;
  readonly parts: readonly string[];
}

const MADE = 'bench-data.json';

const filesOf = (words: readonly string[]): readonly string[] => expandInputs(words).map(({ uri }) => uri);

/** Errors: source/not-found, source/duplicate-file. */
export function givenData(
  primary: readonly string[],
  friend: readonly string[],
  cases: readonly BenchCase[],
): readonly BenchData[] {
  return [{ name: 'given', cases, primary: filesOf(primary), friend: filesOf(friend) }];
}

export interface MakeTools {
  readonly top: string;
  readonly python: FoundPython;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Makes what is not there yet. Errors: source/not-found (it cannot be made), output/exists (other data are there). */
export async function madeData(
  making: Making,
  cases: readonly BenchCase[],
  tools: MakeTools,
): Promise<readonly BenchData[]> {
  const wanted = new Set(cases.flatMap(({ data }) => [data.primary, data.friend]));
  const made = whatIsMade(making);
  const absent = [...wanted].filter((part) => !made.parts.includes(part));
  if (absent.length > 0) {
    await makeParts(making, absent, tools);
    remember(making, [...made.parts, ...absent]);
  }
  const nameOf = ({ primary, friend }: DataWanted) => `${primary} + ${friend}`;
  return [...Map.groupBy(cases, ({ data }) => nameOf(data))].map(([name, group]) => ({
    name,
    cases: group,
    primary: filesOf([join(making.folder, group[0]!.data.primary)]),
    friend: filesOf([join(making.folder, group[0]!.data.friend)]),
  }));
}

function whatIsMade({ folder, events, seed }: Making): Made {
  const path = join(folder, MADE);
  if (!existsSync(path)) return { events, seed, parts: [] };
  const made = JSON.parse(readFileSync(path, 'utf8')) as Made;
  if (made.events === events && made.seed === seed) return made;
  throw new ColweaveError('output/exists', `the directory holds data of ${made.events} events, seed ${made.seed}`, {
    where: [folder],
    hint: 'name another directory, or give the same --events and --seed',
  });
}

function remember({ folder, events, seed }: Making, parts: readonly string[]): void {
  const path = join(folder, MADE);
  writeFileSync(`${path}.part`, `${JSON.stringify({ events, seed, parts } satisfies Made)}\n`);
  renameSync(`${path}.part`, path);
}

async function makeParts(making: Making, parts: readonly string[], { top, python, emit, signal }: MakeTools) {
  const cannot = (why: string): never => {
    throw new ColweaveError('source/not-found', `the data cannot be made: ${why}`, {
      where: [making.folder],
      hint: 'give --primary and --friend, or run test/rigs/venv.sh in a checkout',
    });
  };
  const script = scriptOf(top, 'make_data.py');
  if (script === undefined) return cannot('test/bench/make_data.py is part of a checkout, not of the package');
  if ('absent' in python) return cannot(python.absent);
  if (python.packages.root === undefined) return cannot('its Python has no package "root"');
  mkdirSync(making.folder, { recursive: true });
  for (const part of parts) rmSync(join(making.folder, part), { recursive: true, force: true });
  emit({ type: 'progress', stage: 'making data', done: 0, total: making.events });
  const words = [script, making.folder, '--events', `${making.events}`, '--seed', `${making.seed}`];
  const ended = await runCommand(
    { words: [python.path, ...words, '--parts', parts.join(',')], env: PYTHON_ENV },
    signal,
  );
  if (ended.exit !== 0) cannot(lastLine(ended.stderr));
}

/** Reads every byte: a fingerprint, and files that are warm in the page cache for whoever runs first. */
export async function summarise(role: 'primary' | 'friend', files: readonly string[]): Promise<InputSummary> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const file of files) {
    const { size } = statSync(file);
    bytes += size;
    hash.update(`${basename(file)}\0${size}\0`);
    for await (const part of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(part as Buffer);
  }
  return { role, files: files.length, bytes, fingerprint: hash.digest('hex') };
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(part as Buffer);
  return hash.digest('hex');
}
