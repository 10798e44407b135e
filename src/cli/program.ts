// The commands and their options, defined once: parsing, help and man pages all come from here.
import { Argument, Command } from 'commander';
import { writerNamed } from '../command/output-name.ts';
import type { JoinOptions, SourceWords, VerifyOptions } from '../command/types.ts';
import { VERSION } from '../command/version.ts';
import { ColweaveError } from '../core/errors.ts';
import { type Composed, composedOptions } from './composed.ts';
import { given, group, type Manners, type MannersValues, manners, option, optionTerm, start } from './define.ts';
import { collectGlobs, collectNames, parseCount, parseMissing, parseNonEmpty, parseSize } from './option-values.ts';
import { type BenchActions, benchCommand } from './program-bench.ts';
import { composeOptions, duplicatesOption, makeOptions, sizeOptions } from './program-compose.ts';
import { type CacheValues, cacheChoice, cacheOptions, type FetchActions, fetchCommand } from './program-fetch.ts';
import { type InferActions, inferCommand, type JoinInferValues, joinInfer, joinInferOptions } from './program-infer.ts';
import { type SchemaActions, schemaCommand } from './program-schema.ts';
import { mapOnlyOption, namingOptions, type SkimValues, skimOf, whereOption } from './program-skims.ts';
import { BENCH, COLWEAVE, JOIN, type Prose, VERIFY } from './prose.ts';
import { FETCH } from './prose-fetch.ts';
import { INFER } from './prose-infer.ts';
import { SCHEMA } from './prose-schema.ts';

export interface Actions extends BenchActions, SchemaActions, FetchActions, InferActions {
  join(options: JoinOptions, manners: Manners): Promise<void>;
  verify(options: VerifyOptions, manners: Manners): Promise<void>;
}

/** The prose of each command, by name; '' is the program itself. */
export const PROSE: Readonly<Record<string, Prose>> = {
  '': COLWEAVE,
  join: JOIN,
  verify: VERIFY,
  schema: SCHEMA,
  fetch: FETCH,
  infer: INFER,
  bench: BENCH,
};

export interface Defined {
  readonly program: Command;
  readonly join: Command;
  readonly verify: Command;
  readonly schema: Command;
  readonly fetch: Command;
  readonly infer: Command;
  readonly bench: Command;
}

/** `friends` are the sources that splitWith took off the command line. */
export function defineProgram(actions: Actions, friends: readonly SourceWords[] = []): Defined {
  const program = new Command('colweave')
    .description(COLWEAVE.paragraphs.join('\n\n'))
    .usage('COMMAND [OPTIONS]')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command');
  const join = joinCommand().action(async (primary: string[], values: JoinValues, command: Command) => {
    const composed = await composedOptions<JoinValues>(command, values.compose, { primary, friends });
    requirePrimary(composed.primary, composed.values);
    await actions.join({ ...joinOptions(composed), ...composed.origin }, manners(values));
  });
  const verify = verifyCommand().action(async (outputs: string[], values: VerifyValues) => {
    await actions.verify(verifyOptions(outputs, values), manners(values));
  });
  const schema = schemaCommand(actions);
  const fetch = fetchCommand(actions);
  const infer = inferCommand(actions);
  const bench = benchCommand(actions);
  for (const command of [join, verify, schema, fetch, infer, bench]) program.addCommand(command);
  for (const command of [program, join, verify, schema, fetch, infer, bench]) addManners(command);
  return { program, join, verify, schema, fetch, infer, bench };
}

/** Does an option of this command, such as `-o` or `--how`, take the next word as its value? */
export function takesValue(command: Command, flag: string): boolean {
  return command.options.some((option) => option.required && (option.short === flag || option.long === flag));
}

interface JoinValues extends MannersValues, SkimValues, JoinInferValues, CacheValues {
  compose?: string;
  fileset?: string;
  redirector?: string;
  how: JoinOptions['how'];
  on?: string;
  tree?: string;
  sample?: string;
  columns?: string[];
  expect?: 'aligned' | '1:1';
  witness: string;
  layout: JoinOptions['layout'];
  missing: JoinOptions['missing'];
  schema: JoinOptions['schema'];
  absentTrigger?: 'false' | 'drop' | 'null';
  titles: 'stop' | 'ignore';
  dropUnreadable?: true;
  duplicates: 'error' | 'first-by-source';
  eventsPerFile?: number;
  targetSize?: number;
  output?: string;
  writer?: JoinOptions['writer'];
  compression: JoinOptions['compression'];
  dryRun?: true;
  receipt?: true;
  carry?: string[];
  force?: true;
  redo?: true;
  depfile?: string;
  jobs?: number;
  memory?: number;
  keyIndex?: string;
}

interface VerifyValues extends MannersValues, CacheValues {
  receipt?: string;
  against?: string[];
  tree?: string;
  sameEvents?: string[];
  subsetOf?: string[];
  disjoint?: string[];
  on?: string;
  lumis?: string;
  writeLumis?: string;
  parts?: string;
  jobs?: number;
  memory?: number;
}

function joinCommand(): Command {
  const command = start('join', JOIN, 'PRIMARY... [--with [LABEL:] FILES...]... -o OUT');
  command.addArgument(new Argument('[PRIMARY...]', 'files whose events and order the output has'));
  group(command, 'Sources:', [
    option('--with <[LABEL:] FILES...>', 'a further source: every word up to the next option; may be repeated'),
    ...composeOptions(),
    option('--tree <NAME>', 'tree to read (default: Events, or the only one)').argParser(parseNonEmpty),
    option('--sample <NAME>', 'the sample all sources belong to; kept in the receipt').argParser(parseNonEmpty),
    option('--schema <POLICY>', 'files of one source that differ in columns: stop, null where absent, or leave out')
      .choices(['strict', 'union', 'intersect'])
      .default('strict'),
    option(
      '--absent-trigger <POLICY>',
      'trigger columns (HLT_*, L1_*, DST_*) absent in some files: false, leave out, null',
    ).choices(['false', 'drop', 'null']),
    option('--titles <POLICY>', 'weights (LHE*, PS*) whose titles or lengths differ between files of a source')
      .choices(['stop', 'ignore'])
      .default('stop'),
  ]);
  group(command, 'Joining:', [
    option('--how <HOW>', 'which events the output has').choices(['inner', 'left', 'right', 'outer']).default('left'),
    option('--on <KEY>', 'cms, atlas, or columns joined by commas (default: by tree content)').argParser(parseNonEmpty),
    whereOption(),
    option('--expect <WHAT>', 'stop unless: same events in the same order, or each event once on every side').choices([
      'aligned',
      '1:1',
    ]),
    option(
      '--witness <COLS>',
      'columns that must be equal for equal keys: auto, off, or names joined by commas; NAME~1e-3 allows that difference',
    )
      .argParser(parseNonEmpty)
      .default('auto'),
    option(
      '--missing <POLICY>',
      'events a source lacks: null and a reason column, null, leave the event out, or fill=V',
    )
      .argParser(parseMissing)
      .default({ kind: 'reason' }, 'reason'),
    duplicatesOption(),
  ]);
  group(command, 'Columns:', [
    option(
      '-c, --columns <GLOBS>',
      "output columns, comma separated, in order; '!GLOB' leaves out; may be repeated",
    ).argParser(collectGlobs),
    ...namingOptions(),
    option('--drop-unreadable', 'leave out columns whose type cannot be read or written'),
    option('--layout <LAYOUT>', "nano: as coffea's NanoEventsFactory.from_parquet wants it")
      .choices(['arrow', 'nano'])
      .default('arrow'),
  ]);
  group(command, 'Scores:', joinInferOptions());
  joinOutput(command);
  return command;
}

function joinOutput(command: Command): void {
  group(command, 'Output:', [
    option(
      '-o, --output <OUT>',
      'a file; DIR/ for one file per primary file; - for Arrow on standard output',
    ).argParser(parseNonEmpty),
    ...sizeOptions(),
    option('-f, --force', 'replace an existing output that is not up to date'),
    ...makeOptions(),
    mapOnlyOption(),
    option('-n, --dry-run', 'print the plan: keys are read, no payload, nothing is written'),
    option('--receipt', 'also write OUT.receipt.json'),
    option(
      '--carry <TREES>',
      'trees of the primary files that go along, comma separated: Runs goes to OUT.Runs.parquet, its totals into OUT',
    ).argParser(collectNames),
    option(
      '--writer <WRITER>',
      'what writes the output (default: as OUT is named, parquet or for .arrows arrow)',
    ).choices(['parquet', 'parquetjs', 'arrow']),
    option('--compression <CODEC>', 'of the output').choices(['zstd', 'snappy', 'none']).default('zstd'),
  ]);
  group(command, 'Running:', [
    option(
      '-j, --jobs <N>',
      'worker threads, as far as there is work for them (default: the cores this job may use)',
    ).argParser(parseCount),
    option('--memory <SIZE>', 'memory cap: k, M, G, T count by 1024; kB, MB, GB, TB by 1000').argParser(parseSize),
    option(
      '--key-index <DIR>',
      'keep the keys of input files there, for other jobs that read the same files',
    ).argParser(parseNonEmpty),
    ...cacheOptions('else off'),
  ]);
}

function verifyCommand(): Command {
  const command = start('verify', VERIFY, 'OUT... [--receipt FILE] [--against FILES...]');
  command.addArgument(
    new Argument('[OUT...]', 'joined files; with --same-events and the like, and --lumis, any files'),
  );
  group(command, 'Evidence:', [
    option('--receipt <FILE>', 'a receipt kept beside, for a file that lost its own').argParser(parseNonEmpty),
    option('--against <FILES...>', 'the source files, in any order: every word up to the next option'),
    option('--parts <DIR>', 'the parts of a batch of joins: each, and whether they add up').argParser(parseNonEmpty),
    option('--tree <NAME>', 'tree to read in the source files').argParser(parseNonEmpty),
    option('--cache <DIR>', 'read the source files through this cache (default: off)').argParser(parseNonEmpty),
    option('--offline', 'ask no server: what is needed must be in the cache'),
  ]);
  group(command, 'Sets of events (of any readable files, all of OUT as one set):', [
    option('--same-events <FILES...>', 'OUT and FILES hold the same events'),
    option('--subset-of <FILES...>', 'every event of OUT is in FILES'),
    option('--disjoint <FILES...>', 'no event of OUT is in FILES'),
    option('--lumis <MASK>', 'events outside of this lumi mask (CMS JSON), and lumi blocks without events').argParser(
      parseNonEmpty,
    ),
    option('--write-lumis <FILE>', 'write the lumi blocks that were processed (CMS JSON)').argParser(parseNonEmpty),
    option('--on <KEY>', 'cms, atlas, or columns joined by commas (default: by tree content)').argParser(parseNonEmpty),
  ]);
  group(command, 'Running:', [
    option('-j, --jobs <N>', 'worker threads (default: the cores this job may use)').argParser(parseCount),
    option('--memory <SIZE>', 'memory cap: keys beyond it are sorted in scratch').argParser(parseSize),
  ]);
  return command;
}

/** Commands that take names of files on servers. */
const READS_SERVERS = new Set(['join', 'verify', 'schema', 'fetch']);

function addManners(command: Command): void {
  if (command.name() !== 'colweave') {
    group(command, 'Talking:', [
      option('--json', 'print typed JSON lines; the last one is the summary or the error'),
      option('-q, --quiet', 'no report and no progress; warnings and errors still'),
      option('--debug', 'print stacks with errors'),
      ...(READS_SERVERS.has(command.name())
        ? [option('--stats', 'tell how many requests and bytes each server was asked for')]
        : []),
    ]);
  }
  const { examples, exits } = PROSE[command.name() === 'colweave' ? '' : command.name()]!;
  command
    .showSuggestionAfterError(false)
    .configureHelp({
      helpWidth: Math.min(process.stdout.columns ?? 80, 100),
      optionTerm,
      argumentTerm: (argument) => argument.name(),
      subcommandTerm: (each) => (each.name() === 'help' ? 'help COMMAND' : each.name()),
    })
    .addHelpText('after', `\nExamples:\n${examples.map(({ does, line }) => `  # ${does}\n  ${line}\n`).join('')}`)
    .addHelpText(
      'after',
      `Exit status:\n${exits.map(([status, text]) => `${String(status).padStart(5)}  ${text}`).join('\n')}`,
    );
}

function requirePrimary(primary: readonly string[], { fileset, sample }: JoinValues): void {
  if (fileset === undefined && primary.length === 0) {
    throw new ColweaveError('usage/bad-option', 'missing required argument "PRIMARY"', {
      hint: 'see colweave join --help',
    });
  }
  if (fileset !== undefined && primary.length > 0) {
    throw new ColweaveError('usage/bad-option', `--fileset names all primary files, and "${primary[0]}" is one more`);
  }
  if (fileset !== undefined && sample !== undefined) {
    throw new ColweaveError('usage/bad-option', "--sample is each dataset's name with --fileset");
  }
}

function joinOptions({ primary, friends, values }: Composed<JoinValues>): JoinOptions {
  return {
    primary,
    friends,
    ...given({ fileset: values.fileset, redirector: values.redirector }),
    how: values.how,
    ...given({ on: values.on, tree: values.tree, sample: values.sample }),
    ...skimOf(values),
    ...joinInfer(values),
    columns: values.columns ?? [],
    ...given({ expect: values.expect }),
    witness: values.witness,
    layout: values.layout,
    missing: values.missing,
    schema: values.schema,
    ...given({ absentTrigger: values.absentTrigger }),
    titles: values.titles,
    dropUnreadable: values.dropUnreadable === true,
    ...(values.duplicates === 'error' ? {} : { duplicates: values.duplicates }),
    ...given({ eventsPerFile: values.eventsPerFile, targetBytes: values.targetSize, output: values.output }),
    writer: values.writer ?? writerNamed(values.output ?? ''),
    compression: values.compression,
    dryRun: values.dryRun === true,
    receipt: values.receipt === true,
    ...(values.carry === undefined ? {} : { carry: [...new Set(values.carry)] }),
    force: values.force === true,
    ...given({ redo: values.redo, depfile: values.depfile }),
    ...given({ jobs: values.jobs, memoryBytes: values.memory, keyIndex: values.keyIndex }),
    ...cacheChoice(values),
  };
}

function relationOf({ sameEvents, subsetOf, disjoint, against, parts }: VerifyValues): Pick<VerifyOptions, 'relation'> {
  const asked = [
    ...(sameEvents === undefined ? [] : [{ kind: 'same-events' as const, files: sameEvents }]),
    ...(subsetOf === undefined ? [] : [{ kind: 'subset-of' as const, files: subsetOf }]),
    ...(disjoint === undefined ? [] : [{ kind: 'disjoint' as const, files: disjoint }]),
  ];
  if (asked.length > 1 || (asked.length === 1 && (against !== undefined || parts !== undefined))) {
    throw new ColweaveError(
      'usage/bad-option',
      'one comparison at a time: --same-events, --subset-of, --disjoint, or the others',
    );
  }
  return asked.length === 0 ? {} : { relation: asked[0]! };
}

function verifyOptions(outputs: readonly string[], values: VerifyValues): VerifyOptions {
  if (outputs.length === 0 && values.parts === undefined)
    throw new ColweaveError('usage/bad-option', 'missing required argument "OUT..."', {
      hint: 'see colweave verify --help',
    });
  return {
    outputs,
    ...(values.receipt === undefined ? {} : { receipt: values.receipt }),
    against: values.against ?? [],
    ...(values.tree === undefined ? {} : { tree: values.tree }),
    ...relationOf(values),
    ...(values.on === undefined ? {} : { on: values.on }),
    ...(values.lumis === undefined ? {} : { lumis: values.lumis }),
    ...(values.writeLumis === undefined ? {} : { writeLumis: values.writeLumis }),
    ...(values.parts === undefined ? {} : { parts: values.parts }),
    ...cacheChoice(values),
    ...(values.jobs === undefined ? {} : { jobs: values.jobs }),
    ...(values.memory === undefined ? {} : { memoryBytes: values.memory }),
  };
}
