// Runs one command line: calls the command, has its report or error told, and ends with the right status.
import { benchStatus } from '../bench/types.ts';
import type { CommandContext, VerifyReport } from '../command/types.ts';
import type { WorkEvent } from '../core/events.ts';
import { isDamage } from '../verify/findings.ts';
import type { Manners } from './define.ts';
import { abortOnSignals, asColweaveError, isBrokenPipe, Pipe, signalExit } from './exit.ts';
import { parseAndRun } from './parse.ts';
import type { Actions } from './program.ts';
import { renderBench, renderFloor } from './render-bench.ts';
import { cacheStatus, fetchStatus, renderCache, renderFetch } from './render-fetch.ts';
import { renderDescribe, renderInfer } from './render-infer.ts';
import type { Report } from './render-json.ts';
import { outcomeStatus, renderOutcome } from './render-outcome.ts';
import { renderSchema } from './render-schema.ts';
import { renderVerify } from './render-verify.ts';
import type { Style } from './style.ts';
import {
  progressOf,
  tellError,
  tellEvent,
  tellInterrupted,
  tellReport,
  tellStats,
  type Voice,
  voiceOf,
} from './voice.ts';

/** What one run holds while it lasts. */
interface Run {
  readonly controller: AbortController;
  readonly stdout: Pipe;
  readonly stderr: Pipe;
  dataOnStdout: boolean;
  /** Several outputs, each published by itself. */
  many: boolean;
  voice: Voice;
  status: number;
}

export async function runProgram(argv: readonly string[]): Promise<never> {
  const run = startRun(argv);
  const { caught } = abortOnSignals(run.controller);
  try {
    await parseAndRun(argv, actionsOf(run), (text) => run.stdout.write(text));
  } catch (error) {
    const signal = caught();
    if (signal !== undefined) {
      run.status = signalExit(signal);
      tellInterrupted(run.voice, signal, run);
    } else if (isBrokenPipe(error) || (run.dataOnStdout && run.stdout.closed)) {
      run.status = 0;
    } else {
      const coded = asColweaveError(error);
      run.status = coded.exit;
      tellError(run.voice, coded);
    }
  }
  await Promise.all([run.stdout.flushed(), run.stderr.flushed()]);
  process.exit(run.status);
}

/** Errors of parsing come before the parser says how to talk: look for the words themselves. */
function startRun(argv: readonly string[]): Run {
  const controller = new AbortController();
  const stdout = new Pipe(process.stdout, () => {
    if (run.dataOnStdout) controller.abort(new Error('standard output was closed'));
  });
  const stderr = new Pipe(process.stderr);
  const manners: Manners = { json: argv.includes('--json'), quiet: false, debug: argv.includes('--debug') };
  const name = /^(join|verify|schema|fetch|infer|bench)$/.test(argv[0] ?? '') ? argv[0]! : '';
  const voice = voiceOf(name, manners, stdout, stderr, false);
  const run: Run = { controller, stdout, stderr, dataOnStdout: false, many: false, voice, status: 0 };
  return run;
}

/** The commands are loaded when called: help and version need neither jsroot nor arrow. */
function actionsOf(run: Run): Actions {
  return {
    join: (options, manners) => {
      run.dataOnStdout = options.output === '-' && !options.dryRun;
      run.many = options.fileset !== undefined;
      run.voice = voiceOf('join', manners, run.stdout, run.stderr, run.dataOnStdout);
      const work = async (context: CommandContext) =>
        options.fileset === undefined
          ? (await import('../command/join.ts')).runJoin(options, context)
          : (await import('../command/fileset.ts')).runFileset(options, context);
      return perform(run, work, (report, style) => renderOutcome(report, options.dryRun, style), outcomeStatus);
    },
    verify: (options, manners) => {
      run.voice = voiceOf('verify', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) =>
        (await import('../command/verify.ts')).runVerify(options, context);
      return perform(run, work, renderVerify, (report) => (saysNo(report) ? 1 : 0));
    },
    schema: (options, manners) => {
      run.voice = voiceOf('schema', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) =>
        (await import('../command/schema.ts')).runSchema(options, context);
      return perform(run, work, renderSchema);
    },
    fetch: (options, manners) => {
      run.many = true;
      run.voice = voiceOf('fetch', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) => (await import('../command/fetch.ts')).runFetch(options, context);
      return perform(run, work, renderFetch, fetchStatus);
    },
    cacheTask: (task, manners) => {
      run.voice = voiceOf('fetch', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) =>
        (await import('../command/cache-task.ts')).runCacheTask(task, context);
      return perform(run, work, renderCache, cacheStatus);
    },
    infer: (options, manners) => {
      run.voice = voiceOf('infer', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) => (await import('../command/infer.ts')).runInfer(options, context);
      return perform(run, work, (report, style) => renderInfer(report, options.stats, style));
    },
    describe: (options, manners) => {
      run.voice = voiceOf('infer', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) =>
        (await import('../command/describe.ts')).runDescribe(options, context);
      return perform(run, work, renderDescribe);
    },
    benchJoin: (options, manners) => {
      run.voice = voiceOf('bench', manners, run.stdout, run.stderr, false);
      const work = async (context: CommandContext) =>
        (await import('../bench/run.ts')).runBench(options, process.argv[1]!, context);
      return perform(run, work, renderBench, benchStatus);
    },
    benchFloor: (options, manners) => {
      run.voice = voiceOf('bench', manners, run.stdout, run.stderr, false);
      const work = async ({ signal }: CommandContext) =>
        (await import('../bench/floor.ts')).measureFloor(options, signal);
      return perform(run, work, renderFloor);
    },
  };
}

function saysNo({ files, relation, lumis }: VerifyReport): boolean {
  const mixed = files.some((file) => file.verdict === 'mixed-or-damaged');
  return mixed || relation?.holds === false || (lumis?.findings ?? []).some(isDamage);
}

async function perform<R extends Report>(
  run: Run,
  work: (context: CommandContext) => Promise<R>,
  render: (report: R, style: Style) => string[],
  statusOf: (report: R) => number = () => 0,
): Promise<void> {
  const { voice } = run;
  const progress = await progressOf(voice);
  try {
    const context = { signal: run.controller.signal, emit: (event: WorkEvent) => tellEvent(event, voice, progress) };
    const report = await work(context).finally(() => {
      progress.clear();
      tellStats(voice);
    });
    run.status = statusOf(report);
    if (run.dataOnStdout && run.stdout.closed) return;
    tellReport(voice, report, run.status, (style) => render(report, style));
  } finally {
    progress.clear();
  }
}
