// Owns filesets: JSON in the forms that coffea reads (of processor.Runner and of dataset_tools.preprocess), plain or gzipped.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { ColweaveError } from '../core/errors.ts';

export interface FilesetFile {
  readonly path: string;
  readonly tree?: string;
  /** Events the file must have, where the fileset says so. */
  readonly entries?: number;
}

export interface FilesetDataset {
  readonly name: string;
  readonly files: readonly FilesetFile[];
  /** As it stands there. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Bytes that a fileset may have when unpacked. */
const TEXT_BYTES_MAX = 1 << 30;

/** In the order of the file. Errors: source/not-found, source/bad-fileset. */
export function readFileset(path: string): readonly FilesetDataset[] {
  const parsed = parseJson(path);
  if (!isObject(parsed)) throw bad(path, 'a fileset is an object with one member a dataset');
  const datasets = Object.entries(parsed).map(([name, value]) => datasetOf(path, name, value));
  if (datasets.length === 0) throw bad(path, 'it has no dataset');
  return datasets;
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function bad(path: string, message: string, dataset?: string): ColweaveError {
  const where = dataset === undefined ? [path] : [path, `dataset ${dataset}`];
  return new ColweaveError('source/bad-fileset', message, { where });
}

function parseJson(path: string): unknown {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new ColweaveError('source/not-found', 'the fileset cannot be read', { where: [path], cause });
  }
  let text: string;
  let parsed: unknown;
  try {
    const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    text = (packed ? gunzipSync(bytes, { maxOutputLength: TEXT_BYTES_MAX }) : bytes).toString('utf8');
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ColweaveError('source/bad-fileset', 'it is no JSON', { where: [path], cause });
  }
  const twice = repeatedName(text);
  if (twice !== undefined) throw bad(path, `"${twice}" is there twice, and readers of JSON keep the last one alone`);
  return parsed;
}

/** The first name that one object of this good JSON has twice. */
function repeatedName(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [word] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (word === '{') open.push(new Set());
    else if (word === '[') open.push(undefined);
    else if (word === '}' || word === ']') open.pop();
    else if (word === ':') {
      const name = JSON.parse(last) as string;
      const names = open.at(-1);
      if (names?.has(name)) return name;
      names?.add(name);
    } else last = word;
  }
  return undefined;
}

/** `{files, metadata, treename}`, or its files alone. */
function datasetOf(path: string, name: string, value: unknown): FilesetDataset {
  const whole = isObject(value) && 'files' in value ? value : { files: value };
  const { files, metadata, treename } = whole as Json;
  if (metadata != null && !isObject(metadata)) throw bad(path, '"metadata" is no object', name);
  if (treename != null && typeof treename !== 'string') throw bad(path, '"treename" is no text', name);
  const tree = typeof treename === 'string' ? treename : undefined;
  const read = filesOf(path, name, files, tree);
  if (read.length === 0) throw bad(path, 'the dataset has no file', name);
  return { name, files: read, metadata: isObject(metadata) ? metadata : {} };
}

function filesOf(path: string, name: string, files: unknown, tree: string | undefined): FilesetFile[] {
  if (Array.isArray(files)) {
    return files.map((file) => {
      if (typeof file !== 'string' || file === '') throw bad(path, 'a list of files holds something else', name);
      return tree === undefined ? { path: file } : { path: file, tree };
    });
  }
  if (!isObject(files)) throw bad(path, '"files" is neither a list of paths nor an object of path and tree', name);
  return Object.entries(files).map(([file, value]) => fileOf(path, name, file, value, tree));
}

/** `path: tree`, `path: null`, or what preprocess makes of it: `path: {object_path, steps, num_entries, ...}`. */
function fileOf(path: string, name: string, file: string, value: unknown, tree: string | undefined): FilesetFile {
  const object = isObject(value) ? value.object_path : value;
  if (object != null && typeof object !== 'string') throw bad(path, `the tree of ${file} is no text`, name);
  const own = typeof object === 'string' && object !== '' ? object : tree;
  const entries = isObject(value) ? entriesOf(path, name, file, value) : undefined;
  return {
    path: file,
    ...(own === undefined ? {} : { tree: own }),
    ...(entries === undefined ? {} : { entries }),
  };
}

/** Steps that leave out events ask for less than the file: what is joined is whole files. */
function entriesOf(path: string, name: string, file: string, value: Json): number | undefined {
  const { steps, num_entries: total } = value;
  if (total != null && !isCount(total)) throw bad(path, `"num_entries" of ${file} is no number of events`, name);
  if (steps == null) return isCount(total) ? total : undefined;
  if (!Array.isArray(steps) || !steps.every((step) => Array.isArray(step) && step.length === 2 && step.every(isCount)))
    throw bad(path, `"steps" of ${file} is no list of [start, stop]`, name);
  let end = 0;
  for (const [start, stop] of (steps as [number, number][]).toSorted((left, right) => left[0] - right[0])) {
    if (start !== end || stop < start) throw partial(path, name, file);
    end = stop;
  }
  if (isCount(total) && total !== end) throw partial(path, name, file);
  return end;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function partial(path: string, name: string, file: string): ColweaveError {
  return new ColweaveError('source/bad-fileset', `the steps of ${file} leave out events, and whole files are joined`, {
    where: [path, `dataset ${name}`],
    hint: 'give the fileset without steps, or with those of all events',
  });
}
