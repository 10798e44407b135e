// The report of `colweave infer` as text: what is bound to what, what was asked and answered.
import type { BindingSummary, DescribeReport, InferReport } from '../command/infer-types.ts';
import type { FreshReport } from '../command/types.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import { renderOutcome } from './render-outcome.ts';
import { plural, spotText, table } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

export function renderInfer(report: InferReport | FreshReport, stats: boolean, style: Style = PLAIN): string[] {
  if ('upToDate' in report) return renderOutcome(report, false, style);
  const { binding, done, outputs } = report;
  if (done === undefined) return renderBinding(binding, style);
  const lines = outputs.map(
    ({ path, rows, bytes }) => `wrote ${style.bold(path)}: ${formatCount(rows)} rows, ${formatBytes(bytes)}`,
  );
  lines.push(answeredLine(binding, done));
  const bad = done.nonFinite.filter(({ values }) => values > 0);
  if (bad.length > 0)
    lines.push(
      style.warn(`  not finite: ${bad.map(({ name, values }) => `${name} ${formatCount(values)}`).join(', ')}`),
    );
  if (done.resumed > 0) lines.push(`  resumed: ${formatCount(done.resumed)} events were scored before`);
  if (done.spotRows > 0) lines.push(`  ${spotText(done.spotRows, style)}`);
  if (done.fallbackRows > 0)
    lines.push(style.warn(`  fallback: ${formatCount(done.fallbackRows)} rows were answered in this process`));
  if (stats) lines.push(...statsLines(done));
  return lines;
}

function answeredLine(binding: BindingSummary, done: NonNullable<InferReport['done']>): string {
  const { model, per } = binding;
  const version = done.version === '' ? '' : ` version ${done.version}`;
  const rows = per === '' ? '' : `, ${formatCount(done.rows)} rows of ${per}`;
  const by = done.servers.length === 0 ? 'nothing was asked' : `${done.protocol}, ${plural(done.requests, 'request')}`;
  return `  ${model}${version}: ${formatCount(binding.events)} events${rows}, ${by}`;
}

function statsLines({ servers, rows, seconds, halved }: NonNullable<InferReport['done']>): string[] {
  const rate = seconds > 0 ? `, ${formatCount(Math.round(rows / seconds))} rows/s` : '';
  const cut = halved > 0 ? `, ${formatCount(halved)} requests cut in two` : '';
  const each = servers.map((server) => [
    server.url,
    server.state,
    formatCount(server.rows),
    formatCount(server.answers),
    server.meanMs.toFixed(1),
    String(server.concurrency),
    Object.entries(server.failures)
      .map(([code, count]) => `${code} ${formatCount(count)}`)
      .join(', '),
  ]);
  const head = ['server', 'state', 'rows', 'answers', 'ms', 'in flight', 'failures'];
  return [`  ${seconds.toFixed(2)} s${rate}${cut}`, ...table([head, ...each], [2, 3, 4, 5])];
}

function renderBinding(binding: BindingSummary, style: Style): string[] {
  const { model, version, key, files, events, per, tensors, columns, batch, blockRows, groupRows, bytesToRead } =
    binding;
  const rows = per === '' ? 'events' : `objects of ${per}`;
  return [
    `${style.bold(model)} ${version === '' ? '(the newest version that is served)' : `version ${version}`}: rows are ${rows}`,
    `  input: ${plural(files, 'file')}, ${formatCount(events)} events, ${formatBytes(bytesToRead)} to read; key: ${key.join(', ')}`,
    ...table([['tensor', 'type', 'shape', 'made of'], ...tensors.map(tensorRow)], []),
    ...table(
      [['column', 'type'], ...columns.map(({ name, type, nullable }) => [name, nullable ? `${type}?` : type])],
      [],
    ),
    `  batches: ${batchText(batch)}`,
    `  read ${formatCount(blockRows)} events at a time, written ${formatCount(groupRows)} a row group`,
  ];
}

function batchText({ rows, bytes, perEvent, requests }: BindingSummary['batch']): string {
  const size = perEvent ? 'one event' : `${formatCount(rows)} rows, ${formatBytes(bytes)}`;
  return `${size} a request${requests === undefined ? '' : `, ${plural(requests, 'request')}`}`;
}

function tensorRow({ name, type, dims, from }: BindingSummary['tensors'][number]): string[] {
  return [name, type, `[N, ${dims.join(', ')}]`.replace(', ]', ']'), from.join(', ')];
}

export const renderDescribe = ({ text }: DescribeReport): string[] => text.replace(/\n$/, '').split('\n');
