// Owns `colweave bench join`: data, rounds over colweave and its peers, checks, ratios, bars; nothing here is printed.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { CommandContext } from '../command/types.ts';
import { VERSION } from '../command/version.ts';
import { ColweaveError } from '../core/errors.ts';
import { judge } from './bars.ts';
import { type BenchCase, chooseCases } from './cases.ts';
import type { CheckTools } from './checks.ts';
import { type BenchData, givenData, madeData } from './data.ts';
import { runGroup } from './group.ts';
import { atExitMeasurer, type Measurer, wait4Measurer } from './measure.ts';
import { choosePeers } from './peers.ts';
import { type FoundPython, findPython, systemPython } from './python.ts';
import type { BenchOptions, BenchReport, GroupReport, Machine } from './types.ts';

const QUICK_EVENTS = 20_000;

/** `script` is the file that was started as this program, so that the same build is measured. */
export async function runBench(
  options: BenchOptions,
  script: string,
  { emit, signal }: CommandContext,
): Promise<BenchReport> {
  const cases = chooseCases(options.cases, options.joinWords);
  checkOptions(options);
  const reference = readReference(options.reference);
  const top = dirname(dirname(realpathSync(script)));
  const python = await findPython(top, options.python, signal);
  const { peers, skips } = choosePeers(options.peers, top, python);
  const self = [process.execPath, resolve(script)];
  const tools: CheckTools = { top, python, self, signal };
  const work = openWork(options.work);
  try {
    const loadBefore = loadavg();
    const build = buildOf(top);
    const groups: GroupReport[] = [];
    for (const data of await findData(options, cases, join(work, 'data'), { ...tools, emit })) {
      const measurer = measurerOf(python);
      const threads = options.peerThreads ?? availableParallelism();
      const rounds = options.quick ? 1 : options.rounds;
      const plan = { data, peers, skips, rounds, threads, work, measurer, first: groups.length === 0 };
      groups.push(await runGroup(plan, options.tree, { ...tools, emit }));
    }
    const buildChanged = build !== buildOf(top);
    if (buildChanged)
      emit({ type: 'warning', code: 'bench/build-changed', text: 'the program was built anew meanwhile' });
    const machine = { ...describeMachine(python, loadBefore, measurerOf(python).by), build, buildChanged };
    const bars = options.bars ? judge(groups, reference) : [];
    const rounds = options.quick ? 1 : options.rounds;
    const report: BenchReport = { what: 'join', quick: options.quick, rounds, machine, groups, bars };
    if (options.output !== undefined) writeResults(options.output, report);
    return report;
  } finally {
    if (options.work === undefined) rmSync(work, { recursive: true, force: true });
  }
}

function checkOptions({ primary, friend, make, quick, bars, output, force }: BenchOptions): void {
  const misuse = (message: string, hint: string): never => {
    throw new ColweaveError('usage/bad-option', message, { hint });
  };
  if (primary.length > 0 !== friend.length > 0) misuse('--primary and --friend belong together', 'give both');
  const given = [primary.length > 0, make !== undefined, quick].filter((each) => each).length;
  if (given === 0) misuse('no data', 'give --primary FILES and --friend FILES, or --make DIR, or --quick');
  if (primary.length > 0 && make !== undefined)
    misuse('data are given and made', 'give --make, or --primary and --friend');
  if (quick && bars) misuse('--quick has no bars', 'a bar wants a million events and several rounds');
  if (output !== undefined && !force && existsSync(output)) {
    throw new ColweaveError('output/exists', 'the results are there already', { where: [output] });
  }
}

function readReference(path: string | undefined): BenchReport | undefined {
  if (path === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as BenchReport;
  } catch (cause) {
    throw new ColweaveError('source/not-readable', 'these are no results of bench join', { where: [path], cause });
  }
}

function findData(
  { primary, friend, make, events, seed, quick }: BenchOptions,
  cases: readonly BenchCase[],
  spare: string,
  tools: Parameters<typeof madeData>[2],
): readonly BenchData[] | Promise<readonly BenchData[]> {
  if (primary.length > 0) return givenData(primary, friend, cases);
  const making = { folder: resolve(make ?? spare), events: quick ? QUICK_EVENTS : events, seed };
  return madeData(making, cases, tools);
}

function openWork(named: string | undefined): string {
  if (named === undefined) return mkdtempSync(join(tmpdir(), 'colweave-bench-'));
  try {
    mkdirSync(named, { recursive: true });
    readdirSync(named);
    return resolve(named);
  } catch (cause) {
    throw new ColweaveError('output/not-writable', 'the directory cannot be made', { where: [named], cause });
  }
}

/** The peers' Python, else any Python, else Node's own word for it. */
function measurerOf(python: FoundPython): Measurer {
  const path = 'absent' in python ? systemPython() : python.path;
  return path === undefined ? atExitMeasurer() : wait4Measurer(path);
}

function describeMachine(
  python: FoundPython,
  loadBefore: readonly number[],
  measuredBy: string,
): Omit<Machine, 'build' | 'buildChanged'> {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()}`,
    colweave: VERSION,
    node: process.version,
    ...('absent' in python ? {} : { python: python.version }),
    packages: 'absent' in python ? {} : python.packages,
    loadBefore,
    loadAfter: loadavg(),
    measuredBy,
  };
}

function buildOf(top: string): string {
  const entry = join(top, 'dist', 'colweave.js');
  return existsSync(entry) ? createHash('sha256').update(readFileSync(entry)).digest('hex') : 'not built';
}

function writeResults(path: string, report: BenchReport): void {
  try {
    writeFileSync(`${path}.part`, `${JSON.stringify(report, null, 1)}\n`);
    renameSync(`${path}.part`, path);
  } catch (cause) {
    rmSync(`${path}.part`, { force: true });
    throw new ColweaveError('output/not-writable', 'the results cannot be written', { where: [path], cause });
  }
}
