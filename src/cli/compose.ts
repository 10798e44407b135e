// Owns compose files: a join in YAML, with the long names of options as keys. What is not known is refused, with its line.
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { type Command, InvalidArgumentError, type Option } from 'commander';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { isRemoteTarget } from '../bytes/target.ts';
import type { SourceWords } from '../command/types.ts';
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { isLabel } from './split-with.ts';

export interface ComposeFile {
  readonly primary: readonly string[];
  readonly friends: readonly SourceWords[];
  /** The file's folder, that its relative names are relative to; absent where that is the current directory. */
  readonly base?: string;
}

/** Options that belong to the command line: what to read, and how to talk. */
const NEVER = ['with', 'compose', 'help', 'json', 'quiet', 'debug'];
/** Options that may be repeated and are one value all the same. */
const JOINED: readonly string[] = ['where'];
/** Values that are names of files. */
const PATHS = ['output', 'depfile', 'fileset', 'infer', 'key-index', 'cache'];
const SOURCE_KEYS = ['files', 'tree', 'columns'];
const WORD_KEYS = ['primary', 'primary-datasets', 'sources'];

interface Reading {
  readonly path: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly command: Command;
}

/** Puts options into `command` that its line does not give. Errors: source/not-found, usage/bad-compose. */
export function readCompose(path: string, command: Command): ComposeFile {
  const lines = new LineCounter();
  const document = parseDocument(readText(path), { lineCounter: lines, prettyErrors: false });
  const reading: Reading = { path, document, lines, command };
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) throw bad(reading, fault.pos[0], yamlFault(fault.message), QUOTE);
  const folder = dirname(path);
  const primary: string[] = [];
  const friends: SourceWords[] = [];
  const options = command.options.filter(({ long }) => long != null && !NEVER.includes(long.slice(2)));
  for (const { key, value, at } of pairsOf(reading, document.contents, 'the compose file')) {
    if (key === 'primary') primary.push(...words(reading, value, at, key));
    else if (key === 'primary-datasets') primary.push(...primaryDatasets(reading, value));
    else if (key === 'sources') friends.push(...sources(reading, value, at));
    else {
      const option = options.find(({ long }) => long === `--${key}`);
      if (option === undefined) throw unknownKey(reading, key, at, options);
      setOption(reading, option, { value, at, folder });
    }
  }
  const base = folder === '.' ? {} : { base: folder };
  return { primary, friends: friends.map((friend) => ({ ...friend, ...base })), ...base };
}

const QUOTE = 'words that begin with ! or * stand in quotes';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ColweaveError('source/not-found', 'the compose file cannot be read', { where: [path], cause });
  }
}

function yamlFault(message: string): string {
  return `it is no YAML: ${message.split('\n')[0]!.replace(/\.$/, '')}`;
}

function bad({ path, lines }: Reading, at: number, message: string, hint?: string): ColweaveError {
  const where = [path, `line ${lines.linePos(at).line}`];
  return new ColweaveError('usage/bad-compose', message, { where, ...(hint === undefined ? {} : { hint }) });
}

function unknownKey(reading: Reading, key: string, at: number, options: readonly Option[]): ColweaveError {
  const { path, lines } = reading;
  if (NEVER.includes(key)) {
    const hint = key === 'with' ? 'sources: {LABEL: FILES}' : 'give it on the command line';
    return bad(reading, at, `"${key}" does not belong into a compose file`, hint);
  }
  const names = [...WORD_KEYS, ...options.map(({ long }) => long!.slice(2))];
  return new ColweaveError('usage/bad-compose', `unknown key "${key}"`, {
    where: [path, `line ${lines.linePos(at).line}`],
    near: nearestNames(key, names),
    hint: 'keys are primary, primary-datasets, sources, and the long names of options of colweave join',
  });
}

interface Pair {
  readonly key: string;
  readonly value: Node | null;
  /** Offset of the key. */
  readonly at: number;
}

function pairsOf(reading: Reading, node: unknown, what: string): Pair[] {
  const map = resolved(reading, node);
  if (!isMap(map)) throw bad(reading, offsetOf(map), `${what} is no mapping of names to values`);
  return (map as YAMLMap<Node, Node | null>).items.map(({ key, value }) => {
    if (!isScalar(key)) throw bad(reading, offsetOf(key), 'a key is no plain word');
    return { key: textOf(key), value: resolved(reading, value), at: offsetOf(key) };
  });
}

/** `*name` stands for what `&name` named. */
function resolved(reading: Reading, node: unknown): Node | null {
  if (!isAlias(node)) return node as Node | null;
  const found = node.resolve(reading.document);
  if (found === undefined) throw bad(reading, offsetOf(node), yamlFault(`there is no &${node.source}`), QUOTE);
  return found;
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** As it is written: `2016` and `1e3` are words here, not numbers. */
function textOf(scalar: { readonly value: unknown; readonly source?: string }): string {
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? String(scalar.value));
}

/** One word or a list of them. */
function words(reading: Reading, node: Node | null, at: number, key: string): string[] {
  const items = isSeq(node) ? node.items.map((item) => resolved(reading, item)) : [node];
  return items.map((item) => {
    const text = isScalar(item) && item.value !== null ? textOf(item) : '';
    if (text === '') throw bad(reading, item === null ? at : offsetOf(item), `"${key}" is no word or list of words`);
    return text;
  });
}

function primaryDatasets(reading: Reading, node: Node | null): string[] {
  return pairsOf(reading, node, '"primary-datasets"').flatMap(({ key, value, at }) => [
    `${key}:`,
    ...words(reading, value, at, key),
  ]);
}

/** A mapping gives labels; a list may leave them out. */
function sources(reading: Reading, node: Node | null, at: number): SourceWords[] {
  if (isSeq(node)) {
    return node.items.map((item) => {
      const entry = resolved(reading, item);
      return oneSource(reading, entry, entry === null ? at : offsetOf(entry), undefined);
    });
  }
  return pairsOf(reading, node, '"sources"').map(({ key, value, at: place }) => oneSource(reading, value, place, key));
}

function oneSource(reading: Reading, node: Node | null, at: number, label: string | undefined): SourceWords {
  const name = label ?? 'a source';
  const fields = isMap(node) ? pairsOf(reading, node, name) : [{ key: 'files', value: node, at }];
  let own = label;
  const source: { files: string[]; tree?: string; columns?: string[] } = { files: [] };
  for (const { key, value, at: place } of fields) {
    const given = words(reading, value, place, key);
    if (key === 'files') source.files = given;
    else if (key === 'tree') source.tree = only(reading, given, place, key);
    else if (key === 'columns') source.columns = given;
    else if (key === 'label' && label === undefined) own = only(reading, given, place, key);
    else throw unknownSourceKey(reading, key, place, label === undefined);
  }
  if (source.files.length === 0) throw bad(reading, at, `${name} names no files`, 'files: PATH, or a list of them');
  if (own !== undefined && !isLabel(own)) {
    throw bad(reading, at, `the label "${own}" cannot be part of a column name`, 'use letters, digits and _');
  }
  return own === undefined ? source : { label: own, ...source };
}

function unknownSourceKey(reading: Reading, key: string, at: number, inList: boolean): ColweaveError {
  if (reading.command.options.some(({ long }) => long === `--${key}`)) {
    return bad(reading, at, `"${key}" is the same for all sources`, `put ${key}: at the top of the file`);
  }
  const keys = inList ? [...SOURCE_KEYS, 'label'] : SOURCE_KEYS;
  return new ColweaveError('usage/bad-compose', `unknown key "${key}" of a source`, {
    where: [reading.path, `line ${reading.lines.linePos(at).line}`],
    near: nearestNames(key, keys),
    hint: `the keys of a source are ${keys.join(', ')}`,
  });
}

function only(reading: Reading, given: readonly string[], at: number, key: string): string {
  if (given.length !== 1) throw bad(reading, at, `"${key}" takes one word`);
  return given[0]!;
}

function setOption(
  reading: Reading,
  option: Option,
  { value, at, folder }: { readonly value: Node | null; readonly at: number; readonly folder: string },
): void {
  const { command } = reading;
  const key = option.long!.slice(2);
  const name = option.attributeName();
  const parsed = option.required ? parsedValue(reading, option, value, { at, folder }) : flag(reading, value, at, key);
  if (parsed === undefined || command.getOptionValueSource(name) === 'cli') return;
  command.setOptionValueWithSource(name, parsed, 'config');
}

function flag(reading: Reading, value: Node | null, at: number, key: string): true | undefined {
  const said = isScalar(value) ? value.value : undefined;
  if (typeof said !== 'boolean') throw bad(reading, at, `"${key}" is true or false`);
  return said ? true : undefined;
}

/** By the option's own rules; a list is right for an option that may be repeated. */
function parsedValue(
  reading: Reading,
  option: Option,
  value: Node | null,
  { at, folder }: { readonly at: number; readonly folder: string },
): unknown {
  const key = option.long!.slice(2);
  const given = words(reading, value, at, key);
  const placed = PATHS.includes(key)
    ? given.map((word) => (key === 'cache' && word === 'off' ? word : placedIn(folder, word)))
    : given;
  let parsed: unknown;
  for (const word of placed) {
    try {
      parsed = option.parseArg === undefined ? word : option.parseArg(word, parsed);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw badValue(reading, option, { key, word, at, rule: error.message });
    }
  }
  if (given.length > 1 && !Array.isArray(parsed) && !JOINED.includes(key))
    throw bad(reading, at, `"${key}" takes one value`);
  return parsed;
}

function badValue(
  { path, lines }: Reading,
  option: Option,
  { key, word, at, rule }: { readonly key: string; readonly word: string; readonly at: number; readonly rule: string },
): ColweaveError {
  return new ColweaveError('usage/bad-compose', `"${key}" cannot be "${word}"`, {
    where: [path, `line ${lines.linePos(at).line}`],
    near: nearestNames(word, option.argChoices ?? [], 1),
    hint: `${rule.charAt(0).toLowerCase()}${rule.slice(1).replace(/\.$/, '')}`,
  });
}

function placedIn(folder: string, word: string): string {
  const stays = folder === '.' || word === '-' || isAbsolute(word) || isRemoteTarget(word);
  return stays ? word : join(folder, word);
}
