// Owns running one command in a fresh process and what the operating system says it cost: wall, cpu, peak memory, bytes.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { spreadSignal } from './signals.ts';

export interface Command {
  readonly words: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Usage {
  readonly wallSeconds: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly peakBytes: number;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
}

export interface Measured extends Ended {
  /** Absent where the process was ended by a signal. */
  readonly usage?: Usage;
}

export interface Measurer {
  readonly by: string;
  /** Or only commands of this Node? */
  readonly anyCommand: boolean;
  run(command: Command, signal: AbortSignal): Promise<Measured>;
}

/** Text kept of each stream; a peer that floods its output must not cost memory here. */
const OUTPUT_CHARS_MAX = 32 * 2 ** 20;

/**
 * Runs one command and waits for it with wait4: ru_maxrss is the child's own, as Python is small and forks no memory
 * worth a mention. The counters of /proc/self/io take over those of a child that was waited for.
 */
const WAIT4 = `
import json, os, sys, time
def counters():
    try:
        with open("/proc/self/io") as lines: return {k: int(v) for k, v in (line.split(": ") for line in lines)}
    except OSError: return {}
before, start = counters(), time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
wall, after = time.monotonic() - start, counters()
said = {"wallSeconds": wall, "userSeconds": used.ru_utime, "systemSeconds": used.ru_stime, "peakBytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)}
if after: said.update(readBytes=after["rchar"] - before["rchar"], writtenBytes=after["wchar"] - before["wchar"])
os.write(3, json.dumps(said).encode())
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

/** Without Python: the child, which is Node, tells its own getrusage at its end. */
const AT_EXIT = `
import { isMainThread } from 'node:worker_threads';
import { writeSync } from 'node:fs';
if (isMainThread) process.on('exit', () => {
  const used = process.resourceUsage();
  writeSync(3, JSON.stringify({ wallSeconds: process.uptime(), userSeconds: used.userCPUTime / 1e6,
    systemSeconds: used.systemCPUTime / 1e6, peakBytes: used.maxRSS * 1024 }));
});
`;

export function wait4Measurer(python: string): Measurer {
  return {
    by: 'wait4 of a small Python process',
    anyCommand: true,
    run: (command, signal) => measured({ ...command, words: [python, '-S', '-c', WAIT4, ...command.words] }, signal),
  };
}

/** Only commands of this Node can be measured in this way. */
export function atExitMeasurer(): Measurer {
  const hook = `data:text/javascript,${encodeURIComponent(AT_EXIT)}`;
  return {
    by: "getrusage at the process's own end",
    anyCommand: false,
    run: ({ words: [node, ...rest], ...how }, signal) =>
      measured({ ...how, words: [node!, '--import', hook, ...rest] }, signal),
  };
}

async function measured(command: Command, signal: AbortSignal): Promise<Measured> {
  const { told, ...ended } = await runChild(command, signal);
  return told === '' ? ended : { ...ended, usage: JSON.parse(told) as Usage };
}

/** Runs a command to its end. Its own process group is ended with it when `signal` is. */
export function runCommand(command: Command, signal: AbortSignal): Promise<Ended> {
  return runChild(command, signal);
}

function runChild(
  { words: [file, ...args], cwd, env }: Command,
  signal: AbortSignal,
): Promise<Ended & { readonly told: string }> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
    });
    const [stdout, stderr, told] = [child.stdout!, child.stderr!, child.stdio[3] as Readable].map(collect);
    const stop = spreadSignal(child, signal);
    child.on('error', (error) => {
      stop();
      reject(error);
    });
    child.on('close', (code, killedBy) => {
      stop();
      if (signal.aborted) reject(signal.reason);
      else resolve({ exit: code ?? (killedBy ? 128 : 1), stdout: stdout!(), stderr: stderr!(), told: told!() });
    });
  });
}

function collect(stream: Readable): () => string {
  const parts: string[] = [];
  let length = 0;
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => {
    if (length < OUTPUT_CHARS_MAX) parts.push(part);
    length += part.length;
  });
  return () => parts.join('');
}

/** The last line that is not empty: of a Python traceback the exception, of a colweave report the summary. */
export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}
