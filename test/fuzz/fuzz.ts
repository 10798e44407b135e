// Owns sharing cases among child processes, ending those that hang, and counting what became of each case.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CaseResult, Orders } from './child.ts';
import { allSubjects, type Subject } from './subjects.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly cases: number;
  readonly jobs: number;
  /** Part of a subject's name. */
  readonly only: string;
  /** With the real files of ../shared/data. */
  readonly data: boolean;
  /** `SUBJECT#NUMBER`: this case alone. */
  readonly single?: string;
  readonly keep?: string;
  readonly onBug?: (result: CaseResult) => void;
}

export interface Tally {
  readonly reader: string;
  readonly kind: string;
  cases: number;
  readonly outcomes: { [outcome: string]: number };
}

export interface FuzzReport {
  readonly cases: number;
  readonly bugs: readonly CaseResult[];
  readonly tallies: readonly Tally[];
  readonly last: CaseResult | undefined;
  readonly seconds: number;
}

/** A case that says nothing for so long hangs; the machine may be busy with other things. */
const HANG_MS = 30_000;
/** Memory that a child may write to, in KiB: an allocation beyond it fails there and then, used or not. */
const DATA_KIB_MAX = 1200 * 1024;
/** Cases of one subject that a child does in a row. */
const STRETCH_CASES = 400;

type Work = Orders['work'][number];
type Named = Pick<Subject, 'name' | 'reader' | 'weight'>;

/** Made by the child that does it. */
const RECEIPTS: Named = { name: 'receipt/join', reader: 'receipt', weight: 0.5 };

interface Run {
  readonly options: FuzzOptions;
  readonly queue: Work[];
  readonly results: CaseResult[];
  readonly bugs: CaseResult[];
  readonly readers: ReadonlyMap<string, string>;
  readonly tallies: Map<string, Tally>;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const start = Date.now();
  const subjects = [...(await readable(await allSubjects({ data: options.data, receipts: false }))), RECEIPTS];
  const readers = new Map(subjects.map(({ name, reader }) => [name, reader]));
  const queue = options.single === undefined ? workOf(subjects, options) : [singleOf(options.single)];
  const run: Run = { options, queue, results: [], bugs: [], readers, tallies: new Map() };
  await Promise.all(Array.from({ length: options.jobs }, () => work(run)));
  const tallies = [...run.tallies.values()].sort((left, right) =>
    `${left.reader}\0${left.kind}` < `${right.reader}\0${right.kind}` ? -1 : 1,
  );
  return {
    cases: run.results.length,
    bugs: run.bugs,
    tallies,
    last: run.results.at(-1),
    seconds: (Date.now() - start) / 1000,
  };
}

/** Fixtures that are damaged as they are show nothing when more damage is done to them. */
async function readable(subjects: readonly Subject[]): Promise<readonly Named[]> {
  const folder = mkdtempSync(join(tmpdir(), 'colweave-fuzz-'));
  const kept: Named[] = [];
  for (const subject of subjects) {
    const { error, errors, format } = await subject.read(subject.bytes, join(folder, 'case'), false);
    const { name, reader, weight } = subject;
    if (error === undefined && errors.length === 0) kept.push({ name, reader: format ?? reader, weight });
  }
  rmSync(folder, { recursive: true });
  return kept;
}

function singleOf(text: string): Work {
  const [subject, number] = text.split('#');
  return { subject: subject!, from: Number(number), to: Number(number) + 1 };
}

/** Cases shared by weight. */
function workOf(subjects: readonly Named[], options: FuzzOptions): Work[] {
  const chosen = subjects.filter(({ name }) => name.includes(options.only));
  const total = chosen.reduce((sum, { weight }) => sum + weight, 0);
  return chosen.flatMap(({ name, weight }) => {
    const cases = Math.ceil((options.cases * weight) / total);
    const stretches: Work[] = [];
    for (let from = 0; from < cases; from += STRETCH_CASES) {
      stretches.push({ subject: name, from, to: Math.min(cases, from + STRETCH_CASES) });
    }
    return stretches;
  });
}

/** One child after another until there is nothing left to do: a child that ends early is followed by one for the rest. */
async function work(run: Run): Promise<void> {
  for (;;) {
    const batch = run.queue.splice(0, Math.max(1, Math.ceil(run.queue.length / (2 * run.options.jobs))));
    if (batch.length === 0) return;
    run.queue.unshift(...(await child(run, batch)));
  }
}

interface Message {
  readonly begin?: { readonly subject: string; readonly number: number };
  readonly end?: CaseResult;
}

/** Returns the work that was not done. */
async function child(run: Run, batch: readonly Work[]): Promise<readonly Work[]> {
  const { seed, data, keep } = run.options;
  const orders: Orders = { seed, work: batch, data, ...(keep === undefined ? {} : { keep }) };
  const limited = `ulimit -d ${DATA_KIB_MAX} 2>/dev/null; exec "$0" --expose-gc --no-warnings "$1" "$2"`;
  const program = new URL('child.ts', import.meta.url).pathname;
  const process_ = spawn('sh', ['-c', limited, process.execPath, program, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let current: Message['begin'];
  let hung = false;
  let said = '';
  process_.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-4000);
  });
  const watch = () =>
    setTimeout(() => {
      hung = true;
      process_.kill('SIGKILL');
    }, HANG_MS);
  let timer = watch();
  for await (const line of createInterface({ input: process_.stdout })) {
    clearTimeout(timer);
    timer = watch();
    const { begin, end } = JSON.parse(line) as Message;
    current = begin;
    if (end !== undefined) note(run, end);
  }
  clearTimeout(timer);
  const status = await new Promise((resolve) => {
    if (process_.exitCode !== null || process_.signalCode !== null) resolve(process_.exitCode ?? process_.signalCode);
    else process_.on('exit', (code, signal) => resolve(code ?? signal));
  });
  if (status === 0) return [];
  const at = current;
  if (at === undefined || at.number < 0) throw new Error(`a child of the fuzz run ended with ${status}: ${said}`);
  const bug = hung ? `it hangs: nothing for ${HANG_MS / 1000} s` : `it ends the process (${status}): ${said}`;
  note(run, { subject: at.subject, number: at.number, kind: '?', outcome: 'bug', bug });
  return restOf(batch, at);
}

function restOf(batch: readonly Work[], at: { readonly subject: string; readonly number: number }): Work[] {
  const index = batch.findIndex(
    ({ subject, from, to }) => subject === at.subject && from <= at.number && at.number < to,
  );
  const rest = { ...batch[index]!, from: at.number + 1 };
  return [...(rest.from < rest.to ? [rest] : []), ...batch.slice(index + 1)];
}

function note(run: Run, result: CaseResult): void {
  run.results.push(result);
  const reader = run.readers.get(result.subject) ?? '?';
  const key = `${reader}\0${result.kind}`;
  const tally = run.tallies.get(key) ?? { reader, kind: result.kind, cases: 0, outcomes: {} };
  tally.cases++;
  tally.outcomes[result.outcome] = (tally.outcomes[result.outcome] ?? 0) + 1;
  run.tallies.set(key, tally);
  if (result.bug === undefined) return;
  run.bugs.push(result);
  run.options.onBug?.(result);
}
