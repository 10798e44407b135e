// Owns the figures of several runs: median with spread, and ratios taken pair by pair within a round.
import type { CommandReport, Ratio, RunFigures, Spread } from './types.ts';

export const cpuSeconds = (run: RunFigures): number => run.userSeconds + run.systemSeconds;

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { median: 0, least: 0, most: 0 };
  const sorted = [...values].sort((left, right) => left - right);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** Rounds have both runs: what the machine did meanwhile, it did to both. */
export function ratioOf(of: CommandReport, to: CommandReport): Ratio {
  const pairs = of.runs.slice(0, to.runs.length).map((run, round) => [run, to.runs[round]!] as const);
  const each = (figure: (run: RunFigures) => number) =>
    spreadOf(pairs.map(([mine, theirs]) => figure(mine) / figure(theirs)));
  return {
    of: of.name,
    to: to.name,
    wall: each((run) => run.wallSeconds),
    cpu: each(cpuSeconds),
    peak: each((run) => run.peakBytes),
  };
}

/** One process after the other: times add up, of peaks the higher counts. */
export function oneAfterTheOther(first: RunFigures, second: RunFigures): RunFigures {
  return {
    wallSeconds: first.wallSeconds + second.wallSeconds,
    userSeconds: first.userSeconds + second.userSeconds,
    systemSeconds: first.systemSeconds + second.systemSeconds,
    peakBytes: Math.max(first.peakBytes, second.peakBytes),
    othersSeconds: first.othersSeconds + second.othersSeconds,
    outputBytes: second.outputBytes,
  };
}

/** cpu of a command over the seconds that the floor says of itself, round by round. */
export function floorRatio(command: CommandReport, floor: CommandReport): Spread {
  const pairs = command.runs.slice(0, floor.runs.length);
  return spreadOf(pairs.map((run, round) => cpuSeconds(run) / floor.runs[round]!.ownSeconds!));
}

/** Cores that everything else used while the commands ran: what a reader must know before he trusts a time. */
export function othersCores(commands: readonly CommandReport[]): number {
  const runs = commands.flatMap((command) => command.runs);
  const wall = runs.reduce((sum, run) => sum + run.wallSeconds, 0);
  return wall === 0 ? 0 : runs.reduce((sum, run) => sum + run.othersSeconds, 0) / wall;
}
