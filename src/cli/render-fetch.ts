// The reports of `colweave fetch` as text: files that came, what the cache gave, and what the cache holds.
import type { CacheReport, FetchReport } from '../command/fetch-types.ts';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import { renderError, table } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

export function renderFetch({ files, failed, cache }: FetchReport, style: Style = PLAIN): string[] {
  const lines = files.map(({ path, rows, bytes, upToDate }) =>
    upToDate
      ? `${style.bold(path)}: ${style.good('up to date')} (${formatCount(rows)} rows)`
      : `wrote ${style.bold(path)}: ${formatCount(rows)} rows, ${formatBytes(bytes)}`,
  );
  if (cache !== undefined) {
    const { hits, fetched, storedBytes } = cache;
    const came = `${formatCount(fetched)} fetched${fetched === 0 ? '' : ` (${formatBytes(storedBytes)})`}`;
    lines.push(`cache: ${columns(hits)} were there, ${came}`);
  }
  for (const { uri: _, code, message, where, near, hint, details } of failed) {
    const error = new ColweaveError(code as ErrorCode, message, { where, near, hint, details });
    lines.push(...renderError('failed', error, false, style));
  }
  if (failed.length > 0) {
    const all = files.length + failed.length;
    lines.push(style.bad(`failed: ${failed.length} of ${all} files; give the command again to fetch what is left`));
  }
  return lines;
}

export const fetchStatus = ({ failed }: FetchReport): number => failed[0]?.exit ?? 0;

const columns = (count: number): string => `${formatCount(count)} column${count === 1 ? '' : 's'}`;
const entries = (count: number): string => `${formatCount(count)} ${count === 1 ? 'entry' : 'entries'}`;

export function renderCache(report: CacheReport, style: Style = PLAIN): string[] {
  const folder = style.bold(report.folder);
  switch (report.task) {
    case 'ls': {
      const { files } = report;
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      const all = files.reduce((sum, file) => sum + file.columns.length, 0);
      const rows = files.map((file) => [
        file.tree === '' ? file.uri : `${file.uri}:${file.tree}`,
        formatCount(file.rows),
        formatCount(file.columns.length),
        formatBytes(file.bytes),
        file.used.slice(0, 16).replace('T', ' '),
      ]);
      const head = `${folder}: ${columns(all)} of ${formatCount(files.length)} file${files.length === 1 ? '' : 's'}, ${formatBytes(bytes)}`;
      return files.length === 0
        ? [head]
        : [head, ...table([['file', 'rows', 'columns', 'size', 'used'], ...rows], [1, 2, 3])];
    }
    case 'check':
      return [
        `${folder}: ${entries(report.entries)}, ${formatBytes(report.bytes)}, ${report.damaged.length === 0 ? style.good('all as written') : style.bad(`${formatCount(report.damaged.length)} damaged`)}`,
        ...report.damaged.map(({ name, why }) => `  set aside ${name}: ${why}`),
        ...(report.badRefs === 0 ? [] : [`  ${formatCount(report.badRefs)} unreadable refs removed`]),
      ];
    case 'gc':
      return [
        `${folder}: ${entries(report.removed)} removed (${formatBytes(report.removedBytes)}), ${formatCount(report.kept)} kept (${formatBytes(report.keptBytes)})`,
        ...(report.inUse === 0
          ? []
          : [`  ${entries(report.inUse)} of these would have gone, but running jobs use them`]),
        ...(report.litter === 0
          ? []
          : [`  ${formatCount(report.litter)} leftover file${report.litter === 1 ? '' : 's'} removed`]),
      ];
  }
}

export const cacheStatus = (report: CacheReport): number =>
  report.task === 'check' && report.damaged.length > 0 ? 1 : 0;
