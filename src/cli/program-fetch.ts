// The command `fetch` and its options, and those that choose a cache for any command.
import { Argument, type Command, type Option } from 'commander';
import type { CacheChoice, CacheTask, FetchOptions } from '../command/fetch-types.ts';
import { ColweaveError } from '../core/errors.ts';
import { given, group, type Manners, type MannersValues, manners, option, start } from './define.ts';
import { collectGlobs, parseAge, parseCount, parseNonEmpty, parseRedirector, parseSize } from './option-values.ts';
import { FETCH } from './prose-fetch.ts';

export interface FetchActions {
  fetch(options: FetchOptions, manners: Manners): Promise<void>;
  cacheTask(task: CacheTask, manners: Manners): Promise<void>;
}

export interface CacheValues {
  cache?: string;
  offline?: true;
}

interface FetchValues extends MannersValues, CacheValues {
  columns?: string[];
  tree?: string;
  on?: string;
  redirector?: string;
  schema: FetchOptions['schema'];
  dropUnreadable?: true;
  output?: string;
  format?: 'parquet' | 'arrow';
  compression: FetchOptions['compression'];
  force?: true;
  redo?: true;
  jobs?: number;
  memory?: number;
  cacheLs?: true;
  cacheCheck?: true;
  cacheGc?: true;
  maxSize?: number;
  maxAge?: number;
}

/** `where`: what the cache is for when nothing is said. */
export function cacheOptions(where: string): Option[] {
  return [
    option('--cache <DIR>', `directory of the cache, or off (default: $COLWEAVE_CACHE, ${where})`).argParser(
      parseNonEmpty,
    ),
    option('--offline', 'ask no server: all columns must be in the cache'),
  ];
}

export const cacheChoice = ({ cache, offline }: CacheValues): CacheChoice => given({ cache, offline });

export function fetchCommand(actions: FetchActions): Command {
  const command = start('fetch', FETCH, 'SOURCES... [-c GLOBS] -o DIR/|FILE');
  command.addArgument(new Argument('[SOURCES...]', 'files here or on servers, globs, directories, FILE:TREE, @LIST'));
  group(command, 'What to fetch:', [
    option(
      '-c, --columns <GLOBS>',
      "columns, comma separated, in order; '!GLOB' leaves out; key columns always come along",
    ).argParser(collectGlobs),
    option('--tree <NAME>', 'tree to read (default: Events, or the only one)').argParser(parseNonEmpty),
    option('--on <KEY>', 'cms, atlas, or columns joined by commas (default: by tree content)').argParser(parseNonEmpty),
    option(
      '--redirector <URL>',
      'server in front of /store/... names; several (commas, or given again) are tried in turn',
    ).argParser(parseRedirector),
    option(
      '--schema <POLICY>',
      'into one FILE: source files that differ in columns: stop, null where absent, leave out',
    )
      .choices(['strict', 'union', 'intersect'])
      .default('strict'),
    option('--drop-unreadable', 'leave out columns whose type cannot be read or written'),
  ]);
  group(command, 'Output:', [
    option('-o, --output <OUT>', 'DIR/: a file for each source file; FILE: one of all').argParser(parseNonEmpty),
    option('--format <FORMAT>', 'of the files (default: by the name of FILE, else parquet)').choices([
      'parquet',
      'arrow',
    ]),
    option('--compression <CODEC>', 'of the files').choices(['zstd', 'snappy', 'none']).default('zstd'),
    option('-f, --force', 'replace an existing file that is not up to date'),
    option('--redo', 'fetch again what is up to date'),
  ]);
  group(command, 'Cache:', [
    ...cacheOptions('else for files on servers below $XDG_CACHE_HOME'),
    option('--cache-ls', 'list what is in the cache'),
    option('--cache-check', 'read all of the cache, and set aside what is damaged'),
    option('--cache-gc', 'remove what --max-size and --max-age do not keep, and what dead jobs left'),
    option('--max-size <SIZE>', 'with --cache-gc: keep no more, those used last').argParser(parseSize),
    option('--max-age <AGE>', 'with --cache-gc: keep what was used within, such as 30d or 12h').argParser(parseAge),
  ]);
  group(command, 'Running:', [
    option('-j, --jobs <N>', 'worker threads (default: the cores this job may use)').argParser(parseCount),
    option('--memory <SIZE>', 'memory cap: k, M, G, T count by 1024; kB, MB, GB, TB by 1000').argParser(parseSize),
  ]);
  return command.action(async (sources: string[], values: FetchValues) => {
    const task = cacheTaskOf(sources, values);
    if (task === undefined) await actions.fetch(fetchOptions(sources, values), manners(values));
    else await actions.cacheTask(task, manners(values));
  });
}

const misuse = (message: string) =>
  new ColweaveError('usage/bad-option', message, { hint: 'see colweave fetch --help' });

function cacheTaskOf(sources: readonly string[], values: FetchValues): CacheTask | undefined {
  const { cacheLs, cacheCheck, cacheGc, maxSize, maxAge, cache, output } = values;
  const asked = [
    ...(cacheLs ? ['ls' as const] : []),
    ...(cacheCheck ? ['check' as const] : []),
    ...(cacheGc ? ['gc' as const] : []),
  ];
  const [task] = asked;
  if (task !== 'gc' && (maxSize !== undefined || maxAge !== undefined)) {
    throw misuse('--max-size and --max-age go with --cache-gc');
  }
  if (task === undefined) return undefined;
  if (asked.length > 1 || sources.length > 0 || output !== undefined) {
    throw misuse(`--cache-${task} stands alone: no sources, no output, no other such option`);
  }
  return { task, ...given({ cache }), limits: given({ bytesMax: maxSize, ageMaxMs: maxAge }) };
}

function fetchOptions(sources: readonly string[], values: FetchValues): FetchOptions {
  const { output, columns = [], schema, compression } = values;
  if (sources.length === 0) throw misuse('missing required argument "SOURCES..."');
  if (output === undefined) throw misuse('no output: give -o DIR/ or -o FILE');
  if (output === '-') throw misuse('fetch writes files: name one, not -');
  const { on, tree, redirector, format, jobs, memory } = values;
  return {
    sources,
    columns,
    output,
    schema,
    compression,
    dropUnreadable: values.dropUnreadable === true,
    force: values.force === true,
    redo: values.redo === true,
    ...given({ on, tree, redirector, format, jobs, memoryBytes: memory }),
    ...cacheChoice(values),
  };
}
