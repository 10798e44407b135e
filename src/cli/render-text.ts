// Reports and messages as text for people: pure functions from data to lines.
import type { JoinReport, PlanSummary, ScoresSummary, SourceSummary } from '../command/types.ts';
import type { ColweaveError } from '../core/errors.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import { witnessLines } from './render-witness.ts';
import { PLAIN, type Style } from './style.ts';

export const plural = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;

/** Columns padded to equal width; numbers (`right`) to the right. The last column is never padded. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = [], indent = '  '): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      if (right.includes(column)) return cell.padStart(widths[column]!);
      return column === row.length - 1 ? cell : cell.padEnd(widths[column]!);
    });
    return `${indent}${cells.join('  ')}`.trimEnd();
  });
}

/** Of rows that were sent to a model twice. */
export const spotText = (rows: number, style: Style): string =>
  `spot check: ${formatCount(rows)} rows asked again, ${style.good('all agree')}`;

function scoresText({ model, rows, requests, nonFinite, spotRows }: ScoresSummary, style: Style): string[] {
  const bad = nonFinite.filter(({ values }) => values > 0);
  return [
    `scores of ${model}: ${plural(rows, 'row')} in ${plural(requests, 'request')}`,
    ...(spotRows === 0 ? [] : [spotText(spotRows, style)]),
    ...(bad.length === 0
      ? []
      : [style.warn(`not finite: ${bad.map(({ name, values }) => `${name} ${formatCount(values)}`).join(', ')}`)]),
  ];
}

export function renderJoin(report: JoinReport, dryRun: boolean, style: Style = PLAIN): string[] {
  const { plan, outputs, scores } = report;
  const lines = [headline(plan, dryRun, style), ...sourceTable(plan.sources, dryRun)];
  lines.push(...leftOut(plan.sources), ...storedOnce(plan.equal), ...cutFlow(plan.selection));
  if (dryRun) {
    lines.push(
      `would write ${shape(plan.rowsOut, plan.columnsOut.length)}, ${formatCount(plan.rowGroupRows)} rows a row group; ` +
        `reads ${formatBytes(sum(plan.sources.map((source) => source.bytesToRead)))}, needs about ${formatBytes(plan.memoryBytes)} of memory${scratchText(plan.scratchBytes)}`,
    );
    lines.push('columns:', ...columnTable(plan));
  }
  for (const output of outputs) {
    const groups = plural(output.rowGroups, 'row group');
    const where = output.path === '-' ? 'standard output' : output.path;
    lines.push(
      `wrote ${style.bold(where)}: ${shape(output.rows, plan.columnsOut.length)}, ${groups}, ${formatBytes(output.bytes)}`,
    );
  }
  lines.push(...carriedLines(report));
  if (!dryRun) {
    if (scores !== undefined) lines.push(...scoresText(scores, style));
    lines.push(style.good(`seals equal: ${plural(report.sealsEqual, 'column')}, as read and as written`));
  }
  lines.push(...witnessLines(report.witness ?? [], dryRun));
  lines.push(
    ...(plan.overlaps ?? []).map(
      ({ kept, dropped, rows }) => `  ${plural(rows, 'event')} of ${dropped} left out: ${kept} has them too`,
    ),
  );
  lines.push(...plan.notes.map((note) => `note: ${note}`));
  return lines;
}

/** Columns that are equal to the same ones share a line. */
function storedOnce(equal: PlanSummary['equal'] = []): string[] {
  if (equal.length === 0) return [];
  const byColumn = Map.groupBy(equal, ({ column }) => column);
  const lines = [...byColumn].slice(0, 8).map(([column, same]) => {
    return `  stored once: ${column}, which is also ${few(
      same.map(({ name }) => name),
      4,
    )}`;
  });
  const rest = byColumn.size - lines.length;
  return rest > 0 ? [...lines, `  and ${plural(rest, 'more column')} stored once`] : lines;
}

/** What each term of --where leaves. */
function cutFlow(selection: PlanSummary['selection']): string[] {
  if (selection === undefined) return [];
  const { rows, terms } = selection;
  const share = (left: number) => (rows === 0 ? '' : `${((100 * left) / rows).toFixed(2)}%`);
  const lines = terms.map(({ term, rows: left }) => [formatCount(left), share(left), term]);
  return ['where:', ...table([[formatCount(rows), share(rows), "the primary's events"], ...lines], [0, 1])];
}

function carriedLines({ carried = [], sums }: JoinReport): string[] {
  const lines = carried.flatMap(({ tree, path, rows, columns, bytes, unreadable }) => [
    `wrote ${path}: ${shape(rows, columns)} of ${tree}, ${formatBytes(bytes)}`,
    ...unreadable.map(({ name, type, reason }) => `  left out of ${tree}, unreadable: ${name} (${type}): ${reason}`),
  ]);
  if (sums === undefined) return lines;
  const added = Object.entries(sums.added).map(([name, sum]) => `${name} ${sum}`);
  const averaged = Object.keys(sums.averaged);
  const means = averaged.length > 0 ? `; averaged with genEventSumw: ${averaged.join(', ')}` : '';
  lines.push(`sums of ${sums.tree} over all files: ${added.join(', ')}${means}`);
  lines.push(...Object.entries(sums.left).map(([name, reason]) => `  no mean of ${name}: ${reason}`));
  return lines;
}

const scratchText = (bytes: number): string => (bytes > 0 ? ` and ${formatBytes(bytes)} of scratch space` : '');

function headline(plan: PlanSummary, dryRun: boolean, style: Style): string {
  const key = plan.key.join(', ');
  const does = dryRun ? 'plan: ' : '';
  const friends = plan.sources.length - 1;
  if (friends === 0) return style.bold(`${does}convert, ${key} checked (layout ${plan.layout})`);
  return style.bold(`${does}${plan.how} join of ${plan.sources.length} sources by ${key} (layout ${plan.layout})`);
}

export const shape = (rows: number, columns: number): string => `${plural(rows, 'row')}, ${plural(columns, 'column')}`;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function sourceTable(sources: readonly SourceSummary[], dryRun: boolean): string[] {
  const head = [
    'source',
    'files',
    'rows',
    'columns',
    'matched',
    'missing',
    'extra',
    ...(dryRun ? ['to read'] : []),
    'path',
  ];
  const rows = sources.map((source) => [
    source.label === '' ? source.role : source.label,
    formatCount(source.files),
    formatCount(source.rows),
    formatCount(source.columns),
    formatCount(source.matched),
    formatCount(source.missing),
    formatCount(source.extra),
    ...(dryRun ? [formatBytes(source.bytesToRead)] : []),
    source.path === 'primary' ? source.why : `${source.path}: ${source.why}`.replace(/: $/, ''),
  ]);
  return table([head, ...rows], dryRun ? [1, 2, 3, 4, 5, 6, 7] : [1, 2, 3, 4, 5, 6]);
}

/** Columns named of those that cannot be read for one reason: a PHYSLITE file has 400; `colweave schema` lists them. */
const UNREADABLE_NAMES = 4;

/** Sources that leave out the same columns share a line. */
function leftOut(sources: readonly SourceSummary[]): string[] {
  const same = Map.groupBy(
    sources.filter(({ dropped }) => dropped.length > 0),
    ({ dropped }) => few(dropped),
  );
  const lines = [...same].map(
    ([names, of]) => `  left out of ${of.map(({ label }) => label).join(', ')}, said by other columns: ${names}`,
  );
  for (const { label, unreadable } of sources) {
    const alike = Map.groupBy(unreadable, ({ type, reason }) => `(${type}): ${reason}`);
    for (const [what, columns] of alike) {
      const names = few(
        columns.map(({ name }) => name),
        UNREADABLE_NAMES,
      );
      lines.push(`  left out of ${label}, unreadable: ${names} ${what}`);
    }
  }
  return lines;
}

export function few(names: readonly string[], count = 8): string {
  const rest = names.length - count;
  return rest > 0 ? `${names.slice(0, count).join(', ')} and ${formatCount(rest)} more` : names.join(', ');
}

function columnTable(plan: PlanSummary): string[] {
  return table(plan.columnsOut.map(({ name, type, nullable, source }) => [name, nullable ? `${type}?` : type, source]));
}

/** Where the trouble is the file as a whole, not something in it. */
const THE_FILE_ITSELF =
  /^output\/|^source\/(not-found|not-readable|not-root|duplicate-file|bad-list|bad-fileset|remote)$|^verify\/(not-data|no-receipt)$/;

/** `colweave join: source/no-column: no column "Jet_ptt" in b.root:Events (nearest: Jet_pt)`, then hint, evidence, causes. */
export function renderError(command: string, error: ColweaveError, debug: boolean, style: Style = PLAIN): string[] {
  const near = error.near.length > 0 ? ` (nearest: ${error.near.join(', ')})` : '';
  const where =
    error.where.length > 0 ? `${THE_FILE_ITSELF.test(error.code) ? ':' : ' in'} ${placeText(error.where)}` : '';
  const [first, ...more] = error.message.split('\n');
  const lines = [
    `${style.bad(`${command}: ${error.code}`)}: ${first}${where}${near}`,
    ...more.map((line) => `  ${line}`),
  ];
  lines.push(...error.details.map((detail) => `  ${detail}`));
  if (error.hint !== '') lines.push(`  hint: ${error.hint.replace('colweave COMMAND', command)}`);
  lines.push(...causeLines(error));
  if (debug) lines.push(...stackLines(error));
  return lines;
}

/** File and tree by a colon; anything in words, such as `entry 7`, by a comma. */
function placeText(where: readonly string[]): string {
  return where.reduce((text, place) => `${text}${place.includes(' ') ? ', ' : ':'}${place}`);
}

function causeLines(error: Error): string[] {
  const lines: string[] = [];
  let cause = error.cause;
  for (let depth = 0; cause instanceof Error && depth < 5; depth++) {
    if (cause.message !== error.message) lines.push(`  caused by: ${cause.message.split('\n')[0]}`);
    cause = cause.cause;
  }
  return lines;
}

function stackLines(error: Error): string[] {
  const root = error.cause instanceof Error ? error.cause : error;
  return (root.stack ?? '').split('\n').map((line) => `  ${line.trim()}`);
}
