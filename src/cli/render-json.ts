// Reports and messages as typed JSON lines for programs: the last line is always the summary or the error.
import type { BenchReport, FloorReport } from '../bench/types.ts';
import type { CacheReport, FetchReport } from '../command/fetch-types.ts';
import type { DescribeReport, InferReport } from '../command/infer-types.ts';
import type { SchemaReport } from '../command/schema-types.ts';
import type { FilesetReport, FreshReport, JoinReport, VerifyReport } from '../command/types.ts';
import type { ColweaveError } from '../core/errors.ts';
import type { WorkEvent } from '../core/events.ts';

export type Report =
  | JoinReport
  | FreshReport
  | FilesetReport
  | VerifyReport
  | SchemaReport
  | FetchReport
  | CacheReport
  | InferReport
  | DescribeReport
  | BenchReport
  | FloorReport;

export const eventLine = (event: WorkEvent): string => JSON.stringify(event);

export function summaryLine(command: string, exit: number, report: Report): string {
  return JSON.stringify({ type: 'summary', command, exit, ...report });
}

export function errorLine(command: string, error: ColweaveError, exit = error.exit): string {
  const { code, message, where, near, hint, details } = error;
  return JSON.stringify({ type: 'error', command, code, exit, message, where, near, hint, details });
}

/** A signal is no error of the data or of ours: it has a line of its own kind. */
export function interruptedLine(command: string, signal: string, exit: number): string {
  const none = { where: [], near: [], hint: '', details: [] };
  return JSON.stringify({
    type: 'error',
    command,
    code: 'interrupted',
    exit,
    message: `interrupted by ${signal}`,
    ...none,
  });
}
