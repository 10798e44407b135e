// Owns the rounds: every command once a round, one after the other, each in a fresh process, so that all meet the same machine.
import { rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Emit } from '../core/events.ts';
import { type Command, lastLine, type Measurer } from './measure.ts';
import { cpuSeconds, spreadOf } from './statistics.ts';
import type { CommandReport, FloorReport, PlanFigures, RunFigures } from './types.ts';

/** A command that takes its turn in every round. */
export interface Turn {
  readonly name: string;
  readonly role: CommandReport['role'];
  readonly does: string;
  readonly command: Command;
  /** Where it writes; taken away before each run. */
  readonly output?: string;
}

interface Taken {
  readonly runs: RunFigures[];
  stdout: string;
  failed?: string;
}

export interface Round {
  readonly turns: readonly Turn[];
  readonly rounds: number;
  readonly measurer: Measurer;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface TurnResult {
  readonly turn: Turn;
  readonly report: CommandReport;
  /** Of the last run. */
  readonly stdout: string;
}

/** A command that fails once is not run again; the others go on. */
export async function takeRounds({ turns, rounds, measurer, emit, signal }: Round): Promise<readonly TurnResult[]> {
  const taken = new Map(turns.map((turn): [Turn, Taken] => [turn, { runs: [], stdout: '' }]));
  let done = 0;
  for (let round = 1; round <= rounds; round++) {
    for (const [turn, result] of taken) {
      emit({ type: 'progress', stage: `round ${round}: ${turn.name}`, done: done++, total: rounds * turns.length });
      if (result.failed === undefined) await takeTurn(turn, result, measurer, signal);
    }
  }
  return [...taken].map(([turn, result]) => ({ turn, report: reportOf(turn, result), stdout: result.stdout }));
}

async function takeTurn(turn: Turn, result: Taken, measurer: Measurer, signal: AbortSignal): Promise<void> {
  if (turn.output !== undefined) rmSync(turn.output, { recursive: true, force: true });
  const before = busySeconds();
  const { exit, stdout, stderr, usage } = await measurer.run(turn.command, signal);
  const busy = busySeconds() - before;
  if (exit !== 0 || usage === undefined) {
    result.failed = `exit ${exit}: ${lastLine(stderr) || lastLine(stdout)}`;
    return;
  }
  result.stdout = stdout;
  const written = turn.output === undefined ? undefined : statSync(turn.output, { throwIfNoEntry: false });
  const outputBytes = written?.isFile() ? written.size : 0;
  const ownSeconds = turn.role === 'floor' ? floorOf(stdout).cpuSeconds : undefined;
  const othersSeconds = Math.max(0, busy - usage.userSeconds - usage.systemSeconds);
  result.runs.push({ ...usage, othersSeconds, outputBytes, ...(ownSeconds === undefined ? {} : { ownSeconds }) });
}

/** cpu of all processes since the machine started. */
function busySeconds(): number {
  const ticks = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return ticks / 1e3;
}

export const floorOf = (stdout: string): FloorReport => JSON.parse(lastLine(stdout)) as FloorReport;

export function reportOf(
  { name, role, does }: Pick<Turn, 'name' | 'role' | 'does'>,
  { runs, failed, stdout }: { readonly runs: readonly RunFigures[]; readonly failed?: string; readonly stdout: string },
): CommandReport {
  return {
    name,
    role,
    does,
    runs,
    wallSeconds: spreadOf(runs.map((run) => run.wallSeconds)),
    cpuSeconds: spreadOf(runs.map(cpuSeconds)),
    peakBytes: spreadOf(runs.map((run) => run.peakBytes)),
    outputBytes: runs.at(-1)?.outputBytes ?? 0,
    ...(failed === undefined ? {} : { failed }),
    ...(role === 'colweave' && stdout !== '' ? { plan: planOf(stdout) } : {}),
  };
}

/** The summary that `colweave join --json` ends with. */
function planOf(stdout: string): PlanFigures {
  const { plan } = JSON.parse(lastLine(stdout)) as {
    plan: { rowsOut: number; scratchBytes: number; sources: { bytesToRead: number; path: string }[] };
  };
  return {
    rows: plan.rowsOut,
    bytesToRead: plan.sources.reduce((sum, { bytesToRead }) => sum + bytesToRead, 0),
    scratchBytes: plan.scratchBytes,
    paths: plan.sources.map(({ path }) => path),
  };
}
