// Owns looking at what the commands wrote, outside of the measured time: rows, mixed events, receipts, equal bytes, sizes.
import { lastLine, runCommand } from './measure.ts';
import { type FoundPython, PYTHON_ENV, scriptOf } from './python.ts';
import type { OutputCheck, Rewritten } from './types.ts';

export interface CheckTools {
  readonly top: string;
  readonly python: FoundPython;
  /** This program: node and its script. */
  readonly self: readonly string[];
  readonly signal: AbortSignal;
}

/** What check.py says of one file. */
interface Looked {
  readonly rows: number;
  readonly mixed: number | null;
  readonly missing: number;
  readonly ordered: boolean;
}

/** Rows beyond which pyarrow's own file is not made: it holds the whole table, some 500 bytes a row, twice. */
const REWRITE_ROWS_MAX = 3_000_000;

/** Every row's chk against the hash of its key, with tools that share nothing with colweave. */
export async function checkRows(output: string, rows: number, tools: CheckTools): Promise<OutputCheck> {
  const script = scriptOf(tools.top, 'check.py');
  if (script === undefined || 'absent' in tools.python || tools.python.packages.pyarrow === undefined) {
    return { ok: true, text: 'rows not checked: no pyarrow' };
  }
  const ended = await runCommand({ words: [tools.python.path, script, output], env: PYTHON_ENV }, tools.signal);
  if (ended.exit !== 0) return { ok: false, text: `cannot be read: ${lastLine(ended.stderr)}` };
  const found = JSON.parse(ended.stdout) as Looked;
  const parts = [`${found.rows} rows`];
  if (found.rows !== rows) parts.push(`expected ${rows}`);
  parts.push(found.mixed === null ? 'no chk column' : `${found.mixed} mixed`);
  if (found.missing > 0) parts.push(`${found.missing} without partner`);
  if (!found.ordered) parts.push('order lost');
  return { ok: found.rows === rows && (found.mixed ?? 0) === 0, text: parts.join(', ') };
}

/** The receipt of a file that colweave wrote. */
export async function checkReceipt(output: string, { self, signal }: CheckTools): Promise<OutputCheck> {
  const ended = await runCommand({ words: [...self, 'verify', output, '--json'] }, signal);
  if (ended.exit === 0) return { ok: true, text: 'receipt verified' };
  return { ok: false, text: `verify ended with ${ended.exit}: ${lastLine(ended.stderr)}` };
}

export const bothChecks = (first: OutputCheck, second: OutputCheck): OutputCheck => ({
  ok: first.ok && second.ok,
  text: `${first.text}; ${second.text}`,
});

/** Sizes of the same table as pyarrow writes it, or why there are none. */
export async function rewrite(
  output: { readonly path: string; readonly bytes: number; readonly rows: number },
  folder: string,
  { top, python, signal }: CheckTools,
): Promise<Rewritten | { readonly skipped: string }> {
  const script = scriptOf(top, 'rewrite.py');
  if (script === undefined) return { skipped: 'its script is part of a checkout, not of the package' };
  if ('absent' in python) return { skipped: python.absent };
  if (python.packages.pyarrow === undefined) return { skipped: 'not installed: pyarrow' };
  if (output.rows > REWRITE_ROWS_MAX) return { skipped: `more than ${REWRITE_ROWS_MAX} rows` };
  const ended = await runCommand({ words: [python.path, script, output.path, folder], env: PYTHON_ENV }, signal);
  if (ended.exit !== 0) return { skipped: lastLine(ended.stderr) };
  const { smallGroups, standard } = JSON.parse(ended.stdout) as { smallGroups: number; standard: number };
  return { smallGroupsBytes: smallGroups, standardBytes: standard, colweaveBytes: output.bytes };
}
