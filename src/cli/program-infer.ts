// The command `infer` and its options.
import { Argument, type Command, InvalidArgumentError, type Option } from 'commander';
import type { DescribeOptions, InferOptions } from '../command/infer-types.ts';
import type { JoinOptions } from '../command/types.ts';
import { ColweaveError } from '../core/errors.ts';
import { given, group, type Manners, type MannersValues, manners, option, start } from './define.ts';
import { parseCount, parseNonEmpty, parseRedirector, parseRows, parseSize } from './option-values.ts';
import { makeOptions } from './program-compose.ts';
import { type CacheValues, cacheChoice, cacheOptions } from './program-fetch.ts';
import { INFER } from './prose-infer.ts';

export interface InferActions {
  infer(options: InferOptions, manners: Manners): Promise<void>;
  describe(options: DescribeOptions, manners: Manners): Promise<void>;
}

interface InferValues extends MannersValues, CacheValues {
  model?: string;
  server?: string[];
  protocol?: InferOptions['protocol'];
  ca?: string[];
  modelVersion?: string;
  describe?: string;
  redirector?: string;
  tree?: string;
  on?: string;
  schema: InferOptions['schema'];
  batchRows?: number;
  batchBytes?: number;
  inFlight?: number;
  patience?: number;
  perEvent?: true;
  onNan?: InferOptions['onNan'];
  spotCheck?: number;
  fallback?: true;
  output?: string;
  depfile?: string;
  compression: InferOptions['compression'];
  dryRun?: true;
  resume?: true;
  stats?: true;
  force?: true;
  redo?: true;
  receipt?: true;
}

const collect = (word: string, before: readonly string[] = []): string[] => [...before, parseNonEmpty(word)];

/** `0.1%`, or a part such as 0.001. */
function parseShare(text: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text) ?? [];
  const share = digits === undefined ? Number.NaN : Number(digits) / (percent === '%' ? 100 : 1);
  if (!(share >= 0 && share <= 1)) throw new InvalidArgumentError('A part of the rows is wanted, such as 0.1%.');
  return share;
}

const spotCheckOption = (when: string): Option =>
  option(
    '--spot-check <PART>',
    `${when}send this part of the rows again, in other batches and to other servers`,
  ).argParser(parseShare);

export interface JoinInferValues {
  infer?: string;
  server?: string[];
  spotCheck?: number;
}

/** Of join: scores while joining. */
export const joinInferOptions = (): Option[] => [
  option(
    '--infer <FILE>',
    'a model file: score the joined rows, and write the scores behind the columns (colweave-infer(1))',
  ).argParser(parseNonEmpty),
  option('--server <URL>', 'with --infer: an inference server, or @FILE of such; may be repeated').argParser(collect),
  spotCheckOption('with --infer: '),
];

export function joinInfer({ infer, server = [], spotCheck = 0 }: JoinInferValues): Pick<JoinOptions, 'infer'> {
  const stray = server.length > 0 ? '--server' : spotCheck > 0 ? '--spot-check' : undefined;
  if (infer === undefined && stray !== undefined)
    throw new ColweaveError('usage/bad-option', `${stray} is about --infer, which is not given`);
  return infer === undefined ? {} : { infer: { file: infer, servers: server, spotCheck } };
}

export function inferCommand(actions: InferActions): Command {
  const command = start('infer', INFER, 'INPUT... --model MODEL.yaml [--server URL]... -o OUT');
  command.addArgument(
    new Argument('[INPUT...]', 'files with the columns that the model needs; with --describe, the model'),
  );
  group(command, 'Model and servers:', [
    option('-m, --model <FILE>', 'the model file: which columns make which tensors').argParser(parseNonEmpty),
    option('-s, --server <URL>', 'http://HOST:PORT, grpc://HOST:PORT, or @FILE of such; may be repeated').argParser(
      collect,
    ),
    option('--protocol <NAME>', 'of servers named without http:// or grpc://; onnx: in this process').choices([
      'http',
      'grpc',
      'onnx',
    ]),
    option('--model-version <VERSION>', "instead of the model file's").argParser(parseNonEmpty),
    option('--ca <FILE>', 'certificates (PEM) to trust besides the known ones; may be repeated').argParser(collect),
    option('--describe <URL>', 'write a first model file for MODEL of this server to standard output').argParser(
      parseNonEmpty,
    ),
    option('--fallback', "when no server answers any more, go on in this process with the model file's onnx"),
  ]);
  group(command, 'Input:', [
    option('--tree <NAME>', 'tree to read (default: Events, or the only one)').argParser(parseNonEmpty),
    option('--on <KEY>', 'cms, atlas, or columns joined by commas (default: by tree content)').argParser(parseNonEmpty),
    option('--schema <POLICY>', 'files that differ in columns: stop, null where absent, or leave out')
      .choices(['strict', 'union', 'intersect'])
      .default('strict'),
    option(
      '--redirector <URL>',
      'server in front of /store/... names; several (commas, or given again) are tried in turn',
    ).argParser(parseRedirector),
    ...cacheOptions('else off'),
  ]);
  requestOptions(command);
  group(command, 'Output:', [
    option('-o, --output <OUT>', 'a Parquet file of key columns and scores, here or on a server').argParser(
      parseNonEmpty,
    ),
    option('-f, --force', 'replace an existing output that is not up to date'),
    ...makeOptions(),
    option('--resume', 'keep finished parts in OUT.parts/, and go on from those that are there'),
    option('-n, --dry-run', 'print tensors, shapes and batches: no server is asked, nothing is written'),
    option('--receipt', 'also write OUT.receipt.json'),
    option('--stats', 'tell what each server did, and how much servers of files were asked for'),
    option('--compression <CODEC>', 'of the output').choices(['zstd', 'snappy', 'none']).default('zstd'),
  ]);
  return command.action(async (words: string[], values: InferValues) => {
    if (values.describe === undefined) await actions.infer(inferOptions(words, values), manners(values));
    else await actions.describe(describeOptions(words, values.describe, values), manners(values));
  });
}

function requestOptions(command: Command): void {
  group(command, 'Requests:', [
    option('--batch-rows <N>', 'rows a request at most (default: what fits 1 MiB, up to 8192)').argParser(parseRows),
    option('--batch-bytes <SIZE>', 'bytes of tensors a request at most (default: 16M)').argParser(parseSize),
    option(
      '--in-flight <N>',
      'requests on their way to one server at most (default: as many as pay, up to 8)',
    ).argParser(parseCount),
    option(
      '--patience <SECONDS>',
      'how long a batch may fail everywhere before the run is given up (default: 300)',
    ).argParser(parseCount),
    option('--per-event', 'one event a request, as a framework without columns asks; for comparison'),
    option('--on-nan <POLICY>', 'scores that are NaN or infinite: keep and count, stop, or null').choices([
      'keep',
      'fail',
      'null',
    ]),
    spotCheckOption(''),
  ]);
}

const misuse = (message: string): ColweaveError =>
  new ColweaveError('usage/bad-option', message, { hint: 'see colweave infer --help' });

function inferOptions(files: readonly string[], values: InferValues): InferOptions {
  if (files.length === 0) throw misuse('missing required argument "INPUT"');
  if (values.model === undefined) throw misuse('no model file: give --model MODEL.yaml');
  return {
    files,
    model: values.model,
    servers: values.server ?? [],
    ...given({ protocol: values.protocol, ca: values.ca, modelVersion: values.modelVersion }),
    ...given({ redirector: values.redirector, tree: values.tree, on: values.on }),
    ...cacheChoice(values),
    schema: values.schema,
    ...given({ batchRows: values.batchRows, batchBytes: values.batchBytes, inFlight: values.inFlight }),
    ...given({ patienceSeconds: values.patience }),
    perEvent: values.perEvent === true,
    ...given({ onNan: values.onNan }),
    spotCheck: values.spotCheck ?? 0,
    fallback: values.fallback === true,
    ...given({ output: values.output, depfile: values.depfile }),
    compression: values.compression,
    dryRun: values.dryRun === true,
    resume: values.resume === true,
    stats: values.stats === true,
    force: values.force === true,
    redo: values.redo === true,
    receipt: values.receipt === true,
  };
}

function describeOptions(words: readonly string[], url: string, values: InferValues): DescribeOptions {
  const [model, ...more] = words;
  if (model === undefined || more.length > 0) throw misuse('--describe URL takes one MODEL');
  return { url, model, ...given({ protocol: values.protocol, ca: values.ca, modelVersion: values.modelVersion }) };
}
