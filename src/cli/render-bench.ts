// Reports of bench as text for people: a table of commands, one of ratios, the floor, sizes, and the bars.
import { othersCores } from '../bench/statistics.ts';
import type {
  BarResult,
  BenchReport,
  CommandReport,
  FloorPart,
  FloorReport,
  GroupReport,
  Machine,
  Spread,
} from '../bench/types.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import { table } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

export function renderBench(report: BenchReport, style: Style = PLAIN): string[] {
  const { rounds, machine, groups, bars } = report;
  return [
    style.bold(`bench join: ${rounds} round${rounds === 1 ? '' : 's'}, interleaved, each run a fresh process`),
    ...machineLines(machine),
    ...groups.flatMap((group) => groupLines(group, style)),
    ...(bars.length > 0 ? barLines(bars, style) : []),
  ];
}

function machineLines({ cores, processor, system, loadBefore, loadAfter, ...rest }: Machine): string[] {
  const load = ([minute]: readonly number[]): string => (minute ?? 0).toFixed(1);
  const { colweave, build, buildChanged, node, python, packages, measuredBy } = rest;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return [
    `  ${cores} cores (${processor}), ${formatBytes(rest.memoryBytes)}, ${system}; load ${load(loadBefore)} before, ${load(loadAfter)} after`,
    `  colweave ${colweave} (build ${build.slice(0, 12)}${buildChanged ? ', CHANGED meanwhile' : ''}), Node ${node}${python === undefined ? '' : `, Python ${python}: ${versions.join(', ')}`}`,
    `  measured by ${measuredBy}`,
  ];
}

function groupLines(group: GroupReport, style: Style): string[] {
  const inputs = group.inputs.map(
    ({ role, files, bytes, fingerprint }) =>
      `${role} ${files} file${files === 1 ? '' : 's'}, ${formatBytes(bytes)} (sha256 ${fingerprint.slice(0, 12)})`,
  );
  return [
    '',
    style.bold(`${group.data}: ${formatCount(group.events)} events; ${inputs.join('; ')}`),
    ...commandTable(group),
    `  everything else on the machine used ${othersCores(group.commands).toFixed(2)} of a core meanwhile`,
    ...group.commands.flatMap(({ name, failed }) =>
      failed === undefined ? [] : [`  ${style.bad(`${name} failed`)}: ${failed}`],
    ),
    ...group.commands.flatMap(({ name, check }) => (check === undefined ? [] : [checkLine(name, check, style)])),
    ...(group.ratios.length > 0 ? ['ratios, median of the rounds (least..most):', ...ratioTable(group)] : []),
    ...floorLines(group),
    ...sizeLines(group),
    ...group.skips.map(({ name, reason }) => `  ${style.warn(`skipped: ${name}`)}: ${reason}`),
  ];
}

function checkLine(name: string, { ok, text }: { ok: boolean; text: string }, style: Style): string {
  return `  ${ok ? style.good('right') : style.bad('WRONG')}: ${name}: ${text}`;
}

const figures = ({ median, least, most }: Spread, digits: number, unit = 1): string => {
  const text = (value: number) => (value / unit).toFixed(digits);
  return least === most ? text(median) : `${text(median)} (${text(least)}..${text(most)})`;
};

function commandTable({ commands, events }: GroupReport): string[] {
  const rows = commands
    .filter(({ runs }) => runs.length > 0)
    .map((command) => [
      command.name,
      figures(command.wallSeconds, 2),
      figures(command.cpuSeconds, 2),
      figures(command.peakBytes, 0, 1e6),
      command.outputBytes > 0 && command.name !== 'conversion' ? (command.outputBytes / 1e6).toFixed(1) : '',
      speed(command, events),
      command.does,
    ]);
  return table([['command', 'wall s', 'cpu s', 'peak MB', 'out MB', 'kHz', 'what it does'], ...rows], [1, 2, 3, 4, 5]);
}

/** Events a second, by the median. */
function speed({ role, outputBytes, wallSeconds }: CommandReport, events: number): string {
  const joins = (role === 'colweave' || role === 'peer') && outputBytes > 0;
  return joins ? (events / wallSeconds.median / 1e3).toFixed(0) : '';
}

function ratioTable({ ratios }: GroupReport): string[] {
  const rows = ratios.map(({ of, to, wall, cpu, peak }) => [
    `${of} / ${to}`,
    figures(wall, 2),
    figures(cpu, 2),
    figures(peak, 2),
  ]);
  return table([['', 'wall', 'cpu', 'peak'], ...rows], [1, 2, 3]);
}

function floorLines({ floor, floorRatios }: GroupReport): string[] {
  if (floor === undefined) return [];
  const times = floorRatios.map(({ of, cpu }) => `${of} ${figures(cpu, 2)}`);
  return [`floor: ${floorText(floor)}`, `  cpu over the floor, median of the rounds: ${times.join(', ')}`];
}

function floorText({ cpuSeconds, decompressPrimary, decompressFriend, copy, compress }: FloorReport): string {
  const part = (name: string, { cpuSeconds: seconds, bytesIn, bytesOut }: FloorPart) =>
    `${name} ${seconds.toFixed(2)} (${formatBytes(bytesIn)} to ${formatBytes(bytesOut)})`;
  return (
    `${cpuSeconds.toFixed(2)} cpu-s = ${part('decompress primary', decompressPrimary)} + ${part('friend', decompressFriend)}` +
    ` + copy ${copy.cpuSeconds.toFixed(2)} + ${part('compress', compress)}`
  );
}

export function renderFloor(report: FloorReport): string[] {
  return [`floor: ${floorText(report)}; stored pages ${formatBytes(report.storedBytes)}`];
}

function sizeLines({ rewritten }: GroupReport): string[] {
  if (rewritten === undefined) return [];
  const { colweaveBytes, smallGroupsBytes, standardBytes } = rewritten;
  return [
    `size: ${formatBytes(colweaveBytes)} = ${(colweaveBytes / standardBytes).toFixed(3)} of pyarrow's default zstd file, ` +
      `${(colweaveBytes / smallGroupsBytes).toFixed(3)} of one with row groups of 100,000`,
  ];
}

function barLines(bars: readonly BarResult[], style: Style): string[] {
  const paint = { hold: style.good, miss: style.bad, 'not measured': style.warn };
  const rows = bars.map(({ case: name, what, limit, value, verdict, reason }) => [
    name,
    what,
    value === undefined ? '' : value.toPrecision(3),
    `<= ${limit < 1 ? limit.toPrecision(2) : limit}`,
    `${paint[verdict](verdict)}${reason === undefined ? '' : `: ${reason}`}`,
  ]);
  return ['', style.bold('bars:'), ...table(rows, [2])];
}
