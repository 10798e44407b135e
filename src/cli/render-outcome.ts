// What came of a join as text: joined, planned, up to date, or one of these for each dataset of a fileset.
import { dirname } from 'node:path';
import type { FailedDataset, FilesetReport, FreshReport, JoinReport } from '../command/types.ts';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { formatCount } from '../core/text.ts';
import { renderError, renderJoin } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

type Outcome = JoinReport | FreshReport;

export function renderOutcome(report: Outcome | FilesetReport, dryRun: boolean, style: Style = PLAIN): string[] {
  if ('datasets' in report) return renderFileset(report, dryRun, style);
  return 'upToDate' in report ? renderFresh(report, style) : renderJoin(report, dryRun, style);
}

/** 0, or the status of the first dataset that failed. */
export function outcomeStatus(report: Outcome | FilesetReport): number {
  if (!('datasets' in report)) return 0;
  const failed = report.datasets.flatMap(({ outcome }) => ('error' in outcome ? [outcome.error.exit] : []));
  return failed[0] ?? 0;
}

function renderFresh({ outputs }: FreshReport, style: Style): string[] {
  const [first] = outputs;
  const rows = formatCount(outputs.reduce((sum, output) => sum + output.rows, 0));
  const many = outputs.length > 1;
  const place = many ? `${dirname(first!.path)}/` : (first?.path ?? '');
  const what = many ? `${formatCount(outputs.length)} files, ${rows} rows` : `${rows} rows`;
  return [`${style.bold(place)}: ${style.good('up to date')} (${what}; --redo makes it again)`];
}

function renderFileset({ datasets, fileset, upToDate }: FilesetReport, dryRun: boolean, style: Style): string[] {
  const lines = datasets.flatMap(({ name, outcome }) => [
    style.bold(`dataset ${name}`),
    ...('error' in outcome ? failure(outcome.error, style) : renderOutcome(outcome, dryRun, style)).map(
      (line) => `  ${line}`,
    ),
  ]);
  const failed = datasets.filter(({ outcome }) => 'error' in outcome);
  const count = `${formatCount(datasets.length)} dataset${datasets.length === 1 ? '' : 's'}`;
  if (fileset !== undefined) {
    lines.push(
      upToDate
        ? `${style.bold(fileset)}: ${style.good('up to date')} (${count})`
        : `wrote ${style.bold(fileset)}: ${count}`,
    );
  } else if (failed.length > 0) {
    const names = failed.map(({ name }) => name).join(', ');
    lines.push(style.bad(`failed: ${names} (${failed.length} of ${datasets.length} datasets; no fileset is written)`));
  }
  return lines;
}

function failure({ code, message, where, near, hint, details }: FailedDataset, style: Style): string[] {
  const error = new ColweaveError(code as ErrorCode, message, { where, near, hint, details });
  return renderError('failed', error, false, style);
}
