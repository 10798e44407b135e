// Owns one child process of the fuzz run: does the cases it is told to, one line before and one after each, so that whoever
// watches knows which case hangs or ends the process. Started under a limit of memory that may be written to.
import { mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CUTS, type Mutated, type Range } from './mutate.ts';
import { Broken, type Reading } from './observe.ts';
import { randomOf } from './random.ts';
import { allSubjects, type Subject } from './subjects.ts';

/** What a child is told, as JSON in its first argument. */
export interface Orders {
  readonly seed: number;
  readonly work: readonly { readonly subject: string; readonly from: number; readonly to: number }[];
  /** With the real files of ../shared/data. */
  readonly data: boolean;
  /** Where the damaged bytes are kept. */
  readonly keep?: string;
}

/** What a case came to; `bug` is why it is one. */
export interface CaseResult {
  readonly subject: string;
  readonly number: number;
  readonly kind: string;
  readonly outcome: string;
  readonly bug?: string;
}

/** Beyond twice what the untouched file takes: garbage not yet collected, code compiled meanwhile. */
const MEMORY_SLACK_BYTES = 64 * 2 ** 20;
/** Beyond ten times what the untouched file takes, in processor time. */
const TIME_SLACK_MS = 1500;

interface Measured {
  readonly reading: Reading | undefined;
  readonly failure: unknown;
  /** Of resident memory, above what there was before. */
  readonly peakBytes: number;
  readonly cpuMs: number;
}

const say = (line: unknown) => writeSync(1, `${JSON.stringify(line)}\n`);

/** Peak and current resident memory; Linux alone tells, elsewhere both are 0. */
function residentBytes(): { readonly peak: number; readonly now: number } {
  try {
    const status = readFileSync('/proc/self/status', 'latin1');
    const of = (name: string) => 1024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
    return { peak: of('VmHWM'), now: of('VmRSS') };
  } catch {
    return { peak: 0, now: 0 };
  }
}

/** What a reader, or a library below it, writes to the terminal: that is not theirs to do. */
let printed: string | undefined;
for (const name of ['log', 'warn', 'error', 'info', 'debug'] as const) {
  console[name] = (...words: unknown[]) => {
    printed = words.join(' ');
  };
}

function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // the peak stays that of the whole process, and no case is above it
  }
}

async function measure(subject: Subject, bytes: Buffer, path: string, halves: boolean): Promise<Measured> {
  forgetPeak();
  const before = residentBytes();
  const start = process.cpuUsage();
  let reading: Reading | undefined;
  let failure: unknown;
  try {
    reading = await subject.read(bytes, path, halves);
    if (printed !== undefined) throw new Broken(`it prints: ${printed}`);
  } catch (error) {
    reading = undefined;
    failure = error;
  }
  printed = undefined;
  const { user, system } = process.cpuUsage(start);
  const peakBytes = Math.max(0, residentBytes().peak - before.now);
  return { reading, failure, peakBytes, cpuMs: (user + system) / 1000 };
}

function madeOf(subject: Subject, seed: number, number: number, donors: readonly Subject[]) {
  const random = randomOf(seed, subject.name, number);
  const all = Object.keys(subject.mutations);
  const shift = randomOf(subject.name).below(all.length);
  // every third of the first cases is a cut, so that a subject is cut at each 1/50 of it; then the kinds take turns
  const cutTurn = number % 3 === 0 && number < 3 * CUTS ? number / 3 : undefined;
  const turns = all.map((_, i) => all[(number + shift + i) % all.length]!);
  const kinds = cutTurn === undefined ? turns : ['cut'];
  const turn = cutTurn ?? CUTS + number;
  const other = () => random.pick(donors).bytes;
  // a kind that finds no place in this file leaves its turn to the next one
  for (const kind of kinds) {
    const mutated = subject.mutations[kind]!({ bytes: subject.bytes, random, turn, other });
    if (mutated !== undefined) return { kind, mutated };
  }
  throw new Error(`nothing can be done to ${subject.name}`);
}

/** A changed byte that a checksum covers, and none that no checksum covers. */
function isGuarded(touched: readonly Range[] | undefined, guarded: readonly Range[]): boolean {
  if (touched === undefined || touched.length === 0) return false;
  return touched.every(({ start, end }) => guarded.some((range) => range.start <= start && end <= range.end));
}

function judge(subject: Subject, base: Reading, { touched }: Mutated, { reading, failure }: Measured) {
  if (reading === undefined) {
    const error = failure as Error;
    const what = failure instanceof Broken ? 'it breaks its word' : 'no coded error';
    return { outcome: 'bug', bug: `${what}: ${error?.stack ?? String(error)}` };
  }
  const code = reading.error ?? reading.errors[0];
  const changed = [...base.columns].filter(([name, digest]) => (reading.columns.get(name) ?? digest) !== digest);
  if (changed.length > 0 && isGuarded(touched, subject.guarded)) {
    return { outcome: 'bug', bug: `a byte under a checksum was changed, and ${changed[0]![0]} is other data` };
  }
  if (code !== undefined) return { outcome: code };
  if (changed.length > 0) return { outcome: 'other data' };
  const absent = [...base.columns.keys()].some((name) => !reading.columns.has(name));
  return { outcome: absent ? 'left out or renamed' : 'right' };
}

async function runCase(subject: Subject, base: Measured, number: number, setting: Setting): Promise<CaseResult> {
  const { kind, mutated } = madeOf(subject, setting.seed, number, setting.donors);
  if (setting.keep !== undefined) writeFileSync(setting.keep, mutated.bytes);
  const halves = number % 2 === 1;
  const run = () => measure(subject, mutated.bytes, setting.path, halves);
  let measured = await run();
  const peakMax = 2 * base.peakBytes + MEMORY_SLACK_BYTES;
  const cpuMax = 10 * base.cpuMs + TIME_SLACK_MS;
  const over = () => measured.peakBytes > peakMax || measured.cpuMs > cpuMax;
  if (over()) {
    // once more, with nothing left over from the cases before
    globalThis.gc?.();
    measured = await run();
  }
  const judged = judge(subject, base.reading!, mutated, measured);
  const result = { subject: subject.name, number, kind, ...judged };
  if ('bug' in judged || !over()) return result;
  const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const bug =
    measured.peakBytes > peakMax
      ? `${megabytes(measured.peakBytes)} of memory, the untouched file takes ${megabytes(base.peakBytes)} (${judged.outcome})`
      : `${Math.round(measured.cpuMs)} ms, the untouched file takes ${Math.round(base.cpuMs)} ms (${judged.outcome})`;
  return { ...result, outcome: 'bug', bug };
}

interface Setting {
  readonly seed: number;
  readonly path: string;
  readonly keep?: string | undefined;
  readonly donors: readonly Subject[];
}

async function main(): Promise<void> {
  const { seed, work, data, keep } = JSON.parse(process.argv[2]!) as Orders;
  const subjects = await allSubjects({ data, receipts: work.some(({ subject }) => subject.startsWith('receipt/')) });
  const folder = mkdtempSync(join(tmpdir(), 'colweave-fuzz-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const { subject: name, from, to } of work) {
    const subject = subjects.find((other) => other.name === name);
    if (subject === undefined) throw new Error(`no subject ${name}`);
    const path = join(folder, 'case');
    say({ begin: { subject: name, number: -1 } });
    let base = await measure(subject, subject.bytes, path, false);
    if (base.reading === undefined) throw base.failure;
    // once more: the first reading loads modules
    base = await measure(subject, subject.bytes, path, false);
    const donors = subjects.filter(({ reader }) => reader === subject.reader);
    for (let number = from; number < to; number++) {
      say({ begin: { subject: name, number } });
      say({ end: await runCase(subject, base, number, { seed, path, keep, donors }) });
    }
  }
}

await main();
