// Owns --carry: trees of the primary's files (Runs, LuminosityBlocks, MetaData) that go along, row by row, into files beside
// the output. They are written before the output and published just before it.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Column, concatColumns } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { canonicalJson } from '../core/receipt.ts';
import { type Field, utf8 } from '../core/schema.ts';
import { fileName } from '../core/text.ts';
import type { OutPart } from '../join/plan.ts';
import type { EncodedChunk } from '../sink/parquet/column-chunk.ts';
import { parquet } from '../sink/parquet.ts';
import type { Sink, SinkOptions } from '../sink/types.ts';
import type { SchemaPolicy } from '../source/dataset.ts';
import { closeDataset, type Dataset, openDataset, readRows } from '../source/dataset.ts';
import { isDirectory } from './output.ts';
import { type Sums, sumRows, sumsText } from './sums.ts';

/** Which primary file a row is from. */
export const SOURCE_FILE = 'source_file';
export const CARRIED_KEY = 'colweave.carried';
export const SUMS_KEY = 'colweave.sums';
/** Rows of one row group: ParameterSets of a large sample has hundreds of thousands. */
const CARRY_ROWS = 1 << 16;

export interface CarryOptions {
  readonly trees: readonly string[];
  readonly output: string;
  readonly schema: SchemaPolicy;
  readonly dropUnreadable: boolean;
  readonly sink: SinkOptions;
  readonly force: boolean;
}

export interface CarriedTree {
  readonly tree: string;
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: number;
  /** sha256 of each row group, for the receipt. */
  readonly rowGroups: readonly { readonly rows: number; readonly sha256: string }[];
  readonly unreadable: Dataset['unreadable'];
}

export interface Carried {
  readonly trees: readonly CarriedTree[];
  /** Written, not yet published. */
  readonly sinks: readonly Sink<EncodedChunk>[];
  /** Totals over all primary files, and of each; absent where no tree has sums. */
  readonly sums?: Sums;
  readonly sumsOfFile: readonly (Sums | undefined)[];
}

export const NOTHING_CARRIED: Carried = { trees: [], sinks: [], sumsOfFile: [] };

/** Reads and writes all of them. Errors: source/no-tree, source/unreadable-column, source/schema-differs, output/ codes. */
export async function carryTrees(primary: Dataset, options: CarryOptions, signal: AbortSignal): Promise<Carried> {
  const trees: CarriedTree[] = [];
  const sinks: Sink<EncodedChunk>[] = [];
  const sums: Sums[] = [];
  const sumsOfFile: (Sums | undefined)[] = primary.files.map(() => undefined);
  try {
    for (const tree of options.trees) {
      const dataset = await openTree(primary, tree, options, signal);
      try {
        const written = await writeTree(dataset, tree, options, { sinks, signal, primary });
        trees.push(written);
        const found = await sumRows(dataset, tree, signal);
        if (found.all) sums.push(found.all);
        found.files.forEach((each, i) => {
          sumsOfFile[i] ??= each;
        });
      } finally {
        await closeDataset(dataset);
      }
    }
    if (sums.length > 1) {
      throw new ColweaveError(
        'usage/bad-option',
        `--carry ${options.trees.join(',')}: more than one has sums of weights`,
      );
    }
    return { trees, sinks, sumsOfFile, ...(sums[0] === undefined ? {} : { sums: sums[0] }) };
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.abort()));
    throw error;
  }
}

/** For a plan: opens the trees, so that what cannot be carried is known. Errors: those of carryTrees before it writes. */
export async function checkCarried(primary: Dataset, options: CarryOptions, signal: AbortSignal): Promise<void> {
  for (const tree of options.trees) await closeDataset(await openTree(primary, tree, options, signal));
}

/**
 * Metadata of an output part, such that the sums of all parts add up to those of all files: each part has those of its
 * file where there is a part a file, else the first has them all.
 */
export function sumsMetadata(carried: Carried, parts: readonly OutPart[], part: number): Record<string, string> {
  const files = carried.sumsOfFile.length;
  const aFileEach =
    parts.length >= files &&
    parts.every(({ name }, i) => !name.startsWith('part-') && (i < files || name.startsWith('_only_')));
  const first = part === 0 ? carried.sums : undefined;
  const sums = aFileEach && parts.length > 1 ? carried.sumsOfFile[part] : first;
  return sums === undefined ? {} : { [SUMS_KEY]: sumsText(sums) };
}

/** What the receipt says of them: rows and digests, never paths. */
export function carriedSpec({ trees }: Carried): Record<string, unknown> {
  if (trees.length === 0) return {};
  return { carried: trees.map(({ tree, rows, rowGroups }) => ({ tree, rows, rowGroups })) };
}

async function openTree(primary: Dataset, tree: string, options: CarryOptions, signal: AbortSignal): Promise<Dataset> {
  const inputs = primary.files.map(({ descriptor }) => ({ uri: descriptor.uri, tree }));
  const dataset = await openDataset(inputs, { label: tree, schema: options.schema }, signal);
  try {
    for (const { descriptor } of dataset.files) checkTree(descriptor.identity.tree, tree, descriptor.uri);
    const { unreadable } = dataset;
    const cut = unreadable.find(({ name }) => /CutBookkeepers/.test(name));
    if (cut !== undefined && !options.dropUnreadable) {
      throw new ColweaveError(
        'source/unreadable-column',
        `the sums of weights in ${cut.name} (${cut.type}) cannot be read`,
        {
          where: [primary.files[0]!.descriptor.uri, tree],
          hint: 'take the sums from the original files, and carry the tree without them: --drop-unreadable',
        },
      );
    }
    if (dataset.descriptor.schema.fields.length > 0) return dataset;
    throw new ColweaveError('source/unreadable-column', `no column of "${tree}" can be read`, {
      where: [primary.files[0]!.descriptor.uri, tree],
      details: unreadable.map(({ name, type, reason }) => `${name} (${type}): ${reason}`),
      hint: `leave ${tree} out of --carry`,
    });
  } catch (error) {
    await closeDataset(dataset);
    throw error;
  }
}

/** Formats of one table a file open it whatever tree is named. */
function checkTree(found: string | undefined, wanted: string, uri: string): void {
  if (found === wanted) return;
  throw new ColweaveError('source/no-tree', `--carry ${wanted}: the file holds one table and no trees`, {
    where: [uri],
  });
}

interface Writing {
  readonly sinks: Sink<EncodedChunk>[];
  readonly signal: AbortSignal;
  readonly primary: Dataset;
}

async function writeTree(
  dataset: Dataset,
  tree: string,
  options: CarryOptions,
  { sinks, signal, primary }: Writing,
): Promise<CarriedTree> {
  const { schema, rows, files } = dataset.descriptor;
  if (schema.fields.some(({ name }) => name === SOURCE_FILE)) {
    throw new ColweaveError('join/name-clash', `tree "${tree}" has a column called ${SOURCE_FILE} itself`);
  }
  const names = schema.fields.map(({ name }) => name);
  const fields: readonly Field[] = [{ name: SOURCE_FILE, type: utf8, nullable: false }, ...schema.fields];
  const path = carriedPath(options.output, tree);
  refuseInput(path, primary);
  const sink = await parquet.open(path, { fields }, { ...options.sink, force: options.force });
  sinks.push(sink);
  for (let start = 0; start < rows; start += CARRY_ROWS) {
    const end = Math.min(rows, start + CARRY_ROWS);
    const columns = await readRows(dataset, names, start, end, signal);
    const all = [sourceFileColumn(dataset, start, end), ...columns];
    await sink.append(end - start, await parquet.encode(fields, all, options.sink));
  }
  const from = files.map(({ descriptor }) => ({
    name: fileName(descriptor.uri),
    identity: descriptor.identity,
    rows: descriptor.rows,
  }));
  await sink.finish({ [CARRIED_KEY]: canonicalJson({ format: 'carried/1', tree, files: from }) });
  const { rowGroups, bytes } = sink.fingerprint();
  return { tree, path, rows, columns: fields.length, bytes, rowGroups, unreadable: dataset.unreadable };
}

/** `joined.parquet` gives `joined.Runs.parquet`; in a directory `_Runs.parquet`, which readers of data sets pass over. */
export function carriedPath(output: string, tree: string): string {
  const name = tree.replaceAll('/', '.');
  if (isDirectory(output)) return join(output, `_${name}.parquet`);
  return `${output.replace(/\.(parquet|arrow|arrows|feather)$/i, '')}.${name}.parquet`;
}

function refuseInput(path: string, primary: Dataset): void {
  const taken = existsSync(path) && primary.files.some(({ descriptor }) => resolve(descriptor.uri) === resolve(path));
  if (!taken) return;
  throw new ColweaveError('output/not-writable', 'the output is one of the input files', { where: [path] });
}

function sourceFileColumn({ descriptor }: Dataset, start: number, end: number): Column {
  const parts = descriptor.files.flatMap(({ descriptor: file, firstRow }): Column[] => {
    const rows = Math.min(end, firstRow + file.rows) - Math.max(start, firstRow);
    return rows > 0 ? [repeated(Buffer.from(fileName(file.uri)), rows)] : [];
  });
  return concatColumns(utf8, parts);
}

function repeated(text: Uint8Array, rows: number): Column {
  const bytes = new Uint8Array(text.length * rows);
  for (let row = 0; row < rows; row++) bytes.set(text, row * text.length);
  return {
    kind: 'utf8',
    length: rows,
    offsets: Int32Array.from({ length: rows + 1 }, (_, i) => i * text.length),
    bytes,
  };
}
