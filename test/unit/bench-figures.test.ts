// Medians, ratios within a round, and the bars; cases and the words they refuse.
import { expect, test } from 'vitest';
import { BARS, judge } from '../../src/bench/bars.ts';
import { CASE_NAMES, chooseCases } from '../../src/bench/cases.ts';
import { reportOf } from '../../src/bench/rounds.ts';
import { floorRatio, oneAfterTheOther, othersCores, ratioOf, spreadOf } from '../../src/bench/statistics.ts';
import { type BenchReport, benchStatus, type CommandReport, type GroupReport } from '../../src/bench/types.ts';

const run = (wallSeconds: number, cpu = wallSeconds, peakBytes = 1e8, ownSeconds = 1) => ({
  wallSeconds,
  userSeconds: cpu - 0.25,
  systemSeconds: 0.25,
  peakBytes,
  othersSeconds: 0.1 * wallSeconds,
  outputBytes: 80,
  ownSeconds,
});

const command = (name: string, role: CommandReport['role'], ...walls: number[]): CommandReport =>
  reportOf({ name, role, does: '' }, { runs: walls.map((wall) => run(wall)), stdout: '' });

test('a median of an even number of runs lies between the middle ones', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 });
  expect(spreadOf([])).toEqual({ median: 0, least: 0, most: 0 });
});

test('ratios are taken within a round: a slow round counts for both', () => {
  const ours = command('regrouped', 'colweave', 1, 10, 1);
  const theirs = command('duckdb', 'peer', 2, 20, 2);
  expect(ratioOf(ours, theirs)).toMatchObject({
    of: 'regrouped',
    to: 'duckdb',
    wall: { median: 0.5, least: 0.5, most: 0.5 },
  });
  expect(floorRatio(ours, command('floor', 'floor', 5, 5, 5)).median).toBe(1);
});

test('a round that only one of two lived through has no ratio', () => {
  expect(ratioOf(command('a', 'colweave', 1, 2), command('b', 'peer', 1)).wall).toEqual({
    median: 1,
    least: 1,
    most: 1,
  });
});

test('of two processes in a row times add up and the higher peak counts', () => {
  expect(oneAfterTheOther(run(1, 2, 5e8), run(3, 4, 3e8))).toMatchObject({
    wallSeconds: 4,
    peakBytes: 5e8,
    outputBytes: 80,
  });
  expect(othersCores([command('a', 'base', 1, 3)])).toBeCloseTo(0.1);
});

test('cases by name; words behind -- are one more; the output is not theirs to name', () => {
  expect(chooseCases([], []).map(({ name }) => name)).toEqual(['regrouped']);
  expect(chooseCases(['lzma', 'keys'], ['-j', '4']).map(({ name }) => name)).toEqual(['lzma', 'keys', 'custom']);
  expect(chooseCases([], ['-c', 'MET_*'])[0]).toMatchObject({ name: 'custom', whole: false, writes: true });
  expect(() => chooseCases(['regruoped'], [])).toThrow('there is no case "regruoped"');
  expect(() => chooseCases([], ['-j', '2', '-o', 'x'])).toThrow('"-o" is set by the bench itself');
});

function group(commands: readonly CommandReport[]): GroupReport {
  const [ours, peer] = commands as [CommandReport, CommandReport];
  return {
    data: 'given',
    inputs: [],
    events: 1000,
    commands,
    ratios: [ratioOf(ours, peer)],
    floorRatios: [{ of: ours.name, cpu: spreadOf([2.5]) }],
    skips: [],
  };
}

test('bars hold or are missed by the median; what did not run is said, not passed', () => {
  const results = judge([group([command('aligned', 'colweave', 1, 1, 9), command('uproot+awkward', 'peer', 4, 4, 4)])]);
  expect(results.map(({ what, verdict, value, reason }) => [what, verdict, value ?? reason])).toEqual([
    ['wall / uproot+awkward', 'hold', 0.25],
    ['peak MB', 'hold', 100],
    ['cpu / floor', 'hold', 2.5],
    ["file / pyarrow's default zstd", 'not measured', 'pyarrow did not write the table'],
  ]);
  const slow = judge([group([command('aligned', 'colweave', 4), command('uproot+awkward', 'peer', 4)])]);
  expect(slow[0]).toMatchObject({ verdict: 'miss', value: 1 });
});

test('time that grows faster than the data is a miss', () => {
  const small = { groups: [group([command('regrouped-j1', 'colweave', 1), command('duckdb', 'peer', 1)])] };
  const large = { ...group([command('large', 'colweave', 13), command('duckdb', 'peer', 1)]), events: 10_000 };
  const growth = (reference?: BenchReport) =>
    judge([large], reference).find(({ what }) => what.startsWith('s an event'));
  expect(growth(small as unknown as BenchReport)).toMatchObject({ value: expect.closeTo(1.3), verdict: 'miss' });
  expect(growth()).toMatchObject({ verdict: 'not measured' });
});

test('every bar is of a case that there is', () => {
  const known = [...CASE_NAMES, 'custom', 'help'];
  expect(BARS.flatMap(({ cases }) => cases).filter((name) => !known.includes(name))).toEqual([]);
});

test('a wrong output, a failure of ours or a missed bar is exit 1; a failing peer is not', () => {
  const ours = command('regrouped', 'colweave', 1);
  const peer = { ...command('duckdb', 'peer'), failed: 'exit 1: no such table' };
  const report = (commands: readonly CommandReport[], bars: BenchReport['bars'] = []) =>
    ({ groups: [{ commands }], bars }) as unknown as BenchReport;
  expect(benchStatus(report([ours, peer]))).toBe(0);
  expect(benchStatus(report([{ ...ours, check: { ok: false, text: '' } }]))).toBe(1);
  expect(benchStatus(report([{ ...ours, failed: 'exit 3' }]))).toBe(1);
  expect(benchStatus(report([ours], [{ case: 'x', what: 'y', limit: 1, value: 2, verdict: 'miss' }]))).toBe(1);
});
