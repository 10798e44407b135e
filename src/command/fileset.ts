// Owns `join --fileset`: one join a dataset, each published by itself, and the fileset of what came out.
import { rmSync } from 'node:fs';
import { isRemoteTarget } from '../bytes/target.ts';
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { type FilesetDataset, type FilesetFile, readFileset } from '../source/fileset.ts';
import { writeDepfile } from './depfile.ts';
import { finishIfFresh } from './finished.ts';
import { touchIfOlder } from './fresh.ts';
import { runJoin } from './join.ts';
import { closeSources, inputsOf, type Opened, openSources } from './open-sources.ts';
import { isDirectory, refuseOverwritingInput } from './output.ts';
import type {
  CommandContext,
  FilesetReport,
  FreshReport,
  JoinOptions,
  JoinReport,
  RunFileset,
  SourceWords,
} from './types.ts';
import { readIfThere, writeIfOther } from './whole-file.ts';

/** What coffea and make are given: written last, when all datasets are there. */
const FILESET_FILE = 'fileset.json';
/** What is wrong with one dataset's data need not stop the others. */
const ITS_OWN = [1, 3];

interface Task {
  readonly dataset: FilesetDataset;
  readonly directory: string;
  readonly options: JoinOptions;
}

/**
 * All datasets are opened and their columns compared before the first is joined. Then each is joined and published; what is
 * up to date is left alone, so that a second run does what is left. Errors: source/bad-fileset and those of a join.
 */
export const runFileset: RunFileset = async (options, context) => {
  const { output, dryRun, depfile } = options;
  if (!dryRun && (output === undefined || output === '-' || !isDirectory(output))) {
    throw new ColweaveError('usage/bad-option', '--fileset makes a directory a dataset', { hint: 'give -o DIR/' });
  }
  if (!dryRun && isRemoteTarget(output!)) {
    throw new ColweaveError('usage/bad-option', '--fileset writes to directories here', { where: [output!] });
  }
  const folder = output?.replace(/\/+$/, '') ?? '';
  const tasks = tasksOf(options, folder, context);
  const inputs = [options.fileset!, ...options.friends.flatMap(({ files }) => files)];
  const fresh: (FreshReport | undefined)[] = [];
  for (const task of tasks) {
    const look = await lookAt(task, context);
    inputs.push(...look.inputs);
    fresh.push(look.fresh);
  }
  const target = `${folder}/${FILESET_FILE}`;
  if (!dryRun) refuseOverwritingInput([target, ...(depfile === undefined ? [] : [depfile])], inputs);
  // from the first dataset that changes until all are there, nobody is told that they are
  if (!dryRun && fresh.includes(undefined)) rmSync(target, { force: true });
  const datasets: FilesetReport['datasets'][number][] = [];
  for (const [done, task] of tasks.entries()) {
    context.emit({ type: 'progress', stage: 'datasets', done, total: tasks.length });
    try {
      datasets.push(await joinOne(task, fresh[done], context));
    } catch (error) {
      notePublished(datasets, context.emit);
      throw error;
    }
  }
  if (dryRun || datasets.some(({ outcome }) => 'error' in outcome)) return { datasets };
  if (depfile !== undefined) writeDepfile(depfile, target, inputs);
  const text = filesetText(tasks, datasets);
  const upToDate = readIfThere(target) === text && datasets.every(({ outcome }) => 'upToDate' in outcome);
  writeIfOther(target, text);
  touchIfOlder(target, inputs);
  return { datasets, fileset: target, ...(upToDate ? { upToDate } : {}) };
};

/** What stops everything does not take back what is done. */
function notePublished(datasets: FilesetReport['datasets'], emit: CommandContext['emit']): void {
  const names = datasets.filter(({ outcome }) => !('error' in outcome)).map(({ name }) => name);
  if (names.length > 0) emit({ type: 'note', text: `done before, and left as they are: ${names.join(', ')}` });
}

function tasksOf(options: JoinOptions, folder: string, { emit }: CommandContext): readonly Task[] {
  const datasets = readFileset(options.fileset!);
  const friends = options.friends.map((friend) => ({ friend, datasets: friendFileset(friend) }));
  for (const { friend, datasets: own } of friends) noteExtra(friend, own, datasets, emit);
  const { fileset: _, depfile: _depfile, ...shared } = options;
  const seen = new Map<string, string>();
  return datasets.map((dataset) => {
    const directory = `${folder}/${folderName(dataset.name, options.fileset!, seen)}/`;
    return {
      dataset,
      directory,
      options: {
        ...shared,
        primary: dataset.files.map(wordOf),
        friends: friends.map(({ friend, datasets: own }) => friendOf(friend, own, dataset.name)),
        sample: dataset.name,
        ...(options.dryRun ? {} : { output: directory }),
      },
    };
  });
}

/** `/TTto2L2Nu/Run3Summer22/NANOAODSIM` has a folder of its own, not three. */
function folderName(name: string, path: string, seen: Map<string, string>): string {
  const folder = name.replace(/^\/+/, '').replaceAll('/', '__');
  const other = seen.get(folder);
  const fault = other !== undefined ? `it would share its folder with ${other}` : 'it cannot name a folder';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what no file name should hold
  if (other === undefined && /^[^._\x00-\x1f][^\x00-\x1f]*$/.test(folder)) {
    seen.set(folder, name);
    return folder;
  }
  throw new ColweaveError('source/bad-fileset', `dataset "${name}": ${fault}`, { where: [path] });
}

function friendFileset({ files, label }: SourceWords): readonly FilesetDataset[] {
  const [path] = files;
  if (files.length === 1 && path !== undefined && /\.json(\.gz)?$/.test(path)) return readFileset(path);
  throw new ColweaveError(
    'usage/bad-option',
    'with --fileset a friend is one fileset too: a JSON of the same datasets',
    {
      where: [`--with ${label === undefined ? '' : `${label}: `}${files.join(' ')}`],
    },
  );
}

function friendOf(friend: SourceWords, datasets: readonly FilesetDataset[], name: string): SourceWords {
  const own = datasets.find((dataset) => dataset.name === name);
  if (own !== undefined) return { ...friend, files: own.files.map(wordOf) };
  const near = nearestNames(
    name,
    datasets.map((dataset) => dataset.name),
  );
  throw new ColweaveError('source/bad-fileset', `the friend has no dataset "${name}"`, {
    where: [...friend.files],
    near,
  });
}

function noteExtra(
  { files }: SourceWords,
  own: readonly FilesetDataset[],
  datasets: readonly FilesetDataset[],
  emit: CommandContext['emit'],
): void {
  const extra = own.filter(({ name }) => !datasets.some((dataset) => dataset.name === name));
  if (extra.length === 0) return;
  const names = extra.map(({ name }) => name).join(', ');
  emit({ type: 'note', text: `datasets of ${files[0]} that the fileset does not name: ${names}` });
}

/** A path is a path here, whatever it begins with. */
function wordOf({ path, tree }: FilesetFile): string {
  const word = /^[@-]/.test(path) ? `./${path}` : path;
  return tree === undefined ? word : `${word}:${tree}`;
}

/** Opens all files of a dataset, so that what is absent or does not fit is told before anything is written; gives its inputs. */
async function lookAt({ dataset, options }: Task, context: CommandContext) {
  let opened: Opened | undefined;
  try {
    opened = await openSources(options, context);
    const { files } = opened.datasets[0]!.descriptor;
    if (files.length === dataset.files.length) {
      for (const [i, { descriptor }] of files.entries()) refuseOtherEntries(dataset.files[i]!, descriptor);
    }
    const { report } = await finishIfFresh(options, opened, context);
    return { inputs: inputsOf(opened, options), fresh: report };
  } catch (error) {
    throw inDataset(error, dataset.name);
  } finally {
    if (opened !== undefined) await closeSources(opened);
  }
}

function refuseOtherEntries({ entries }: FilesetFile, { uri, rows }: { readonly uri: string; readonly rows: number }) {
  if (entries === undefined || entries === rows) return;
  throw new ColweaveError('source/bad-fileset', `the file has ${rows} events, the fileset says ${entries}`, {
    where: [uri],
    hint: 'the file was replaced, or the steps leave out events: make the fileset anew',
  });
}

function inDataset(error: unknown, name: string): unknown {
  if (!(error instanceof ColweaveError)) return error;
  const { code, message, where, near, hint, details, cause } = error;
  return new ColweaveError(code, message, { where, near, hint, cause, details: [`in dataset ${name}`, ...details] });
}

async function joinOne(
  { dataset: { name }, directory, options }: Task,
  fresh: FreshReport | undefined,
  context: CommandContext,
): Promise<FilesetReport['datasets'][number]> {
  try {
    return { name, directory, outcome: fresh ?? (await runJoin(options, context)) };
  } catch (error) {
    if (!(error instanceof ColweaveError) || !ITS_OWN.includes(error.exit)) throw inDataset(error, name);
    const { code, exit, message, where, near, hint, details } = error;
    return { name, directory, outcome: { error: { code, exit, message, where, near, hint, details } } };
  }
}

/** In the form that Runner(format="parquet") takes; a tree name is asked for and not used there. */
function filesetText(tasks: readonly Task[], datasets: FilesetReport['datasets']): string {
  const members = datasets.map(({ name, outcome }, i) => {
    const outputs = (outcome as JoinReport).outputs;
    const files = Object.fromEntries(outputs.map(({ path }) => [path, 'Events']));
    return [name, { files, metadata: tasks[i]!.dataset.metadata }] as const;
  });
  return `${JSON.stringify(Object.fromEntries(members), undefined, 2)}\n`;
}
