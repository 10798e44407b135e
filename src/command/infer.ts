// Owns the infer command: a model file bound to columns, servers asked, scores written with keys and a receipt.
import { existsSync } from 'node:fs';
import { isRemoteTarget } from '../bytes/target.ts';
import { ColweaveError } from '../core/errors.ts';
import { receiptText } from '../core/receipt.ts';
import { outputFields } from '../infer/answers.ts';
import { checkModel } from '../infer/check-model.ts';
import type { Connected } from '../infer/connect.ts';
import { inferGroups } from '../infer/run.ts';
import { openSink } from '../sink/registry.ts';
import { closeDataset, openDataset } from '../source/dataset.ts';
import { expandInputs } from '../source/inputs.ts';
import { writeDepfile } from './depfile.ts';
import { type Finished, finishIfStanding } from './finished.ts';
import { openScores, type ScoreWriter } from './infer-output.ts';
import { openParts, type PartStore, partsFolder } from './infer-parts.ts';
import { bindTask, modelOf, type Plan, planOf, summaryOf, type Task } from './infer-plan.ts';
import { addGroup, doneOf, noTotals, policiesOf, requestOf, specOf, type Totals } from './infer-report.ts';
import { openServers } from './infer-servers.ts';
import type { InferOptions, InferReport, RunInfer } from './infer-types.ts';
import { isDirectory, refuseOverwritingInput } from './output.ts';
import { writerNamed } from './output-name.ts';
import { goesToServer, refuseOthers, sendToServer } from './remote-output.ts';
import type { Request } from './request.ts';
import type { CommandContext, FreshReport } from './types.ts';
import { TOOL } from './version.ts';
import { writeWhole } from './whole-file.ts';
import { cacheText, withCache } from './with-cache.ts';

/** Errors: those of inputs, of the model file, of servers, of the output. */
export const runInfer: RunInfer = async (options, context) => {
  refuseNonsense(options);
  const { output: url = '', resume, receipt, depfile } = options;
  if (goesToServer(options)) {
    refuseOthers(url, { '--resume': resume, '--receipt': receipt, '--depfile': depfile !== undefined });
    return sendToServer(url, context, (path) => runInfer({ ...options, output: path, published: url }, context));
  }
  const { result, cache } = await withCache(options, false, context, (inner) => run(options, inner));
  if (cache !== undefined) context.emit({ type: 'note', text: cacheText(cache) });
  return result;
};

async function run(options: InferOptions, context: CommandContext): Promise<InferReport | FreshReport> {
  const model = modelOf(options);
  const { redirector } = options;
  const lists: string[] = [];
  const onList = (path: string): void => void lists.push(path);
  const files = expandInputs(options.files, { onList, ...(redirector === undefined ? {} : { redirector }) });
  const dataset = await openDataset(files, datasetOptions(options, context), context.signal);
  let servers: Connected | undefined;
  try {
    const task = bindTask(options, model, dataset);
    if (options.dryRun) return { binding: summaryOf(task, planOf(task, undefined)), outputs: [] };
    if (dataset.descriptor.rows > 0) servers = await openServers(options, model, context);
    if (servers !== undefined) checkModel(task.bound, servers.info);
    const uris = dataset.descriptor.files.map(({ descriptor }) => descriptor.uri);
    return await score(task, { servers, inputs: [options.model, ...lists, ...uris] }, context);
  } finally {
    await servers?.close();
    await closeDataset(dataset);
  }
}

function refuseNonsense({ output, dryRun, resume, force, redo }: InferOptions): void {
  if (!dryRun && output === undefined)
    throw new ColweaveError('usage/bad-option', 'no output: give -o OUT, or --dry-run');
  if (output !== undefined && !isParquetFile(output))
    throw new ColweaveError('usage/bad-option', `scores go into one Parquet file, and ${output} is none`);
  if (resume && (force || redo))
    throw new ColweaveError(
      'usage/bad-option',
      '--resume goes on with an output that is not finished, -f and --redo replace one that is',
    );
}

function datasetOptions({ schema, tree }: InferOptions, { cache }: CommandContext) {
  return {
    label: 'primary',
    schema,
    ...(tree === undefined ? {} : { tree }),
    ...(cache === undefined ? {} : { cache }),
  };
}

function isParquetFile(output: string): boolean {
  if (output === '-' || writerNamed(output) !== 'parquet') return false;
  return isRemoteTarget(output) || !isDirectory(output);
}

/** Asks, writes beside the output, publishes last. */
async function score(
  task: Task,
  { servers, inputs }: { readonly servers: Connected | undefined; readonly inputs: readonly string[] },
  context: CommandContext,
): Promise<InferReport | FreshReport> {
  const { options, dataset, key, model } = task;
  const output = options.output!;
  const plan = planOf(task, servers?.info);
  const request = requestOf(task, servers?.info);
  const fresh = await finishIfFresh(task, { request, inputs }, context);
  if (fresh.report !== undefined) return fresh.report;
  const { depfile } = options;
  refuseOverwritingInput([output, ...(depfile === undefined ? [] : [depfile])], inputs);
  const began = performance.now();
  const parts = options.resume ? openParts(output, partsOf(request, servers, plan)) : undefined;
  const format = await openSink('parquet');
  const writer = await openScores(format, {
    target: output,
    key,
    schema: dataset.descriptor.schema,
    scores: outputFields(model),
    sink: { compression: options.compression },
    force: options.force || fresh.replace,
  });
  try {
    const totals = await writeGroups(task, plan, { servers, parts, writer }, context);
    const served = await servers?.finish(
      model.outputs.map(({ name }) => name),
      context.signal,
    );
    const facts = {
      source: dataset.descriptor,
      spec: specOf(task, plan, { request, info: servers?.info, served, totals }),
      policies: policiesOf(task),
    };
    const receipt = await writer.finish(facts);
    context.signal.throwIfAborted();
    // a depfile without its output is harmless; an output without it would not be made again
    if (options.depfile !== undefined) writeDepfile(options.depfile, output, inputs);
    await writer.commit();
    if (options.receipt) writeWhole(`${output}.receipt.json`, `${receiptText(receipt)}\n`);
    parts?.remove();
    const seconds = (performance.now() - began) / 1000;
    return {
      binding: summaryOf(task, plan),
      done: { ...doneOf(task, { request, info: servers?.info, served, totals }), seconds },
      outputs: [{ path: output, rows: dataset.descriptor.rows, bytes: writer.bytes, rowGroups: writer.rowGroups }],
    };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

interface Asked {
  readonly request: Request;
  readonly inputs: readonly string[];
}

interface Writing {
  readonly servers: Connected | undefined;
  readonly parts: PartStore | undefined;
  readonly writer: ScoreWriter;
}

async function writeGroups(
  task: Task,
  { batch, sizes }: Plan,
  { servers, parts, writer }: Writing,
  { emit, signal }: CommandContext,
): Promise<Totals> {
  const totals = noTotals(task);
  if (servers === undefined) return totals;
  const { dataset, key, bound } = task;
  const finished = parts === undefined ? {} : { finished: parts.load };
  const run = { dataset, key, bound, plan: batch, groups: sizes.groups, asker: servers, ...finished, emit, signal };
  for await (const done of inferGroups(run)) {
    await writer.append(done.keys, done.columns);
    if (!done.resumed) parts?.save(done.group, done.keys, done);
    addGroup(totals, done);
  }
  return totals;
}

function partsOf({ inputs, options }: Request, servers: Connected | undefined, { sizes }: Plan) {
  const { name: model, version, configHash } = servers?.info ?? { name: '', version: '', configHash: undefined };
  return { tool: TOOL, inputs, options, model, version, configHash: configHash ?? null, groupRows: sizes.groupRows };
}

/** Errors: output/exists. */
function finishIfFresh({ options }: Task, { request, inputs }: Asked, { signal }: CommandContext): Promise<Finished> {
  const { force, redo, receipt, depfile } = options;
  const output = options.published ?? options.output!;
  const again = existsSync(partsFolder(output));
  const writer = 'parquet';
  return finishIfStanding({ output, writer, force, redo, again, receipt, depfile, request, inputs }, signal);
}
