// Owns what the name of a folder such as `run=315252` says: the layout of Hive, which Spark, DuckDB, polars and pyarrow write.
import { sep } from 'node:path';
import { ColweaveError } from '../core/errors.ts';

/** One `key=value` of a path; null where the writer had none. */
export interface PartitionKey {
  readonly name: string;
  readonly value: string | null;
}

const FOLDER = /^([^=]+)=(.*)$/;
/** Hive's name of the folder for rows without a value. */
const NO_VALUE = '__HIVE_DEFAULT_PARTITION__';

export function isPartitionFolder(name: string): boolean {
  return FOLDER.test(name);
}

/** The keys of a path below the folder that was given, outermost first. Errors: source/schema-differs. */
export function partitionOf(path: string): PartitionKey[] {
  const keys: PartitionKey[] = [];
  for (const step of path.split(sep)) {
    const [, name, value] = FOLDER.exec(step) ?? [];
    if (name === undefined || value === undefined) continue;
    const key = { name: unescaped(name), value: value === NO_VALUE ? null : unescaped(value) };
    if (keys.some((other) => other.name === key.name)) {
      throw new ColweaveError('source/schema-differs', `the folders name column "${key.name}" twice`, {
        where: [path],
      });
    }
    keys.push(key);
  }
  return keys;
}

/** `%3A` and its like stand for what a path cannot hold; anything else with a percent sign is itself. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
