// Owns what the words of one source mean: paths, quoted globs, directories, @lists, FILE:TREE.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { canonicalUrl, isRemote, isStoreName, withRedirectors } from '../bytes/remote.ts';
import type { CacheAccess } from '../cache/place.ts';
import { ColweaveError } from '../core/errors.ts';
import { naturalCompare, nearestNames } from '../core/text.ts';
import { readList, readStdinList } from './lists.ts';
import { isPartitionFolder, type PartitionKey, partitionOf } from './partition-name.ts';

/** One input file, and the tree that the word itself named. */
export interface Input {
  readonly uri: string;
  readonly tree?: string;
  /** Other servers' names of the same file, tried in this order where `uri` cannot be opened. */
  readonly replicas?: readonly string[];
  /** What the names of folders below the one given say of all of its rows. */
  readonly partition?: readonly PartitionKey[];
  /** Its columns are read through it. */
  readonly cache?: CacheAccess;
}

/** Files that a directory given as a source contributes. */
const DATA_FILE = /\.(root|parquet|pq|arrow|arrows|feather)$/i;
const PATTERN = /[*?[]/;

export interface InputOptions {
  /** Stands in front of /store/... names; several, joined by commas, are tried in turn. */
  readonly redirector?: string;
  /** The folder that relative names are relative to, lists and what they name too; absent = the current directory. */
  readonly base?: string;
  /** Told of each list that is read: an output depends on it. */
  readonly onList?: (path: string) => void;
}

/**
 * The files of one source, in the order of the words; matches of one glob or directory in natural order.
 * Errors: source/not-found (with the nearest name there is), source/bad-list, source/duplicate-file.
 */
export function expandInputs(words: readonly string[], options: InputOptions = {}): readonly Input[] {
  const inputs = words.flatMap((word) => expandWord(word, [], options));
  refuseRepeated(inputs);
  return inputs;
}

/** Errors: source/duplicate-file. */
export function refuseRepeated(inputs: readonly Input[]): void {
  const seen = new Set<string>();
  for (const { uri, tree } of inputs) {
    const id = `${identityOf(uri)}\0${tree ?? ''}`;
    if (seen.has(id)) {
      throw new ColweaveError('source/duplicate-file', `the file is given twice in one source`, { where: [uri] });
    }
    seen.add(id);
  }
}

/** Two names of one file on disk count as one. */
function identityOf(uri: string): string {
  if (isRemote(uri)) return canonicalUrl(uri);
  const stat = statSync(uri, { bigint: true });
  return `${stat.dev}:${stat.ino}`;
}

/** `open`: the lists that are being read. */
function expandWord(word: string, open: readonly string[], options: InputOptions): Input[] {
  if (word === '-') return readStdinList().flatMap((line) => expandWord(line, open, options));
  if (word.startsWith('@')) {
    const path = placed(word.slice(1), options);
    options.onList?.(path);
    const { real, words } = readList(path, open);
    return words.flatMap((line) => expandWord(line, [...open, real], options));
  }
  const [asked, ...others] = withRedirectors(word, options.redirector);
  const { path, tree } = splitTree(placed(asked, options));
  const named = tree === undefined ? {} : { tree };
  const replicas = others.map((other) => splitTree(other).path);
  if (isRemote(path)) return [{ uri: path, ...named, ...(replicas.length === 0 ? {} : { replicas }) }];
  const isPattern = PATTERN.test(path) && !existsSync(path);
  const paths = isPattern ? expandGlob(path) : [path];
  const given = isPattern ? fixedPart(path) : path;
  return paths.flatMap(expandPath).map((uri): Input => {
    const partition = partitionOf(relative(given, dirname(uri)));
    return { uri, ...named, ...(partition.length === 0 ? {} : { partition }) };
  });
}

/** The folders of a pattern before the first that is one. */
function fixedPart(pattern: string): string {
  const steps = pattern.split(sep);
  const first = steps.findIndex((step) => PATTERN.test(step));
  return steps.slice(0, first).join(sep) || (pattern.startsWith(sep) ? sep : '.');
}

function placed(name: string, { base }: InputOptions): string {
  return base === undefined || isAbsolute(name) || isRemote(name) ? name : join(base, name);
}

/** `FILE:TREE` as uproot spells it; a name that exists as it stands is a file. */
function splitTree(word: string): { readonly path: string; readonly tree?: string } {
  if (existsSync(word)) return { path: word };
  const colon = word.lastIndexOf(':');
  if (colon <= 0) return { path: word };
  const path = word.slice(0, colon);
  const tree = word.slice(colon + 1);
  return tree !== '' && (/\.root$/i.test(path) || existsSync(path)) ? { path, tree } : { path: word };
}

function expandPath(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    const folder = dirname(path);
    const names = existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
    throw new ColweaveError('source/not-found', 'no such file', {
      where: [path],
      near: nearestNames(basename(path), names),
      ...(isStoreName(path) ? { hint: 'a /store name needs a server in front: --redirector root://HOST' } : {}),
    });
  }
  if (!stat.isDirectory()) return [path];
  const files = filesIn(path);
  if (files.length === 0) {
    throw new ColweaveError('source/not-found', 'the directory holds no data file', { where: [path] });
  }
  return files;
}

/** Data files of a directory in natural order, then those of its partitions (`key=value`), as Hive and Spark nest them. */
function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && !name.startsWith('_'))
    .sort((left, right) => naturalCompare(left.name, right.name));
  const at = ({ name }: { readonly name: string }) => join(folder, name);
  const partitions = entries.filter((entry) => isPartitionFolder(entry.name) && isFolder(at(entry)));
  const files = entries.filter((entry) => DATA_FILE.test(entry.name) && !partitions.includes(entry)).map(at);
  return [...files, ...partitions.flatMap((entry) => filesIn(at(entry)))];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function expandGlob(pattern: string): string[] {
  const absolute = pattern.startsWith(sep);
  const steps = pattern.split(sep).filter((step) => step !== '');
  let paths = [absolute ? sep : ''];
  for (const step of steps) paths = paths.flatMap((path) => matchStep(path, step));
  if (paths.length === 0)
    throw new ColweaveError('source/not-found', 'no file matches the pattern', { where: [pattern] });
  return [...new Set(paths)].sort(naturalCompare);
}

function matchStep(folder: string, step: string): string[] {
  const at = (name: string) => (folder === '' ? name : join(folder, name));
  if (step === '**') return [folder, ...foldersBelow(folder)];
  if (!/[*?[]/.test(step)) return existsSync(at(step)) ? [at(step)] : [];
  const where = folder === '' ? '.' : folder;
  if (!existsSync(where) || !statSync(where).isDirectory()) return [];
  const matcher = globMatcher(step);
  return readdirSync(where)
    .filter((name) => (step.startsWith('.') || !name.startsWith('.')) && matcher(name))
    .map(at);
}

function foldersBelow(folder: string): string[] {
  const where = folder === '' ? '.' : folder;
  if (!existsSync(where) || !statSync(where).isDirectory()) return [];
  return readdirSync(where, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : join(folder, entry.name);
      return [path, ...foldersBelow(path)];
    });
}

/** A shell pattern over one name: `*`, `?`, `[a-z]`, `[!a]`. Column globs use it too. */
export function globMatcher(pattern: string): (name: string) => boolean {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    const close = char === '[' ? pattern.indexOf(']', i + 2) : -1;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (close > 0) {
      source += `[${pattern
        .slice(i + 1, close)
        .replace(/^!/, '^')
        .replace(/\\/g, '\\\\')}]`;
      i = close;
    } else source += char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  const regex = new RegExp(`^${source}$`, 's');
  return (name) => regex.test(name);
}
