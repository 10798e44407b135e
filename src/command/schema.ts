// Owns the schema command: what a file holds, by its metadata alone.
import { ColweaveError } from '../core/errors.ts';
import { typeName } from '../core/schema.ts';
import { keyColumnNames, keySpecFor } from '../keys/spec.ts';
import { expandInputs, globMatcher, type Input } from '../source/inputs.ts';
import { openSource } from '../source/registry.ts';
import type { SourceFile } from '../source/types.ts';
import type { ColumnEntry, FileSchema, RunSchema, SchemaOptions } from './schema-types.ts';

/** Columns, keys, sizes and whatever cannot be read, of each file. Errors: those of opening, source/no-column. */
export const runSchema: RunSchema = async (options, { signal }) => {
  const files: FileSchema[] = [];
  for (const input of expandInputs(options.files)) files.push(await describe(input, options, signal));
  return { files };
};

async function describe(input: Input, options: SchemaOptions, signal: AbortSignal): Promise<FileSchema> {
  const tree = input.tree ?? options.tree;
  const file = await openSource(input.uri, tree === undefined ? {} : { tree }, signal);
  try {
    const { descriptor, unreadable, redundant } = file;
    const { identity, schema, rows, format } = descriptor;
    const chosen = chooser(options.columns, file);
    const own = identity.tree;
    const objects = (await file.objects?.()) ?? [];
    return {
      path: input.uri,
      format,
      ...(own === undefined ? {} : { tree: own }),
      rows,
      bytes: identity.size,
      ...keyOf(file),
      others: objects.filter(({ name }, i) => name !== own && objects.findIndex((other) => other.name === name) === i),
      columns: schema.fields.filter(({ name }) => chosen(name)).map((field) => columnEntry(file, field)),
      unreadable: unreadable.filter(({ name }) => chosen(name)),
      redundant: redundant.filter(chosen),
    };
  } finally {
    await file.close();
  }
}

function columnEntry(file: SourceFile, field: SourceFile['descriptor']['schema']['fields'][number]): ColumnEntry {
  const { name, type, nullable, counter, doc } = field;
  const names = [name];
  const without = counter === undefined ? 0 : file.bytesOf([counter]);
  return {
    name,
    type: typeName(type),
    nullable,
    ...(counter === undefined ? {} : { counter }),
    ...(file.storageOf?.(name) ?? { blocks: 0, codec: '' }),
    storedBytes: Math.max(0, file.bytesOf(names) - without),
    rawBytes: Math.round(file.rawBytesOf(names)),
    ...(doc === undefined ? {} : { doc }),
  };
}

/** The key by which join would match these events, and the columns that hold it. */
function keyOf({ descriptor: { schema } }: SourceFile): Pick<FileSchema, 'key'> {
  try {
    const spec = keySpecFor(undefined, schema, []);
    return { key: { name: spec.name, columns: keyColumnNames(spec, schema, []) } };
  } catch (error) {
    if (error instanceof ColweaveError && error.code === 'key/absent') return {};
    throw error;
  }
}

/** Globs in order as join's --columns: the last one that matches a name decides. */
function chooser(globs: readonly string[], file: SourceFile): (name: string) => boolean {
  const { schema, uri } = file.descriptor;
  const known = [...schema.fields, ...file.unreadable].map(({ name }) => name);
  const rules = globs.map((glob) => {
    const out = glob.startsWith('!');
    const matches = globMatcher(out ? glob.slice(1) : glob);
    if (!out && !known.some(matches)) {
      throw new ColweaveError('source/no-column', `no column matches "${glob}"`, { where: [uri] });
    }
    return { out, matches };
  });
  const first = rules[0];
  return (name) => {
    let chosen = first === undefined || first.out;
    for (const { out, matches } of rules) if (matches(name)) chosen = !out;
    return chosen;
  };
}
