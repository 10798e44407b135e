// Owns one group of commands that work on the same files: their turns, their checks, and the ratios between them.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Emit } from '../core/events.ts';
import type { BenchCase } from './cases.ts';
import { bothChecks, type CheckTools, checkReceipt, checkRows, rewrite } from './checks.ts';
import { type BenchData, sha256Of, summarise } from './data.ts';
import type { Measurer } from './measure.ts';
import { CONVERSION, type Peer } from './peers.ts';
import { PYTHON_ENV, scriptOf } from './python.ts';
import { floorOf, reportOf, type Turn, type TurnResult, takeRounds } from './rounds.ts';
import { floorRatio, oneAfterTheOther, ratioOf } from './statistics.ts';
import type { CommandReport, GroupReport, OutputCheck, Ratio, Skip } from './types.ts';

export interface GroupPlan {
  readonly data: BenchData;
  readonly peers: readonly Peer[];
  readonly skips: readonly Skip[];
  readonly rounds: number;
  readonly threads: number;
  readonly work: string;
  readonly measurer: Measurer;
  /** The start-up is measured in one group only. */
  readonly first: boolean;
}

export type GroupTools = CheckTools & { readonly emit: Emit };

export async function runGroup(plan: GroupPlan, tree: string | undefined, tools: GroupTools): Promise<GroupReport> {
  const { data, rounds, measurer } = plan;
  const inputs = [await summarise('primary', data.primary), await summarise('friend', data.friend)];
  for (const folder of ['out', 'scratch', 'copies']) mkdirSync(join(plan.work, folder), { recursive: true });
  const turns = turnsOf(plan, tree, tools);
  const results = await takeRounds({ turns, rounds, measurer, emit: tools.emit, signal: tools.signal });
  const rows = results.find(({ report }) => report.plan !== undefined)?.report.plan?.rows ?? 0;
  const checked = await checkAll(results, data.cases, rows, tools);
  const commands = withConversion(checked, plan.peers);
  const whole = results.find(({ turn, report }) => isWhole(turn, data.cases) && report.runs.length > 0);
  const skips = [...plan.skips];
  const sizes = whole === undefined ? { skipped: 'no case has all columns' } : await sizesOf(whole, rows, plan, tools);
  if ('skipped' in sizes) skips.push({ name: "size of pyarrow's file", reason: sizes.skipped });
  return {
    data: data.name,
    inputs,
    events: rows,
    commands,
    ratios: ratiosOf(commands, data.cases),
    ...floorFigures(results, data.cases),
    ...('skipped' in sizes ? {} : { rewritten: sizes }),
    skips,
  };
}

/** Cases with all columns against the peers, which have them too; others against those cases. */
function ratiosOf(commands: readonly CommandReport[], cases: readonly BenchCase[]): readonly Ratio[] {
  const ran = commands.filter(({ runs }) => runs.length > 0);
  const ours = ran.filter(({ role }) => role === 'colweave');
  const whole = ours.filter((command) => isWhole(command, cases));
  const peers = ran.filter(({ role }) => role === 'peer');
  const parts = ours.filter((command) => !whole.includes(command));
  return [
    ...whole.flatMap((of) => peers.map((to) => ratioOf(of, to))),
    ...parts.flatMap((of) => whole.map((to) => ratioOf(of, to))),
  ];
}

function floorFigures(results: readonly TurnResult[], cases: readonly BenchCase[]) {
  const floor = results.find(({ turn }) => turn.role === 'floor');
  if (floor === undefined || floor.report.runs.length === 0) return { floorRatios: [] };
  const whole = results.filter(({ turn, report }) => isWhole(turn, cases) && report.runs.length > 0);
  const floorRatios = whole.map(({ report }) => ({ of: report.name, cpu: floorRatio(report, floor.report) }));
  return { floor: floorOf(floor.stdout), floorRatios };
}

const isWhole = (turn: Pick<Turn, 'name' | 'role'>, cases: readonly BenchCase[]): boolean =>
  turn.role === 'colweave' && cases.some(({ name, whole }) => name === turn.name && whole);

function turnsOf(plan: GroupPlan, tree: string | undefined, tools: GroupTools): readonly Turn[] {
  const { data, work, first } = plan;
  const { self } = tools;
  const words = tree === undefined ? [] : ['--tree', tree];
  const ours = data.cases.map((each): Turn => {
    const output = join(work, 'out', `${each.name}.parquet`);
    const sources = [...data.primary, '--with', ...data.friend];
    const out = each.writes ? ['-o', output] : [];
    return {
      name: each.name,
      role: 'colweave',
      does: each.does,
      command: { words: [...self, 'join', ...sources, ...each.words, ...words, '--json', '--quiet', ...out] },
      ...(each.writes ? { output } : {}),
    };
  });
  const start: Turn[] = [
    { name: 'node', role: 'base', does: 'an empty Node', command: { words: [self[0]!, '-e', '0'] } },
    { name: 'help', role: 'base', does: 'colweave --help', command: { words: [...self, '--help'] } },
  ];
  return [...(first ? start : []), ...ours, ...floorTurn(ours, data, words, self), ...peerTurns(plan, tree, tools)];
}

/** On the output of the first case that has all columns. */
function floorTurn(ours: readonly Turn[], data: BenchData, words: readonly string[], self: readonly string[]): Turn[] {
  const whole = ours.find((turn) => isWhole(turn, data.cases));
  if (whole === undefined) return [];
  const sources = ['--primary', ...data.primary, '--friend', ...data.friend, '--joined', whole.output!];
  return [
    {
      name: 'floor',
      role: 'floor',
      does: 'the codec calls and one copy, nothing else',
      command: { words: [...self, 'bench', 'floor', ...sources, ...words, '--json', '--quiet'] },
    },
  ];
}

function peerTurns({ data, peers, threads, work, measurer }: GroupPlan, tree: string | undefined, tools: GroupTools) {
  const { top, python } = tools;
  if ('absent' in python || !measurer.anyCommand) return [];
  const copies = join(work, 'copies');
  const scratch = join(work, 'scratch');
  const copiesOf = (role: 'primary' | 'friend') =>
    data[role].map((_, i) => join(copies, role, `${String(i).padStart(4, '0')}.parquet`));
  const turn = (script: string, primary: readonly string[], friend: readonly string[], out: string) => {
    const more = ['--threads', `${threads}`, '--scratch', scratch, ...(tree === undefined ? [] : ['--tree', tree])];
    const words = [python.path, scriptOf(top, script)!, '--primary', ...primary, '--friend', ...friend];
    return { command: { words: [...words, '--out', out, ...more], env: PYTHON_ENV, cwd: scratch }, output: out };
  };
  const turns = peers.map((peer): Turn => {
    const out = join(work, 'out', `${peer.name}.parquet`);
    const [primary, friend] = peer.fromCopies ? [copiesOf('primary'), copiesOf('friend')] : [data.primary, data.friend];
    return { name: peer.name, role: 'peer', does: peer.does, ...turn(peer.script, primary, friend, out) };
  });
  const firstCopy = peers.findIndex(({ fromCopies }) => fromCopies);
  if (firstCopy === -1) return turns;
  const { name, does, script } = CONVERSION;
  const conversion: Turn = { name, role: 'base', does, ...turn(script, data.primary, data.friend, copies) };
  return [...turns.slice(0, firstCopy), conversion, ...turns.slice(firstCopy)];
}

/** After the last round, outside of what is measured. */
async function checkAll(
  results: readonly TurnResult[],
  cases: readonly BenchCase[],
  rows: number,
  tools: GroupTools,
): Promise<readonly CommandReport[]> {
  const reports: CommandReport[] = [];
  let reference: string | undefined;
  for (const { turn, report } of results) {
    if (turn.output === undefined || turn.name === CONVERSION.name || report.runs.length === 0) {
      reports.push(report);
      continue;
    }
    tools.emit({ type: 'progress', stage: `checking ${turn.name}`, done: reports.length, total: results.length });
    let check = await checkRows(turn.output, rows, tools);
    if (turn.role === 'colweave') {
      check = bothChecks(check, await checkReceipt(turn.output, tools));
      if (isWhole(turn, cases) && turn.name !== 'custom') {
        const sum = await sha256Of(turn.output);
        if (reference !== undefined) check = bothChecks(check, sameBytes(sum === reference));
        reference ??= sum;
      }
    }
    reports.push({ ...report, check });
  }
  return reports;
}

/** Whatever -j and --memory are. */
const sameBytes = (same: boolean): OutputCheck =>
  same ? { ok: true, text: 'same bytes as the case above' } : { ok: false, text: 'OTHER BYTES than the case above' };

function sizesOf({ turn, report }: TurnResult, rows: number, { work }: GroupPlan, tools: GroupTools) {
  return rewrite({ path: turn.output!, bytes: report.outputBytes, rows }, join(work, 'scratch'), tools);
}

/** A peer that needs copies, counted from the ROOT files on: the conversion of the same round before it. */
function withConversion(reports: readonly CommandReport[], peers: readonly Peer[]): readonly CommandReport[] {
  const conversion = reports.find(({ name }) => name === CONVERSION.name);
  if (conversion === undefined || conversion.runs.length === 0) return reports;
  return reports.flatMap((report) => {
    const peer = peers.find(({ name }) => name === report.name);
    if (peer?.fromCopies !== true || report.runs.length === 0) return [report];
    const runs = report.runs.map((run, round) => oneAfterTheOther(conversion.runs[round]!, run));
    const both = { name: `${peer.name}+conversion`, role: 'peer' as const, does: `conversion, then ${peer.name}` };
    return [report, reportOf(both, { runs, stdout: '' })];
  });
}
