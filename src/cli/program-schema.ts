// The command `schema` and its options.
import { Argument, type Command } from 'commander';
import type { SchemaOptions } from '../command/schema-types.ts';
import { group, type Manners, type MannersValues, manners, option, start } from './define.ts';
import { collectGlobs, parseNonEmpty } from './option-values.ts';
import { SCHEMA } from './prose-schema.ts';

export interface SchemaActions {
  schema(options: SchemaOptions, manners: Manners): Promise<void>;
}

interface SchemaValues extends MannersValues {
  tree?: string;
  columns?: string[];
}

export function schemaCommand(actions: SchemaActions): Command {
  const command = start('schema', SCHEMA, 'FILE... [-c GLOBS]');
  command.addArgument(new Argument('<FILE...>', 'ROOT, Parquet or Arrow files; FILE:TREE names a tree'));
  group(command, 'What to list:', [
    option('--tree <NAME>', 'tree to list (default: Events, or the only one)').argParser(parseNonEmpty),
    option('-c, --columns <GLOBS>', "columns to list, comma separated; '!GLOB' leaves out").argParser(collectGlobs),
  ]);
  return command.action(async (files: string[], values: SchemaValues) => {
    const { tree, columns = [] } = values;
    await actions.schema({ files, columns, ...(tree === undefined ? {} : { tree }) }, manners(values));
  });
}
