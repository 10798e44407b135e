// Who is talked to and how: reports and data on standard output, progress and messages on standard error, or JSON lines.
import { tallyNow } from '../bytes/counted.ts';
import type { ColweaveError } from '../core/errors.ts';
import type { WorkEvent } from '../core/events.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import type { Manners } from './define.ts';
import type { Pipe } from './exit.ts';
import { barProgress, lineProgress, type Progress, SILENT } from './progress.ts';
import { errorLine, eventLine, interruptedLine, type Report, summaryLine } from './render-json.ts';
import { renderError } from './render-text.ts';
import { PLAIN, type Style, styleFor } from './style.ts';

export interface Voice {
  /** `colweave join` */
  readonly command: string;
  readonly manners: Manners;
  /** Standard output, or standard error when standard output carries data (`-o -`). */
  readonly report: Pipe;
  readonly reportStyle: Style;
  readonly messages: Pipe;
  readonly messageStyle: Style;
}

export function voiceOf(name: string, manners: Manners, stdout: Pipe, stderr: Pipe, dataOnStdout: boolean): Voice {
  const report = dataOnStdout ? stderr : stdout;
  return {
    command: name === '' ? 'colweave' : `colweave ${name}`,
    manners,
    report,
    reportStyle: manners.json ? PLAIN : styleFor(report.stream, process.env),
    messages: stderr,
    messageStyle: styleFor(stderr.stream, process.env),
  };
}

export async function progressOf({ command, manners, messages }: Voice): Promise<Progress> {
  if (manners.quiet || manners.json) return SILENT;
  if (messages.stream.isTTY) return barProgress(messages.stream);
  return lineProgress(command, (text) => messages.write(text));
}

export function tellEvent(event: WorkEvent, voice: Voice, progress: Progress): void {
  const { manners, command, messages, report, messageStyle } = voice;
  if (manners.json) {
    if (!manners.quiet || event.type === 'warning') report.write(`${eventLine(event)}\n`);
  } else if (event.type === 'progress') {
    progress.update(event);
  } else if (event.type === 'warning') {
    progress.clear();
    messages.write(`${command}: ${messageStyle.warn(`warning: ${event.code}`)}: ${event.text}\n`);
  } else if (!manners.quiet) {
    progress.clear();
    messages.write(`${command}: note: ${event.text}\n`);
  }
}

/** What travelled, by server: also when the command failed, before its last line. */
export function tellStats({ command, manners, report, messages }: Voice): void {
  if (manners.stats !== true) return;
  const tally = tallyNow();
  if (manners.json) {
    const servers = tally.map(([server, traffic]) => ({ server, ...traffic }));
    report.write(`${JSON.stringify({ type: 'stats', servers })}\n`);
    return;
  }
  for (const [server, { requests, bytesAsked, bytesTravelled, retries }] of tally) {
    const bytes = `${formatBytes(bytesTravelled)} travelled for ${formatBytes(bytesAsked)} asked`;
    messages.write(
      `${command}: ${server}: ${formatCount(requests)} requests, ${bytes}, ${formatCount(retries)} retries\n`,
    );
  }
  // infer asks servers of another kind, and its report says what they did
  if (tally.length === 0 && !command.endsWith(' infer')) messages.write(`${command}: no server was asked\n`);
}

/** --quiet keeps a report only if it says that something is wrong. */
export function tellReport(voice: Voice, report: Report, status: number, text: (style: Style) => string[]): void {
  if (voice.manners.json) voice.report.write(`${summaryLine(voice.command, status, report)}\n`);
  else if (!voice.manners.quiet || status !== 0) voice.report.write(`${text(voice.reportStyle).join('\n')}\n`);
}

/** With --json the error is the last line of the report, and also a message for whoever reads the log. */
export function tellError({ command, manners, report, messages, messageStyle }: Voice, error: ColweaveError): void {
  if (manners.json) report.write(`${errorLine(command, error)}\n`);
  if (manners.json && report === messages) return;
  messages.write(`${renderError(command, error, manners.debug, messageStyle).join('\n')}\n`);
}

/** `many`: outputs of their own that were done before stay. */
export function tellInterrupted(
  { command, manners, report, messages }: Voice,
  signal: string,
  { status, many }: { readonly status: number; readonly many: boolean },
): void {
  if (manners.json) report.write(`${interruptedLine(command, signal, status)}\n`);
  if (manners.json && report === messages) return;
  messages.write(`${command}: interrupted by ${signal}, nothing ${many ? 'more ' : ''}was published\n`);
}
