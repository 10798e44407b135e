// Owns the bars that colweave has set itself, as ratios to named peers and as limits of memory; `--bars` tells which ones hold.
import { spreadOf } from './statistics.ts';
import type { BarResult, BenchReport, CommandReport, GroupReport, Ratio } from './types.ts';

const MB = 1e6;
const AK = 'uproot+awkward';

/** What a bar looks at: one command of a group. */
interface Scene {
  readonly group: GroupReport;
  readonly command: CommandReport;
  readonly all: readonly CommandReport[];
  readonly reference?: BenchReport;
}

/** A figure, or why there is none. */
type Figure = number | string;

interface Bar {
  readonly cases: readonly string[];
  readonly what: string;
  readonly limit: number;
  readonly figure: (scene: Scene) => Figure;
}

const against =
  (peer: string, figure: 'wall' | 'cpu') =>
  ({ group, command }: Scene): Figure => {
    const ratio: Ratio | undefined = group.ratios.find(({ of, to }) => of === command.name && to === peer);
    return ratio?.[figure].median ?? `${peer} did not run`;
  };

const peakMB = ({ command }: Scene): Figure => command.peakBytes.median / MB;

const floorTimes = ({ group, command }: Scene): Figure =>
  group.floorRatios.find(({ of }) => of === command.name)?.cpu.median ?? 'the floor did not run';

function fileSize({ group, command }: Scene): Figure {
  if (group.rewritten === undefined) return 'pyarrow did not write the table';
  return command.outputBytes / group.rewritten.standardBytes;
}

const other = ({ all }: Scene, name: string): CommandReport | undefined =>
  all.find((command) => command.name === name && command.runs.length > 0);

function wallToFull(scene: Scene): Figure {
  const ratio = scene.group.ratios.find(({ of, to }) => of === scene.command.name && to === 'regrouped');
  return ratio?.wall.median ?? 'case regrouped did not run';
}

/** A dry run reads the program, metadata and keys; what is read beyond that must be the columns' own bytes. */
function readTimes(scene: Scene): Figure {
  const { command } = scene;
  const dry = other(scene, 'keys')?.runs.at(-1)?.readBytes;
  const read = command.runs.at(-1)?.readBytes;
  if (dry === undefined || read === undefined) return 'case keys did not run, or the system counts no bytes';
  return (read - dry) / command.plan!.bytesToRead;
}

function keySeconds(scene: Scene): Figure {
  const help = other(scene, 'help');
  if (help === undefined) return 'no start-up was measured';
  const pairs = scene.command.runs.map((run, round) => run.wallSeconds - help.runs[round]!.wallSeconds);
  return (spreadOf(pairs).median / scene.group.events) * 1e6;
}

function startMs(scene: Scene): Figure {
  const node = other(scene, 'node');
  if (node === undefined) return 'an empty Node did not run';
  const pairs = scene.command.runs.map((run, round) => run.wallSeconds - node.runs[round]!.wallSeconds);
  return spreadOf(pairs).median * 1e3;
}

function scratchTimes({ group, command }: Scene): Figure {
  const { writtenBytes, outputBytes } = command.runs.at(-1)!;
  if (writtenBytes === undefined || group.floor === undefined) return 'no bytes were counted';
  return (writtenBytes - outputBytes) / group.floor.decompressFriend.bytesOut;
}

/** Seconds an event, over those of the smaller join: a time that grows faster than the data shows here. */
function growth({ group, command, reference }: Scene): Figure {
  for (const small of reference?.groups ?? []) {
    const like = small.commands.find(({ name, runs }) => name === 'regrouped-j1' && runs.length > 0);
    if (like === undefined) continue;
    return command.wallSeconds.median / group.events / (like.wallSeconds.median / small.events);
  }
  return 'give --reference, results with the case regrouped-j1';
}

const WHOLE = ['regrouped', 'regrouped-j1', 'regrouped-slot', 'aligned', 'lzma', 'custom'];

export const BARS: readonly Bar[] = [
  { cases: ['regrouped'], what: `wall / ${AK}`, limit: 0.38, figure: against(AK, 'wall') },
  { cases: ['regrouped'], what: 'wall / duckdb on ready copies', limit: 0.9, figure: against('duckdb', 'wall') },
  { cases: ['regrouped'], what: 'peak MB', limit: 500, figure: peakMB },
  { cases: ['regrouped-j1', 'regrouped-slot'], what: `cpu / ${AK}`, limit: 0.7, figure: against(AK, 'cpu') },
  { cases: ['regrouped-slot'], what: 'peak MB', limit: 320, figure: peakMB },
  { cases: ['aligned'], what: `wall / ${AK}`, limit: 0.34, figure: against(AK, 'wall') },
  { cases: ['aligned'], what: 'peak MB', limit: 350, figure: peakMB },
  { cases: ['lzma'], what: `wall / ${AK}`, limit: 0.55, figure: against(AK, 'wall') },
  { cases: WHOLE, what: 'cpu / floor', limit: 3, figure: floorTimes },
  { cases: WHOLE, what: "file / pyarrow's default zstd", limit: 0.85, figure: fileSize },
  { cases: ['large'], what: 'peak MB', limit: 1300, figure: peakMB },
  { cases: ['large'], what: 'scratch / payload', limit: 1.2, figure: scratchTimes },
  { cases: ['large'], what: 's an event / those of regrouped-j1', limit: 1.2, figure: growth },
  { cases: ['columns'], what: 'wall / case regrouped', limit: 1 / 6, figure: wallToFull },
  { cases: ['columns'], what: 'bytes read / bytes of its columns', limit: 1.02, figure: readTimes },
  { cases: ['keys'], what: 's a million events', limit: 0.5, figure: keySeconds },
  { cases: ['help'], what: 'ms over an empty Node', limit: 60, figure: startMs },
];

/** One result for each bar and each case that was run. */
export function judge(groups: readonly GroupReport[], reference?: BenchReport): readonly BarResult[] {
  const all = groups.flatMap(({ commands }) => commands);
  return BARS.flatMap(({ cases, what, limit, figure }) =>
    groups.flatMap((group) =>
      group.commands
        .filter(({ name, role }) => cases.includes(name) && role !== 'peer')
        .map((command): BarResult => {
          const bar = { case: command.name, what, limit };
          if (command.runs.length === 0) return { ...bar, verdict: 'not measured', reason: 'it failed' };
          const value = figure({ group, command, all, ...(reference === undefined ? {} : { reference }) });
          if (typeof value === 'string') return { ...bar, verdict: 'not measured', reason: value };
          return { ...bar, value, verdict: value <= limit ? 'hold' : 'miss' };
        }),
    ),
  );
}
